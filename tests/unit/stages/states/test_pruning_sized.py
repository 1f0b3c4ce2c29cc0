from __future__ import annotations

from pathlib import Path

import by_hand
import numpy as np
import pytest

from pipeline_lib.core.rng import numpy_generator
from pipeline_lib.stages.states import perturb
from pipeline_lib.store import artifacts
from pipeline_lib.tables import tabulation

SEEDS = [0, 1]
SHAPES = {"stem.weight": (4, 3), "body.fc.weight": (2, 20)}
Arrays = dict[str, np.ndarray]


def _draw(*what: str | int) -> Arrays:
    rng = numpy_generator("pruning sized", *what)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}


def _run(root: Path, level: int, with_next: bool = True) -> tuple[Path, list[Arrays], list[Arrays], list[Arrays]]:
    masks = [{name: np.abs(w) > (0.3 if level else -1) for name, w in _draw("mask", seed).items()} for seed in SEEDS]
    nexts = [{name: np.abs(w) > 0.7 for name, w in _draw("mask", seed).items()} for seed in SEEDS]
    starts = [{name: w * mask[name] for name, w in _draw("start", seed).items()} for seed, mask in zip(SEEDS, masks, strict=True)]
    near = {
        role: [by_hand.state(root, role, [_draw(role, seed) for seed in SEEDS], [False] * 2)] for role in ("initial", "fresh")
    }
    reads = near | {"start": [by_hand.state(root, "start", starts, [False] * 2)]}
    reads |= {"mask": [by_hand.mask(root, "mask", masks, [False] * 2)]} if level else {}
    reads |= {"next": [by_hand.mask(root, "next", nexts, [False, True])]} if with_next else {}
    spec = {"name": "toy", "seeds": SEEDS, "kind": "imp", "start": "k2 | pruning_sized", "k": 2, "level": level}
    job = by_hand.job(root, spec | {"initialisation": "kaiming_normal", "steps": [{"name": "pruning_sized"}]}, reads)
    perturb.run(job)
    return job.folder, starts, masks, nexts


@pytest.mark.parametrize("level", [0, 3])
def test_the_change_is_as_long_as_the_pruning_step_of_its_own_seed(tmp_path, level):
    folder, starts, masks, nexts = _run(tmp_path, level)
    after, head = artifacts.read_arrays(folder / "state.safetensors")
    sizes = tabulation.read(folder / "perturbations.parquet")
    for i, seed in enumerate(SEEDS):
        pruned = np.concatenate([starts[i][name][masks[i][name] & ~nexts[i][name]] for name in SHAPES]).astype(float)
        pooled = sizes[(sizes["seed"] == seed) & (sizes["layer"] == "all")]
        assert pooled["norm"].item() == pytest.approx(np.linalg.norm(pruned), rel=1e-6)
        assert all((after[f"params/{name}"][i][~masks[i][name]] == 0).all() for name in SHAPES)
    assert head["diverged"] == [False, True]  # as the next level's mask says


def test_at_the_last_level_it_is_refused(tmp_path):
    with pytest.raises(ValueError, match="start pruning_sized must have the next level's mask"):
        _run(tmp_path, 3, with_next=False)
