"""Any module, any loss, any data: as the workflow's own where both apply, and as plain torch has it elsewhere."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import toys
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import pipeline_lib
from pipeline_lib.analysis.spectra import top_values
from pipeline_lib.core.types import State
from pipeline_lib.training.batches import Normaliser

SGD = partial(torch.optim.SGD, lr=0.05, momentum=0.9)


class Regressor(nn.Module):
    """A module of no family: LayerNorm, dropout, a parameter of its own, and one output."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm, self.outer = nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 1)
        self.scale, self.drop = nn.Parameter(torch.ones(())), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.outer(self.drop(torch.tanh(self.norm(self.inner(x)))))[:, 0]


def _regressor(seed: int = 0) -> Regressor:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Regressor()


def _points(num: int = 40) -> tuple[Tensor, Tensor]:
    x = torch.randn(num, 3, generator=torch.Generator().manual_seed(5))
    return x, x[:, 0] - x[:, 1].square()


@pytest.fixture(scope="module")
def digits() -> pipeline_lib.World:
    network = {"name": "resnet_cifar", "blocks": 1, "width": 2}
    return pipeline_lib.load("digits_resnet", network=network, dataset={"num_train": 200}, steps=12, schedule={"drops": [6]})


@pytest.fixture(scope="module")
def states(digits) -> list[State]:
    w0 = pipeline_lib.initialise(digits)
    return [pipeline_lib.train(digits, w0, order=order) for order in range(3)]


def _module(world: pipeline_lib.World, state: State) -> nn.Module:
    network = copy.deepcopy(world.network)
    network.load_state_dict({**state.params, **state.buffers})
    return network


def _data(world: pipeline_lib.World, split: str) -> tuple[Tensor, Tensor]:
    part = world.split(split)
    return Normaliser(world.dataset)(part.x[:]), part.y


def _close(found: float, expected: float) -> None:
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_a_path_is_that_of_the_task(digits, states):
    one, other = (_module(digits, state) for state in states[:2])
    expected = pipeline_lib.path(digits, *states[:2], num=5)
    found = pipeline_lib.path(one, other, _data(digits, "test"), num=5)
    assert list(found) == list(expected)
    for alpha, score in expected.items():
        assert found[alpha].error == score.error
        _close(found[alpha].loss, score.loss)
    ends = pipeline_lib.instability(one, other, _data(digits, "test"), num=5)
    assert ends.instability == pipeline_lib.instability(digits, *states[:2], num=5).instability


def test_a_plane_is_that_of_the_task(digits, states):
    expected = pipeline_lib.plane(digits, *states, num=3)
    found = pipeline_lib.plane(*(_module(digits, state) for state in states), _data(digits, "test"), num=3)
    np.testing.assert_allclose(found.x, expected.x)
    np.testing.assert_allclose(found.errors, expected.errors, atol=1.5 / 357)  # a tie may fall the other way
    assert found.own == expected.own


def test_a_spectrum_is_that_of_the_task(digits, states):
    mask = pipeline_lib.prune(digits, states[0], fraction=0.5)
    expected = pipeline_lib.hessian(digits, states[0], mask, iterations=4, probes=2, examples=10**6)
    found = pipeline_lib.hessian(_module(digits, states[0]), _data(digits, "train"), mask, iterations=4, probes=2)
    assert found.dim == expected.dim
    for own, theirs in zip(found.probes, expected.probes, strict=True):
        np.testing.assert_allclose(own.diagonal, theirs.diagonal, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("criterion", ["magnitude", "random", "snip"])
def test_a_mask_is_that_of_the_task_or_of_the_same_size(digits, states, criterion):
    expected = pipeline_lib.prune(digits, states[0], fraction=0.3, criterion=criterion, examples=128)
    found = pipeline_lib.prune(_module(digits, states[0]), None, 0.3, criterion, data=_data(digits, "train"))
    assert pipeline_lib.num_kept(found) == pipeline_lib.num_kept(expected)
    if criterion != "snip":  # which sees other mini-batches
        assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_training_is_that_of_the_loop():
    """Batches, mask, momentum and the schedule's factor: to the workflow's loop, whose optimiser is one fused pass."""
    world = pipeline_lib.load(
        "digits_mlp", network={"widths": [8]}, optimiser={"name": "sgd", "lr": 0.1, "momentum": 0.9}, steps=40
    )
    w0 = pipeline_lib.initialise(world, seed=1)
    mask = pipeline_lib.prune(world, w0, fraction=0.5)
    expected = pipeline_lib.train(world, w0, until=40, mask=mask, seed=1, order=2)
    make = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
    size = world.task["batch_size"]
    more = {"optimiser": make, "mask": mask, "batch_size": size, "seed": 1, "order": 2}
    found = pipeline_lib.train(_module(world, w0), _data(world, "train"), 40, **more)
    for name, tensor in found.named_parameters():
        torch.testing.assert_close(tensor.detach(), expected.params[name], rtol=1e-3, atol=1e-5)


def test_the_hessian_is_torchs_own():
    network, (x, y) = _regressor().double(), tuple(t.double() for t in _points())
    names = [name for name, _ in network.named_parameters()]
    sizes = [network.get_parameter(name).shape for name in names]
    total = sum(size.numel() for size in sizes)

    def loss(vector: Tensor) -> Tensor:
        pieces = [p.view(s) for p, s in zip(vector.split([s.numel() for s in sizes]), sizes, strict=True)]
        return F.mse_loss(torch.func.functional_call(network.eval(), dict(zip(names, pieces, strict=True)), (x,)), y)

    exact = torch.autograd.functional.hessian(loss, nn.utils.parameters_to_vector(network.parameters()).detach())
    found = pipeline_lib.hessian(network, (x, y), iterations=total, probes=1, loss=F.mse_loss, names=names)
    values = torch.linalg.eigvalsh(exact)
    tops = top_values(found.full[0], 3)
    assert tops == pytest.approx(values.flip(0)[:3].tolist(), rel=1e-8)
    assert top_values(found.full[0], 1, lowest=True) == pytest.approx([float(values[0])], rel=1e-8)
    t, phi = pipeline_lib.spectral_density(found, num=2000)
    assert float(phi.sum() * (t[1] - t[0])) == pytest.approx(1, abs=1e-3)


def test_attention_has_a_spectrum():
    network = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dropout=0.0).double()
    x = torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = pipeline_lib.hessian(network, (x, torch.zeros_like(x)), iterations=5, probes=1, loss=F.mse_loss)
    assert np.isfinite(found.probes[0].diagonal).all()


