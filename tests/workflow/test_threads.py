"""Which jobs ask for several processors: those that decode images, and no others."""

from __future__ import annotations

import re

import checkout as co
import numpy as np
import pytest
from PIL import Image

PICTURES = {
    "base": "digits_mlp",
    "dataset": {"name": "image_folder", "folder": "pets", "num_train": 8, "num_classes": 2, "size": 8, "resize": 9},
    "batch_size": 4,
    "steps": 4,
    "evaluate_every": 2,
}
GRID = {"tasks": ["digits", "pictures"], "seeds": 1, "orders": 2, "rewind": [0], "levels": 1, "alphas": 3}
CONFIG: co.Config = {
    "per_job": {"seeds": 1, "orders": 1},
    "tasks": {"digits": co.TOY, "pictures": PICTURES},
    "experiments": {"both": {**GRID, "figures": ["instability_sparse"]}},
}
DECODING = {"prepare", "pretrain", "train", "interpolate"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> co.Checkout:
    root = tmp_path_factory.mktemp("threads")
    for part, num in (("train", 4), ("val", 2)):
        for name in ("cat", "dog"):
            (root / "data" / "pets" / part / name).mkdir(parents=True)
            for i in range(num):
                pixels = np.random.default_rng(i).integers(0, 256, (20, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / "data" / "pets" / part / name / f"{i}.jpg")
    return co.blank(root / "checkout", CONFIG | {"data_root": str(root / "data")})


def _threads(checkout: co.Checkout, cores: int) -> dict[str, set[int]]:
    """Threads of each rule's jobs, by what the shell line says."""
    made = co.call(checkout.root, *co.snakemake_command(checkout, "--dry-run", "--printshellcmds", cores=cores))
    assert made.code == 0, made.text
    found: dict[str, set[int]] = {}
    line = r'results/artifacts/(\w+)/([^/\s]+)/spec\.json\)"; .* PIPELINE_THREADS=(\d+) .* -m pipeline_lib "\$stage" "\$folder"'
    for stage, label, given in re.findall(line, made.text):
        found.setdefault(stage, set()).add(int(given))
        decodes = stage in DECODING and "digits" not in label
        assert int(given) == (min(cores, 8) if decodes else 1), (stage, label)
    return found


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_jobs_that_decode_images_use_the_cores_and_others_one(checkout: co.Checkout, cores: int) -> None:
    found = _threads(checkout, cores)
    assert {stage for stage, threads in found.items() if len(threads) > 1} == (DECODING if cores > 1 else set())
