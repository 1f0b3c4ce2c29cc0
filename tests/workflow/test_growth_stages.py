"""What docs/architecture.md promises of measurements and tables: so many new files, and they run from config to figure."""

from __future__ import annotations

import checkout as co
from checkout import Checkout

HEAD = '"""New."""\n\nfrom __future__ import annotations\n\n'
COMPUTATION = """import torch

from pipeline_lib.training.evaluation import chunks, part


@torch.no_grad()
def agreement(network, first, second, split, dataset, numerics):
    same = 0
    network.eval()
    for x, _ in chunks(split, dataset, numerics):
        said = [torch.func.functional_call(network, {**each.params, **each.buffers}, (x,)).argmax(1) for each in (first, second)]
        same += int((said[0] == said[1]).sum())
    return same / len(split.y)
"""
STAGE = """from pipeline_lib.analysis.agreement import agreement
from pipeline_lib.stages.support import data
from pipeline_lib.stages.landscape.interpolate import keys, trained
from pipeline_lib.store import artifacts

STAGE = {
    "agreement": {
        "needs": "pairs of runs", "makes": "how often both say the same", "each": "pairs",
        "cluster": {"minutes": 30, "megabytes": 4000}, "rate": "evaluation", "size": [2, "pairs"],
        "tables": {
            "agreement": {
                "of": ["run 1", "run 2"],
                "columns": [
                    "task", "seed", "order_1", "order_2", "kind", "k", "level",
                    ["same", "double", "1", "share of test images that both runs put in one class"],
                ],
            },
        },
    }
}


def run(job):
    spec, world = job.spec, data.world(job)
    runs, _ = trained(job.reads["states"], world.device)
    rows = []
    for seed, i, j in spec["pairs"]:
        first, second = runs[seed, i], runs[seed, j]
        who = {"task": spec["task"]["name"], "seed": seed, "order_1": i, "order_2": j} | keys(first, second)
        same = agreement(world.network, first.state, second.state, world.dataset.test, world.dataset, world.numerics)
        rows.append(who | {key: spec[key] for key in ("kind", "k", "level")} | {"same": same})
    artifacts.write_rows(job.folder / "agreement.parquet", rows)
"""
FIGURE = """from pipeline_lib.figures.support import layout, marks, style

FIGURES = {
    "agreement_by_rewind": {
        "runs": "dense_at_every_k", "tables": ["agreement", "doubts"], "caption": "How often two runs agree.",
    },
}


def agreement_by_rewind(frames, sparse_levels):
    figure, axes = layout.panels(1, 1)
    marks.line(axes[0][0], frames["agreement"], "k", "same", style.LOOKS["dense"], "dense")
    axes[0][0].set_xlabel("k")
    return figure
"""
DERIVED = """TABLES = {
    "doubts": {
        "from": ["agreement"],
        "asks": ["sparse_levels"],
        "columns": ["task", "k", ["different", "double", "1", "mean share of images that two runs put in two classes"]],
    },
}


def doubts(frames, spec):
    means = frames["agreement"].groupby(["task", "k"], as_index=False)["same"].mean()
    return [{"task": task, "k": int(k), "different": 1 - same} for task, k, same in means.itertuples(index=False)]
"""
# A measurement is three files, a table that follows from it one.
NEW = {
    "pipeline_lib/analysis/agreement.py": COMPUTATION,
    "pipeline_lib/stages/measurements/agreement.py": STAGE,
    "pipeline_lib/figures/agreement.py": FIGURE,
    "pipeline_lib/tables/derived/doubts.py": DERIVED,
}
CONFIG: co.Config = {
    "tasks": {
        "small": {
            "network": {"name": "mlp", "widths": [8]}, "dataset": {"name": "digits"}, "batch_size": 32, "steps": 20,
            "optimiser": {"name": "sgd", "lr": 0.1},
        }
    },
    "experiments": {
        "grown": {
            "tasks": ["small"], "seeds": 2, "orders": 2, "rewind": [0, 10], "levels": 1,
            "figures": ["agreement_by_rewind", "instability_sparse"],
        }
    },
}  # fmt: skip


def test_a_measurement_is_three_files_and_a_table_that_follows_from_it_one(empty: Checkout) -> None:
    for name, text in NEW.items():
        path = empty.root / name
        assert not path.exists()
        path.write_text(HEAD + text, encoding="utf-8")
    empty.configure(CONFIG)
    config = str(empty.config.relative_to(empty.root))

    def told(*words: str) -> str:
        outcome = co.call(empty.root, "-m", *words)
        assert outcome.code == 0, outcome.text
        return outcome.text

    (row,) = [line for line in told("pipeline_lib", "plan", config).splitlines() if line.startswith("agreement")]
    assert row.split()[1:3] == ["8", "0"], "dense and sparse, two rewind steps, two seeds"
    listed = [line.split() for line in told("pipeline_lib", "list", "stages").splitlines()]
    assert ["agreement", "pairs", "of", "runs", "how", "often", "both", "say", "the", "same"] in listed
    assert "drawn from: agreement, doubts" in " ".join(told("pipeline_lib", "explain", config, "agreement_by_rewind").split())
    assert "computed from agreement" in told("pipeline_lib", "explain", config, "doubts")
    rules = told("snakemake", "--list-rules", "--configfile", config)
    assert "agreement (pairs of runs -> how often both say the same)" in rules
    told("pipeline_lib.planning.documentation")
    tables = (empty.root / "docs" / "tables.md").read_text(encoding="utf-8")
    assert all(f"\n## {table}\n" in tables for table in ("agreement", "doubts"))
    stages = (empty.root / "docs" / "stages.md").read_text(encoding="utf-8")
    assert (
        "| `agreement` | pairs of runs | how often both say the same | `agreement.parquet` | `agreement` | 30 | 4000 |" in stages
    )
    co.make(empty)
    assert (empty.results / "grown" / "figures" / "agreement_by_rewind.svg").is_file()
    rows, doubts = empty.table("grown", "agreement"), empty.table("grown", "doubts")
    assert len(rows) == 8
    assert rows["same"].between(0.05, 1).all()
    assert set(rows["key"]) | set(rows["other_key"]) <= set(empty.table("grown", "runs")["key"])
    wanted = 1 - rows.groupby("k")["same"].mean()
    assert doubts.set_index("k")["different"].to_dict() == wanted.to_dict()