def test_a_linear_loss_is_flat():
    network = nn.Sequential(nn.Linear(3, 1))
    found = pipeline_lib.hessian(
        network, [(torch.ones(4, 3), torch.ones(4, 1))], iterations=2, probes=1, loss=lambda o, y: (o * y).mean()
    )
    assert found.full[0].values.tolist() == [0.0]


def test_regression_has_losses_and_no_errors():
    one, other = _regressor(0), _regressor(1)
    line = pipeline_lib.path(one, other, _points(), num=3, loss=F.mse_loss)
    x, y = _points()
    for alpha, end in ((1.0, one), (0.0, other)):
        with torch.no_grad():
            _close(line[alpha].loss, float(F.mse_loss(end.eval()(x), y)))
        assert np.isnan(line[alpha].error)
    assert pipeline_lib.instability(one, one, _points(), num=3, loss=F.mse_loss).loss_barrier == 0


def test_networks_stay_as_they_are():
    network = _regressor().train()
    network.norm.eval()
    before = copy.deepcopy(network.state_dict())
    trained = pipeline_lib.train(network, _points(), 3, SGD, batch_size=8, loss=F.mse_loss)
    pipeline_lib.hessian(network, _points(), iterations=2, probes=1, loss=F.mse_loss)
    pipeline_lib.path(network, trained, _points(), num=2, loss=F.mse_loss)
    assert toys.same(before, network.state_dict())
    assert (network.training, network.norm.training, network.drop.training) == (True, False, True)
    assert not trained.training


def test_training_depends_on_seed_order_and_step_alone():
    fit = partial(pipeline_lib.train, _regressor(), optimiser=SGD, batch_size=8, loss=F.mse_loss)
    whole = fit(_points(), 6, optimiser=partial(torch.optim.SGD, lr=0.05)).state_dict()
    torch.manual_seed(9)
    state = torch.get_rng_state()
    half = fit(_points(), 4, optimiser=partial(torch.optim.SGD, lr=0.05))
    assert torch.equal(torch.get_rng_state(), state)
    rest = pipeline_lib.train(half, _points(), 6, partial(torch.optim.SGD, lr=0.05), step=4, batch_size=8, loss=F.mse_loss)
    assert toys.same(rest.state_dict(), whole)
    loader = DataLoader(TensorDataset(*_points()), batch_size=3, shuffle=True)
    assert toys.same(fit(loader, 6).state_dict(), fit(_points(), 6).state_dict())
    assert not toys.same(fit(_points(), 6, order=1).state_dict(), fit(_points(), 6).state_dict())


@pytest.mark.parametrize("make", [SGD, partial(torch.optim.AdamW, lr=0.1, weight_decay=0.1)])
def test_pruned_weights_stay_zero(make):
    network = _regressor()
    mask = pipeline_lib.prune(network, fraction=0.5)
    assert set(mask) == {"inner.weight", "outer.weight"}
    trained = pipeline_lib.train(network, _points(), 5, make, mask=mask, batch_size=8, loss=F.mse_loss)
    for name, keep in mask.items():
        weight = trained.get_parameter(name).detach()
        assert bool((weight[torch.from_numpy(~keep)] == 0).all())
        assert bool((weight[torch.from_numpy(keep)] != 0).all())


