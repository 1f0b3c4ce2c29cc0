"""Optimisers step without torch's compiler, to the same bits."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

STEPS = """
import json, sys
import torch
from pipeline_lib.core import eager
{prepare}
torch.manual_seed(0)
vector = torch.randn(50)
found = []
for make in (lambda v: torch.optim.SGD([v], 0.1, 0.9, weight_decay=0.01), lambda v: torch.optim.Adam([v], 0.1),
             lambda v: torch.optim.AdamW([v], 0.1, fused=True), lambda v: torch.optim.RMSprop([v], 0.1)):
    weights = vector.clone().requires_grad_()
    optimiser = make(weights)
    for _ in range(3):
        optimiser.zero_grad()
        (weights ** 4).sum().backward()
        optimiser.step()
        assert torch.is_grad_enabled()
    optimiser.load_state_dict(optimiser.state_dict())
    found.append(weights.tolist())
print(json.dumps({{"weights": found, "compiler": "torch._dynamo" in sys.modules}}))
"""


def _steps(prepare: str) -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", STEPS.format(prepare=prepare)], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def usual() -> dict[str, object]:
    return _steps("")


def test_optimisers_do_the_same_without_the_compiler(usual):
    assert usual["compiler"], "torch no longer loads its compiler: the module can go"
    assert _steps("eager.spare_the_compiler()") == usual | {"compiler": False}


def test_where_it_is_loaded_nothing_is_changed(usual):
    assert _steps("import torch._dynamo; eager.spare_the_compiler()") == usual


def test_without_torch_nothing_is_loaded():
    code = "import sys; from pipeline_lib.core import eager; eager.spare_the_compiler(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
