from __future__ import annotations

from collections import OrderedDict
from unittest import mock

import pytest
import torch
import toys
from torch.func import functional_call

from pipeline_lib.analysis.paths import alphas, distances, layerwise, paths, recomputed_paths, summarise, with_midpoint
from pipeline_lib.core import algebra
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.types import Dataset, Split, State
from pipeline_lib.training.batches import Normaliser
from pipeline_lib.training.evaluation import Score, chunks, evaluate
from pipeline_lib.training.precision import Numerics

DATA = toys.dataset(num_train=37)


@pytest.fixture(params=list(toys.NETWORKS))
def network(request):
    return toys.NETWORKS[request.param]()


def _states(network, num: int = 3) -> list[State]:
    return [toys.scrambled(network, seed) for seed in range(num)]


@pytest.fixture
def ragged(monkeypatch):
    """Chunks of ten, so that the last of the 37 images are a partial one."""
    monkeypatch.setattr("pipeline_lib.training.evaluation.chunk_size", lambda split: 10)


def test_the_ends_are_the_states_own_evaluations_bit_for_bit(network, ragged):
    states = _states(network)
    own = [evaluate(network, state, DATA.train, DATA) for state in states]
    found = paths(network, states, [(0, 1), (0, 2), (2, 1)], alphas(4), DATA.train, DATA)
    for (i, j), scores in found.items():
        assert scores[-1] == own[i]
        assert scores[0] == own[j]


def test_inner_points_are_evaluations_of_the_mixture(network, ragged):
    states = _states(network)
    found = paths(network, states, [(0, 1), (2, 1)], [0.0, 0.3, 0.8], DATA.train, DATA)
    for (i, j), scores in found.items():
        for alpha, score in zip([0.3, 0.8], scores[1:], strict=True):
            mixture = State(*(algebra.lerp(b, a, alpha) for a, b in zip(_parts(states[i]), _parts(states[j]), strict=True)))
            expected = evaluate(network, mixture, DATA.train, DATA)
            assert score.error == expected.error
            assert score.loss == pytest.approx(expected.loss, rel=1e-5)


def _parts(state: State):
    return state.params, state.buffers


def test_statistics_are_mixed_too():
    network = toys.norm_net()
    first = toys.scrambled(network)
    second = State(first.params, toys.scrambled(network, 1).buffers)
    scores = paths(network, [first, second], [(0, 1)], [0.0, 0.5, 1.0], DATA.train, DATA)[0, 1]
    frozen = State(first.params, algebra.lerp(second.buffers, first.buffers, 0.5))
    assert scores[1].loss == pytest.approx(evaluate(network, frozen, DATA.train, DATA).loss, rel=1e-5)
    assert scores[1].loss != pytest.approx(scores[2].loss, rel=1e-3)


def test_block_by_block_only_that_blocks_tensors_move(network, ragged):
    first, second = _states(network, 2)
    found = layerwise(network, first, second, [0.0, 0.5, 1.0], DATA.train, DATA)
    moved = {block: {name for name in _all(first) if name.startswith(f"{block}.")} for block in found}
    assert set.union(*moved.values()) == {*_all(first)}, "every tensor is some block's"
    for block, scores in found.items():
        for alpha, score in zip([0.0, 0.5, 1.0], scores, strict=True):
            parts = []
            for own, other in zip(_parts(first), _parts(second), strict=True):
                there = algebra.lerp(own, other, alpha)
                parts.append({name: there[name] if name in moved[block] else tensor for name, tensor in own.items()})
            expected = evaluate(network, State(*parts), DATA.train, DATA)
            assert score.error == expected.error
            assert score.loss == pytest.approx(expected.loss, rel=1e-5)


def _all(state: State):
    return {**state.params, **state.buffers}


def test_a_pair_of_equal_states_has_no_instability(network):
    state = toys.scrambled(network)
    scores = paths(network, [state, state], [(0, 1)], alphas(30), DATA.train, DATA)[0, 1]
    assert {score.error for score in scores} == {evaluate(network, state, DATA.train, DATA).error}


def test_the_states_are_not_changed(network):
    states, before = _states(network, 2), _states(network, 2)
    paths(network, states, [(0, 1)], alphas(3), DATA.train, DATA)
    assert all(toys.same_state(a, b) for a, b in zip(states, before, strict=True))