def test_what_is_given_wrongly_is_said():
    network = _regressor()
    with pytest.raises(ValueError, match=r"networks must have the same tensors, got 0.bias of none and \(1,\); compare networks"):
        pipeline_lib.path(network, nn.Sequential(nn.Linear(3, 1)), _points(), loss=F.mse_loss)
    with pytest.raises(
        ValueError, match=r"data must be two tensors .* each time they are gone through, got .*; give a DataLoader"
    ):
        pipeline_lib.evaluate(network, iter([_points()]), F.mse_loss)
    with pytest.raises(ValueError, match=r"data to train on must be two tensors .*, got list; batch t is drawn from"):
        pipeline_lib.train(network, [_points()], 3, SGD)
    with pytest.raises(ValueError, match=r"data must have examples, got none; the loss is their mean"):
        pipeline_lib.evaluate(network, [], F.mse_loss)
    with pytest.raises(ValueError, match=r"until must be at least the network's step 4, got 3; train only goes forward"):
        pipeline_lib.train(network, _points(), 3, SGD, step=4)
    with pytest.raises(ValueError, match=r"mask of 'inner.weight' must have shape \(4, 3\), got \(2, 2\)"):
        pipeline_lib.train(network, _points(), 3, SGD, mask={"inner.weight": np.ones((2, 2), dtype=bool)})
    with pytest.raises(ValueError, match=r"training must stay finite, got none before step 30; lower the learning rate"):
        pipeline_lib.train(network, _points(), 30, partial(torch.optim.SGD, lr=1e30), loss=F.mse_loss, batch_size=8)
    with pytest.raises(ValueError, match=r"network must have linear layers or 2-d convolutions, got none to prune"):
        pipeline_lib.prune(nn.LayerNorm(3))
    with pytest.raises(ValueError, match=r"batch_size must be in \[1, 40\], got 0; there are so many examples"):
        pipeline_lib.train(network, _points(), 3, SGD, batch_size=0)
    with pytest.raises(ValueError, match=r"optimiser must make one from parameters, .*, got SGD; give what makes it"):
        pipeline_lib.train(network, _points(), 3, SGD(network.parameters()))
    with pytest.raises(ValueError, match=r"first argument must be a world, .*, got str; checkpoint reads a module's weights"):
        pipeline_lib.path("a.pt", "b.pt", _points())
    with pytest.raises(ValueError, match=r"mask must fit the network, got a mask of 'other', which it lacks"):
        pipeline_lib.prune(network, {"other": np.ones((2, 2), dtype=bool)})
    with pytest.raises(ValueError, match=r"name of a parameter must be one of .*, got 'iner.weight'; did you mean 'inner.w"):
        pipeline_lib.plane(network, network, network, _points(), names=["iner.weight"])
    for grid, told in (({"num": 1}, "num must be at least 2, got 1"), ({"margin": -0.5}, "margin must be at least 0, got -0.5")):
        with pytest.raises(ValueError, match=told):
            pipeline_lib.plane(network, network, network, _points(), loss=F.mse_loss, **grid)
    with pytest.raises(ValueError, match=r"width must be positive, got -1.0; it is in units of the eigenvalues"):
        pipeline_lib.spectral_density(
            pipeline_lib.hessian(network, _points(), iterations=2, probes=1, loss=F.mse_loss), width=-1.0
        )


def _classes(num: int = 40) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    x, value = _points(num)
    return nn.Sequential(nn.Linear(3, 2)), (x, (value > 0).long())


def _without(x: Tensor, value: float) -> Tensor:
    return x.index_fill(0, torch.tensor([3]), value)


WRONG_DATA = {
    "labels from 1": (
        lambda x, y: (x, y + 1),
        r"targets must be numbers of the network's 2 outputs, got: Target 2 .*Count",
    ),
    "no tensors": (lambda x, y: (x.numpy(), y.numpy()), r"two tensors \(inputs, targets\).*, got "),
    "more inputs": (lambda x, y: (x, y[:30]), r"inputs must have a target each, got 40 inputs and 30 targets"),
    "more targets": (lambda x, y: (x[:30], y), r"inputs must have a target each, got 30 inputs and 40 targets"),
}


@pytest.mark.parametrize("name", WRONG_DATA)
def test_data_that_do_not_fit_are_refused_by_all_that_look_at_them(name):
    network, data = _classes()
    change, message = WRONG_DATA[name]
    asked = (
        lambda given: pipeline_lib.evaluate(network, given),
        lambda given: pipeline_lib.instability(network, network, given, num=3),
        lambda given: pipeline_lib.hessian(network, given, iterations=2, probes=1),
        lambda given: pipeline_lib.train(network, given, 3, SGD, batch_size=20),
    )
    for ask in asked:
        with pytest.raises(ValueError, match=message):
            ask(change(*data))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_inputs_that_are_no_numbers_have_no_error(value):
    """A network's outputs for them are none either, and their largest would count as a prediction."""
    network, (x, y) = _classes()
    for given in ((_without(x, value), y), [(x, y), (_without(x, value), y)]):
        with pytest.raises(ValueError, match=r"inputs must be finite, got NaN or infinity; leave these examples out"):
            pipeline_lib.evaluate(network, given)
