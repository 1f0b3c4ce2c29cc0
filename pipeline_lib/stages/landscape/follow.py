"""Pairs of runs at the same steps -> instability throughout training."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pipeline_lib.analysis.paths import alphas, paths, summarise, with_midpoint
from pipeline_lib.core import algebra
from pipeline_lib.stages.landscape.interpolate import members, sound
from pipeline_lib.stages.support import data
from pipeline_lib.stages.support.training import kept_file
from pipeline_lib.store import artifacts, specs
from pipeline_lib.store.job import Job, log

STAGE = {
    "follow": {
        "group": "measurements",
        "needs": "pairs of kept states",
        "makes": "instability throughout training",
        "each": "pairs",
        "cluster": {"minutes": 120, "megabytes": 8000},
        "rate": "evaluation",
        "size": ["alphas", "pairs", "keep"],
        "tables": {
            "throughout": {
                "of": ["run 1", "run 2"],
                "columns": [
                    "task", "seed", "order_1", "order_2", "kind", "k", "level", "step", "split", "mean_end_error", "max_error",
                    "instability", "headroom", "headroom_share",
                ],
            },
        },
    }
}  # fmt: skip


class Spec(specs.Pairs):
    """Lines between pairs of runs throughout training.

    Args:
        alphas: points on each line.
        keep: steps at which the runs are compared.
    """

    alphas: int
    keep: list[int]


_MEASURED = ("mean_end_error", "max_error", "instability")


def run(job: Job[Spec]) -> None:
    """Compare the pairs of a chunk of seeds on the test split at each kept step."""
    spec, world = job.spec, data.world(job)
    test = world.dataset.test
    metas = [(folder, artifacts.read_meta(folder / "state.safetensors")) for folder in job.reads["states"]]
    homes = {tuple(member): folder for folder, meta in metas for member in meta["spec"]["members"]}
    keys = {tuple(member): meta["key"] for _, meta in metas for member in meta["spec"]["members"]}
    lost = {tuple(m) for _, meta in metas for m, bad in zip(meta["spec"]["members"], meta["diverged"], strict=True) if bad}
    points, whole = with_midpoint(alphas(spec["alphas"])), sound(members(spec["pairs"]), lost)
    needed = sorted({member for pair in whole for member in pair})
    pairs = [(needed.index(one), needed.index(other)) for one, other in whole]
    rows: list[dict[str, Any]] = []
    for step in spec["keep"]:
        states = [algebra.moved(artifacts.read_states(kept_file(homes[m], m, step))[0][0], world.device) for m in needed]
        found = paths(world.network, states, pairs, points, test, world.dataset, world.numerics) if pairs else {}
        for s, i, j in spec["pairs"]:
            who = {"task": spec["task"]["name"], "seed": s, "order_1": i, "order_2": j, "step": step, "split": "test"}
            who |= {key: spec[key] for key in ("kind", "k", "level")} | {"key": keys[s, i], "other_key": keys[s, j]}
            values: dict[str, Any] = dict.fromkeys(_MEASURED)
            if ((s, i), (s, j)) in whole:
                ends = asdict(summarise(points, found[needed.index((s, i)), needed.index((s, j))], spec["alphas"]))
                values = {key: ends[key] for key in _MEASURED}
            rows.append(who | values)
        log.info("compared %d pairs of %d runs at step %d", len(pairs), len(homes), step)
    artifacts.write_rows(job.folder / "throughout.parquet", rows)