def test_the_result_does_not_depend_on_the_other_pairs(network):
    states = _states(network)
    together = paths(network, states, [(0, 1), (0, 2)], alphas(5), DATA.test, DATA)
    assert together[0, 1] == paths(network, states[:2], [(0, 1)], alphas(5), DATA.test, DATA)[0, 1]


def test_alphas_are_evenly_spaced_with_both_ends():
    assert alphas(5) == [0, 0.25, 0.5, 0.75, 1]
    assert (alphas(30)[0], alphas(30)[-1], len(set(alphas(30)))) == (0, 1, 30)


def test_a_single_alpha_is_refused():
    with pytest.raises(ValueError, match="alphas must be at least 2, got 1; the path needs both ends"):
        alphas(1)


def test_distances_in_closed_form():
    network = toys.norm_net()
    first = toys.start(network)
    second = State({n: t + 2 for n, t in first.params.items()}, {n: t + 50 for n, t in first.buffers.items()})
    gap = distances(first, second, prunable(network))
    assert gap.params == pytest.approx(2 * 49**0.5, rel=1e-6)
    assert gap.weights == pytest.approx(2 * (18 + 24) ** 0.5, rel=1e-6)


def test_no_gradients_are_kept(network):
    state = toys.scrambled(network)
    leaves = State({n: t.clone().requires_grad_() for n, t in state.params.items()}, state.buffers)
    paths(network, [leaves, leaves], [(0, 1)], alphas(3), DATA.test, DATA)
    assert all(t.grad is None for t in leaves.params.values())
    assert torch.is_grad_enabled()


def _scores(errors: list[float], losses: list[float] | None = None) -> list[Score]:
    return [Score(error, loss) for error, loss in zip(errors, losses or [0.0] * len(errors), strict=True)]


def test_the_three_barriers_in_closed_form():
    """Ends of error 0.1 (alpha = 0) and 0.3 (alpha = 1): the chord at 1/4 is 0.15, at 3/4 is 0.25."""
    points = [0.0, 0.25, 0.5, 0.75, 1.0]
    found = summarise(points, _scores([0.1, 0.4, 0.2, 0.2, 0.3], [1.0, 1.0, 5.0, 1.0, 3.0]), 5)
    assert found.mean_end_error == pytest.approx(0.2)
    assert found.max_error == 0.4
    assert found.instability == pytest.approx(0.2)
    assert found.barrier == pytest.approx(0.25)
    assert found.loss_barrier == pytest.approx(3.0)
    assert found.midpoint_error == 0.2


def test_a_straight_path_has_no_barrier_though_one_end_is_worse():
    found = summarise([0.0, 0.5, 1.0], _scores([0.0, 0.5, 1.0], [0.0, 0.4, 1.0]), 3)
    assert (found.instability, found.barrier, found.loss_barrier) == (0.5, 0.0, 0.0)


def test_the_midpoint_counts_for_itself_alone_where_it_is_no_grid_point():
    points = with_midpoint(alphas(4))
    assert points == [0, 1 / 3, 0.5, 2 / 3, 1]
    found = summarise(points, _scores([0.1, 0.2, 0.9, 0.2, 0.1]), 4)
    assert (found.max_error, found.midpoint_error) == (0.2, 0.9)
    assert with_midpoint(alphas(3)) == alphas(3)


def test_recomputed_statistics_are_those_of_update_bn():
    """Oracle: torch's own `update_bn` over the same chunks, all of one size, then plain evaluation."""
    net, data = toys.norm_net(), toys.dataset(num_train=40)
    states = _states(net, 2)
    with (
        mock.patch("pipeline_lib.analysis.paths.STATISTICS_CHUNK", 10),
        mock.patch("pipeline_lib.training.evaluation.chunk_size", lambda split: 10),
    ):
        found = recomputed_paths(net, states, [(0, 1)], [0.0, 0.5, 1.0], data.test, data, Numerics())[0, 1]
        images = [x for x, _ in chunks(data.train, data, Numerics())]
        for alpha, score in zip([0.0, 0.5, 1.0], found, strict=True):
            module = toys.norm_net()
            mixture = [algebra.lerp(b, a, alpha) for a, b in zip(_parts(states[0]), _parts(states[1]), strict=True)]
            module.load_state_dict({**mixture[0], **mixture[1]})
            torch.optim.swa_utils.update_bn(images, module)
            tensors = {n: t.detach() for n, t in module.state_dict().items()}
            own = State({n: tensors[n] for n in mixture[0]}, {n: tensors[n] for n in mixture[1]})
            expected = evaluate(net, own, data.test, data)
            assert score.error == expected.error
            assert score.loss == pytest.approx(expected.loss, rel=1e-6)
            assert score.loss != pytest.approx(evaluate(net, State(*mixture), data.test, data).loss, rel=1e-4)


