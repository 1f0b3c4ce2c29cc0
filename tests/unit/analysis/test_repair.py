"""Repaired paths: units get the moments that they are to have, ends and constant lines stay as they are."""

from __future__ import annotations

import pytest
import torch
import toys

from pipeline_lib.analysis import repair
from pipeline_lib.analysis.paths import paths
from pipeline_lib.core import algebra
from pipeline_lib.core.types import Split, State
from pipeline_lib.networks.mlp import mlp
from pipeline_lib.networks.transformers import vit
from pipeline_lib.training.precision import Numerics

WEIGHTS = [0.0, 0.25, 1.0]
NETWORKS = {
    "mlp": lambda: mlp(toys.SHAPE, toys.CLASSES, widths=(5, 4)),
    "norm": toys.norm_net,
    "vit": lambda: vit(toys.SHAPE, toys.CLASSES, patch=2, width=6, depth=1, heads=2),
}


def _state(network, seed):
    """Random parameters, also of layers that the usual initialisations do not know."""
    if "body.positions" not in dict(network.named_modules()):
        return toys.scrambled(network, seed)
    generator = torch.Generator().manual_seed(seed)
    return State({n: torch.randn(p.shape, generator=generator) / 2 for n, p in network.named_parameters()}, {})


def _whole(state):
    return {**state.params, **state.buffers}


@pytest.mark.parametrize("name", NETWORKS)
def test_repaired_units_have_the_mixture_of_the_ends_moments(name):
    network = NETWORKS[name]().eval()
    x = torch.randn((40, *toys.SHAPE), generator=torch.Generator().manual_seed(1))
    one, two = (_whole(_state(network, seed)) for seed in (1, 2))
    with torch.no_grad():
        first, second = (repair.moments(network, each, x) for each in (one, two))
        wanted = {n: tuple(torch.lerp(a, b, 0.3) for a, b in zip(first[n], second[n], strict=True)) for n in first}
        mixed = algebra.lerp(one, two, 0.3)
        fixes = repair.repairs(network, mixed, wanted, x)
        seen, axes = {}, repair.hidden(network)

        def fix(name, out):
            scaled = repair._rescaled(out, *fixes[name], axes[name])
            rows = scaled.movedim(axes[name], 0).flatten(1)
            seen[name] = rows.mean(1), rows.std(1, correction=0)
            return scaled

        with repair.watched(network, fixes, fix):
            torch.func.functional_call(network, mixed, (x,))
        before = repair.moments(network, mixed, x)
    assert list(seen) == list(axes) != []
    for module, (mean, deviation) in wanted.items():
        torch.testing.assert_close(seen[module][0], mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(seen[module][1], deviation, rtol=1e-4, atol=1e-5)
    assert any(not torch.allclose(before[n][1], wanted[n][1], rtol=1e-2) for n in wanted), "nothing was to be repaired"


@pytest.mark.parametrize("name", NETWORKS)
def test_ends_are_their_own_and_a_line_to_itself_is_flat(name):
    network, data = NETWORKS[name](), toys.dataset()
    states = [_state(network, 1), _state(network, 2)]
    found = repair.repaired_paths(network, states, [(0, 1), (0, 0)], WEIGHTS, data.test, data, Numerics())
    plain = paths(network, states, [(0, 1), (0, 0)], WEIGHTS, data.test, data)
    for i in (0, -1):
        assert found[0, 1][i].loss == pytest.approx(plain[0, 1][i].loss, rel=1e-6)
    assert found[0, 1][1].loss != pytest.approx(plain[0, 1][1].loss, rel=1e-3)
    assert [score.loss for score in found[0, 0]] == pytest.approx([found[0, 0][0].loss] * 3, rel=1e-5)


def test_moments_are_a_units_and_not_a_places():
    """Of what lies along the last axis, where a linear layer sees (n, places, width)."""
    network = NETWORKS["vit"]()
    whole = _whole(_state(network, 1))
    with torch.no_grad():
        found = repair.moments(network.eval(), whole, torch.randn(3, *toys.SHAPE))
    assert {name: len(mean) for name, (mean, _) in found.items()} == {name: len(whole[f"{name}.weight"]) for name in found}


@pytest.mark.parametrize(("shape", "num"), [((3, 32, 32), 1000), ((1, 28, 28), 1000), ((3, 64, 64), 250), ((3, 224, 224), 64)])
def test_as_many_images_are_looked_at_as_fit_at_once(shape, num):
    x, y = torch.zeros((), dtype=torch.uint8).expand(1200, *shape), torch.zeros(1200, dtype=torch.int64)
    assert len(repair._looked_at(Split(x, y)).y) == num


def test_a_constant_unit_is_left_finite():
    network = mlp(toys.SHAPE, toys.CLASSES, widths=(3,)).eval()
    whole = _whole(toys.start(network))
    whole["stem.fc1.weight"] = whole["stem.fc1.weight"] * torch.tensor([[1.0], [0.0], [1.0]])
    x = torch.randn((9, *toys.SHAPE), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = {"stem.fc1": (torch.full((3,), 2.0), torch.ones(3))}
        scale, shift = repair.repairs(network, whole, wanted, x)["stem.fc1"]
    assert scale[1] == 1
    assert float(whole["stem.fc1.bias"][1] + shift[1]) == pytest.approx(2)
    assert torch.isfinite(scale).all()
