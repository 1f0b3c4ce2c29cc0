"""Pairs of runs at the same steps -> instability throughout training."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pipeline_lib.analysis.paths import alphas, paths, summarise, with_midpoint
from pipeline_lib.core import algebra
from pipeline_lib.stages import data
from pipeline_lib.stages.training import kept_file, numerics
from pipeline_lib.store import artifacts, device
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
                    "instability",
                ],
            },
        },
    }
}  # fmt: skip

_MEASURED = ("mean_end_error", "max_error", "instability")


def run(job: Job) -> None:
    """Compare the pairs of a chunk of seeds on the test split at each kept step."""
    spec, how = job.spec, numerics(job.spec["task"])
    place = device.pick(how)
    dataset = data.read(job, place)
    network = data.build(spec["task"], dataset)
    metas = [(folder, artifacts.read_meta(folder / "state.safetensors")) for folder in job.reads["states"]]
    homes = {tuple(member): folder for folder, meta in metas for member in meta["spec"]["members"]}
    keys = {tuple(member): meta["key"] for _, meta in metas for member in meta["spec"]["members"]}
    lost = {tuple(m) for _, meta in metas for m, bad in zip(meta["spec"]["members"], meta["diverged"], strict=True) if bad}
    members, points = list(homes), with_midpoint(alphas(spec["alphas"]))
    rows: list[dict[str, Any]] = []
    for step in spec["keep"]:
        sound = [(s, i, j) for s, i, j in spec["pairs"] if not {(s, i), (s, j)} & lost]
        needed = sorted({member for s, i, j in sound for member in ((s, i), (s, j))})
        states = [algebra.moved(artifacts.read_states(kept_file(homes[m], m, step))[0][0], place) for m in needed]
        pairs = [(needed.index((s, i)), needed.index((s, j))) for s, i, j in sound]
        found = paths(network, states, pairs, points, dataset.test, dataset, how) if pairs else {}
        for s, i, j in spec["pairs"]:
            who = {"task": spec["task"]["name"], "seed": s, "order_1": i, "order_2": j, "step": step, "split": "test"}
            who |= {key: spec[key] for key in ("kind", "k", "level")} | {"key": keys[s, i], "other_key": keys[s, j]}
            values: dict[str, Any] = dict.fromkeys(_MEASURED)
            if (s, i, j) in sound:
                ends = asdict(summarise(points, found[needed.index((s, i)), needed.index((s, j))], spec["alphas"]))
                values = {key: ends[key] for key in _MEASURED}
            rows.append(who | values)
        log.info("compared %d pairs of %d runs at step %d", len(pairs), len(members), step)
    artifacts.write_rows(job.folder / "throughout.parquet", rows)