def test_statistics_of_layers_over_vectors_are_recomputed_too():
    body = torch.nn.Sequential(torch.nn.Linear(16, 5), torch.nn.BatchNorm1d(5), torch.nn.ReLU(), torch.nn.Linear(5, toys.CLASSES))
    net = torch.nn.Sequential(OrderedDict(stem=torch.nn.Flatten(), body=body))
    generator = torch.Generator().manual_seed(0)
    state = State({n: torch.randn(p.shape, generator=generator) for n, p in net.named_parameters()}, dict(net.named_buffers()))
    found = recomputed_paths(net, [state, state], [(0, 1)], [1.0], DATA.test, DATA, Numerics())[0, 1]
    images = [x for x, _ in chunks(DATA.train, DATA, Numerics())]
    net.load_state_dict(state.params, strict=False)
    torch.optim.swa_utils.update_bn(images, net)
    own = State(state.params, {name: each.clone() for name, each in net.named_buffers()})
    assert found[0].loss == pytest.approx(evaluate(net, own, DATA.test, DATA).loss, rel=1e-5)


def test_statistics_come_from_images_of_all_classes_in_chunks_of_one_size_that_count_by_their_sizes():
    """The first images of a folder lie class by class; the last chunk is smaller, and on GPUs evaluation's are larger."""
    net = toys.norm_net()
    (state,) = _states(net, 1)
    x = toys.split(300).x
    data = Dataset(Split(x, torch.arange(300) // 100), DATA.test, 3, DATA.mean, DATA.std)
    seen: list[torch.Tensor] = []
    handle = net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]) if module.training else None)
    with mock.patch("pipeline_lib.analysis.paths.STATISTICS_IMAGES", 150):
        found = recomputed_paths(net, [state, state], [(0, 1)], [1.0], data.test, data, Numerics())
    handle.remove()
    assert [len(each) for each in seen] == [128, 22]
    drawn = {float(image.sum()) for each in seen for image in each}
    assert all(len(drawn & set(Normaliser(data)(x[100 * i : 100 * i + 100]).sum((1, 2, 3)).tolist())) > 20 for i in range(3))
    stem = functional_call(net[0], {"weight": state.params["stem.weight"]}, (torch.cat(seen),))
    own = {**state.params, **state.buffers}
    own["body.bn.running_mean"] = stem.mean((0, 2, 3))
    own["body.bn.running_var"] = (128 * stem[:128].var((0, 2, 3)) + 22 * stem[128:].var((0, 2, 3))) / 150
    expected = evaluate(net, State({n: own[n] for n in state.params}, {n: own[n] for n in state.buffers}), data.test, data)
    assert found[0, 1][0].loss == pytest.approx(expected.loss, rel=1e-5)


def test_recomputing_leaves_the_states_and_the_network_as_they_were():
    net = toys.norm_net()
    states, before = _states(net, 2), _states(net, 2)
    momentum = net[1].bn.momentum
    recomputed_paths(net, states, [(0, 1)], [0.0, 1.0], DATA.test, DATA, Numerics())
    assert all(toys.same_state(a, b) for a, b in zip(states, before, strict=True))
    assert (net[1].bn.momentum, net.training) == (momentum, False)


def test_points_with_recomputed_statistics_bring_nothing_to_the_device(monkeypatch):
    """Constants and images go there once, so that a GPU does not wait at each point."""
    net, made = toys.norm_net(), []
    for module in ("analysis.paths", "training.evaluation"):
        monkeypatch.setattr(f"pipeline_lib.{module}.Normaliser", lambda *given: made.append(1) or Normaliser(*given))
    for num in (2, 5):
        recomputed_paths(net, _states(net, 2), [(0, 1)], alphas(num), DATA.test, DATA, Numerics())
    assert len(made) == 2 * 2
