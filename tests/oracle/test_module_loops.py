"""Evaluation and interpolation against plain module calls; cannot catch a wrong network, which both would share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import toys
from torch import Tensor, nn

from pipeline_lib.analysis.paths import alphas, paths
from pipeline_lib.core.types import Split, State
from pipeline_lib.networks.mlp import mlp
from pipeline_lib.networks.resnet import resnet_cifar
from pipeline_lib.training.evaluation import Score, evaluate
from pipeline_lib.training.precision import Numerics

SHAPE = (1, 8, 8)
DATA = toys.dataset(num_train=43, num_test=8, shape=SHAPE)
NETWORKS: dict[str, Callable[[], nn.Sequential]] = {
    "mlp": lambda: mlp(SHAPE, toys.CLASSES, (3, 2)),
    "resnet": lambda: resnet_cifar(SHAPE, toys.CLASSES, blocks=1, width=1),
}


@pytest.fixture(params=list(NETWORKS))
def network(request):
    return NETWORKS[request.param]()


@pytest.fixture(autouse=True)
def ragged(monkeypatch):
    monkeypatch.setattr("pipeline_lib.training.evaluation.chunk_size", lambda split: 10)


def _by_hand(network: nn.Sequential, tensors: dict[str, Tensor], split: Split) -> Score:
    """One image at a time through a loaded module."""
    network.load_state_dict(tensors)
    network.eval()
    wrong, loss = 0, 0.0
    with torch.no_grad():
        for image, label in zip(split.x, split.y, strict=True):
            logits = network(((image.float() / 255 - DATA.mean[0]) / DATA.std[0])[None])[0]
            wrong += int(logits.argmax() != label)
            loss += float(torch.logsumexp(logits.double(), 0) - logits[label])
    return Score(wrong / len(split.y), loss / len(split.y))


def _states(network: nn.Sequential) -> list[State]:
    return [toys.scrambled(network, seed) for seed in range(3)]


def _mixture(first: State, second: State, alpha: float) -> dict[str, Tensor]:
    ends = [{**s.params, **s.buffers} for s in (first, second)]
    return {n: alpha * t + (1 - alpha) * ends[1][n] if t.is_floating_point() else t for n, t in ends[0].items()}


@pytest.mark.parametrize("channels_last", [False, True])
def test_evaluate_is_the_loop_over_images(network, channels_last):
    for state in _states(network):
        score = evaluate(network, state, DATA.train, DATA, Numerics(channels_last=channels_last))
        expected = _by_hand(network, {**state.params, **state.buffers}, DATA.train)
        assert score.error == expected.error
        assert score.loss == pytest.approx(expected.loss, rel=1e-5)


def test_paths_is_the_loop_over_mixed_states(network):
    states, points = _states(network), alphas(7)
    found = paths(network, states, [(0, 1), (0, 2), (1, 2)], points, DATA.train, DATA)
    for (i, j), scores in found.items():
        for alpha, score in zip(points, scores, strict=True):
            expected = _by_hand(network, _mixture(states[i], states[j], alpha), DATA.train)
            assert score.error == expected.error
            assert score.loss == pytest.approx(expected.loss, rel=1e-5)
