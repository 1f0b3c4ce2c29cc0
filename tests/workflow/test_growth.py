"""What docs/architecture.md promises: each of these is added in one file, and runs from config to figure."""

from __future__ import annotations

import checkout as co
from checkout import Checkout

HEAD = '"""New."""\n\nfrom __future__ import annotations\n\n'
# Of each kind one file, and nothing else.
NEW = {
    "network": (
        "pipeline_lib/networks/narrow.py",
        "from pipeline_lib.core.values import Count\nfrom pipeline_lib.networks.mlp import mlp\n\n\n"
        "def narrow(input_shape, num_classes, width: Count = 12):\n    return mlp(input_shape, num_classes, [width])\n",
    ),
    "data set": (
        "pipeline_lib/datasets/few_digits.py",
        "from typing import Annotated\n\n"
        "from pipeline_lib.core.values import In\nfrom pipeline_lib.datasets.digits import digits\n\n"
        'EXAMPLES = {"few_digits": ((1, 8, 8), 10)}\n\n\n'
        'def few_digits(data_root, num_train: Annotated[int, In("[1, 500]")] = 500):\n'
        "    return digits(None, num_train=num_train)\n",
    ),
    "optimiser": (
        "pipeline_lib/training/optimisers/plain.py",
        "import torch\n\nfrom pipeline_lib.core.values import Positive\n\n\n"
        "def plain(vector, lr: Positive):\n    return torch.optim.SGD([vector], lr=lr)\n",
    ),
    "schedule": (
        "pipeline_lib/training/schedules/sawtooth.py",
        "from pipeline_lib.core.values import Count\n\n\n"
        "def sawtooth(period: Count = 10):\n    return lambda step: 1 - step % period / period\n",
    ),
    "initialisation": (
        "pipeline_lib/training/initialisers/signs_only.py",
        "import torch\n\nfrom pipeline_lib.training.initialisers._draw import draw\n\n\n"
        "def signs_only(network, generator):\n"
        "    return draw(network, generator, lambda s, g: 0.1 * torch.randn(s, generator=g).sign(), 'one')\n",
    ),
    "criterion": (
        "pipeline_lib/pruning/criteria/largest.py",
        "import numpy as np\n\n\ndef largest(weights):\n    return {name: -np.abs(w) for name, w in weights.items()}\n",
    ),
    "criterion that looks at data": (
        "pipeline_lib/pruning/criteria/steepest.py",
        "import numpy as np\n\n\ndef steepest(gradients, mask):\n    return {name: np.abs(gradients[name]) for name in mask}\n",
    ),
    "ratio rule": (
        "pipeline_lib/pruning/ratios/fixed.py",
        "from pipeline_lib.core.values import ShareBelowOne\nfrom pipeline_lib.pruning.ratios.adaptive import Tried\n\n\n"
        "def fixed(dense_batches, dense_examples, highest_loss, floor, ratio: ShareBelowOne = 0.5):\n"
        "    return [Tried(ratio, highest_loss(ratio), 0.0, True)]\n",
    ),
    "strategy": (
        "pipeline_lib/pruning/strategies/slow.py",
        "from pipeline_lib.pruning.retraining import Strategy\n\n\n"
        "def slow():\n    return Strategy(True, True, lambda task: {**task, 'optimiser': {**task['optimiser'], 'lr': 0.01}})\n",
    ),
    "perturbation": (
        "pipeline_lib/perturbations/mirrored.py",
        "def mirrored(weights, around, rng):\n    return {name: -weight for name, weight in weights.items()}\n",
    ),
    "pretext": (
        "pipeline_lib/pretexts/negatives.py",
        "from pipeline_lib.pretexts.support.lessons import Lesson\n\n\n"
        "def negative():\n    return Lesson(change=lambda x, y, drawn: (-x, y))\n",
    ),
    "figure of existing tables": (
        "pipeline_lib/figures/dots.py",
        "from pipeline_lib.figures.density import accuracy_by_density\n\n"
        'FIGURES = {"dots": {"runs": "ladder_at_first_k", "tables": ["runs"], "sparse": True,'
        ' "caption": "So many new dots."}}\n\n\n'
        "def dots(frames, sparse_levels):\n    return accuracy_by_density(frames, sparse_levels)\n",
    ),
    "task": (
        "config/tasks/new.yaml",
        "network: {name: narrow}\ndataset: {name: few_digits}\ninitialisation: {name: signs_only}\n"
        "optimiser: {name: plain, lr: 0.1}\nschedule: {name: sawtooth}\nbatch_size: 32\nsteps: 20\n",
    ),
}
CONFIG: co.Config = {
    "per_job": {"seeds": 1, "orders": 1},
    "experiments": {
        "grown": {
            "tasks": ["new"],
            "seeds": 1,
            "orders": 1,
            "rewind": [0, 10],
            "levels": 1,
            "pruning": {"criterion": "largest"},
            "starts": ["k10 | mirrored", "k0 | negative until 10", "k10 | mask | prune(0.3, steepest)"],
            "retraining": ["slow"],
            "adaptive": {"levels": 1, "rule": "fixed(0.3)"},
            "figures": ["accuracy_by_density", "accuracy_by_start", "retraining", "adaptive", "dots"],
        }
    },
}


def test_one_new_file_each_runs_from_config_to_figure(empty: Checkout) -> None:
    for name, text in NEW.values():
        path = empty.root / name
        assert not path.exists()
        path.write_text(text if path.suffix == ".yaml" else HEAD + text, encoding="utf-8")
    empty.configure(CONFIG)
    config = str(empty.config.relative_to(empty.root))
    plan = co.call(empty.root, "-m", "pipeline_lib", "plan", config)
    assert plan.code == 0, plan.text
    for figure, words in (("retraining", "slow"), ("dots", "runs")):
        explained = co.call(empty.root, "-m", "pipeline_lib", "explain", config, figure)
        assert explained.code == 0, explained.text
        assert words in explained.text
    tasks = co.call(empty.root, "-m", "pipeline_lib", "tasks")
    (row,) = [line for line in tasks.text.splitlines() if "new" in line.replace("|", " ").split()]
    assert "narrow" in row and "few_digits" in row
    co.make(empty)
    figures = {path.stem for path in (empty.results / "grown" / "figures").glob("*.svg")}
    assert figures == set(CONFIG["experiments"]["grown"]["figures"])
    co.succeed(empty, "--report", "report.html")
    assert "So many new dots." in (empty.root / "report.html").read_text(encoding="utf-8")
    runs = empty.table("grown", "runs")
    assert set(CONFIG["experiments"]["grown"]["starts"]) <= set(runs["start"])
    assert runs["start"].str.contains("slow").any()
    assert empty.table("grown", "ratios")["fraction"].tolist() == [0.3]
