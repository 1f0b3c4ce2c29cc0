from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline_lib.core import rng

ROOT = Path(rng.__file__).parents[2]
KNOWN = {
    ("order", 0, 1, "epoch", 0): 6496136544582500821,
    ("init", 3, "W0"): 5320147391567167654,
}


@pytest.mark.parametrize("name", KNOWN)
def test_seeds_stay_what_they_have_always_been(name):
    assert rng.derive(*name) == KNOWN[name]


@pytest.mark.parametrize("salt", ["1", "2"])
def test_seeds_are_the_same_in_every_process(salt):
    code = "from pipeline_lib.core.rng import derive; print(derive('order', 0, 1, 'epoch', 0))"
    environment = {**os.environ, "PYTHONHASHSEED": salt, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) == rng.derive("order", 0, 1, "epoch", 0)


@pytest.mark.parametrize(("first", "second"), [(("a", "b"), ("ab",)), (("a", 1), ("a", "1")), ((1, 2), (2, 1)), ((1,), (1, 0))])
def test_different_names_have_different_seeds(first, second):
    assert rng.derive(*first) != rng.derive(*second)


def test_many_names_do_not_collide_and_fit_in_63_bits():
    seeds = {rng.derive("order", seed, order) for seed in range(50) for order in range(50)}
    assert len(seeds) == 2500
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_generators_depend_on_the_name_alone():
    draws = [torch.rand(4, generator=rng.torch_generator("x", i)) for i in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    arrays = [rng.numpy_generator("x", i).random(4).tolist() for i in (0, 0, 1)]
    assert arrays[0] == arrays[1] != arrays[2]


def test_the_global_generator_is_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    torch.rand(3, generator=rng.torch_generator("x"))
    assert torch.equal(torch.get_rng_state(), before)
