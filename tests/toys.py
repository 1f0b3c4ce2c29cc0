"""Networks of at most 100 parameters, and data, masks and experiments to go with them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor, nn

from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.rng import numpy_generator, torch_generator
from pipeline_lib.core.types import Dataset, Split, State
from pipeline_lib.experiments import config
from pipeline_lib.networks.mlp import mlp
from pipeline_lib.planning import nodes, plan
from pipeline_lib.training.initialisers.kaiming import kaiming_normal
from pipeline_lib.training.loop import Member, Recipe, train

CLASSES = 3
SHAPE = (1, 4, 4)


def dense_net() -> nn.Sequential:
    """An MLP of 83 parameters."""
    return mlp(SHAPE, CLASSES, widths=(4,))


def norm_net() -> nn.Sequential:
    """A convolution, BatchNorm and a linear layer: 49 parameters, 5 buffer entries."""
    body = OrderedDict(bn=nn.BatchNorm2d(2), relu=nn.ReLU(), flatten=nn.Flatten(), fc=nn.Linear(8, CLASSES))
    return nn.Sequential(OrderedDict(stem=nn.Conv2d(1, 2, 3, bias=False), body=nn.Sequential(body)))


NETWORKS = {"dense": dense_net, "norm": norm_net}


def double(state: State) -> State:
    def cast(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: t.double() if t.is_floating_point() else t for name, t in tensors.items()}

    return State(cast(state.params), cast(state.buffers), state.step)


def start(network: nn.Module, seed: int = 0) -> State:
    return kaiming_normal(network, torch_generator("toy", seed))


def scrambled(network: nn.Module, seed: int = 0) -> State:
    """A state whose BatchNorm statistics are not the initial ones."""
    state, generator = start(network, seed), torch_generator("scramble", seed)
    buffers = {
        n: torch.rand(t.shape, generator=generator) + 0.5 if t.is_floating_point() else t for n, t in state.buffers.items()
    }
    return State(state.params, buffers, state.step)


def random_mask(network: nn.Module, seed: int = 0, density: float = 0.5) -> dict[str, np.ndarray]:
    rng = numpy_generator("toy mask", seed)
    return {name: rng.random(network.get_parameter(name).shape) < density for name in prunable(network)}


def masked(state: State, mask: Mapping[str, np.ndarray]) -> State:
    params = {n: t * torch.from_numpy(mask[n]) if n in mask else t for n, t in state.params.items()}
    return State(params, state.buffers, state.step, state.slots)


class DoubleStream:
    """Batches of six random examples in float64."""

    def __init__(self, seed: int = 0, order: int = 0, size: int = 6) -> None:
        self._who, self._size = (seed, order), size

    def load(self, step: int) -> None:
        generator = torch_generator("toy batch", *self._who, step)
        x = torch.randn((self._size, *SHAPE), generator=generator, dtype=torch.float64)
        self._batch = x, torch.randint(CLASSES, (self._size,), generator=generator)

    def draw(self) -> tuple[Tensor, Tensor]:
        return self._batch

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        self.load(step)
        return self.draw()


def train_one(network, start, mask, stream, make_optimiser, schedule, until, monitor=None) -> State:
    """Train a single member and return its state."""
    member = Member(start, mask, stream, monitor)
    return train(network, [member], Recipe(make_optimiser, schedule), until)[0].state


def split(num: int, name: str = "train", shape: tuple[int, int, int] = SHAPE) -> Split:
    generator = torch_generator("toy split", name)
    x = torch.randint(256, (num, *shape), generator=generator, dtype=torch.uint8)
    return Split(x, torch.randint(CLASSES, (num,), generator=generator))


def dataset(num_train: int = 20, num_test: int = 11, shape: tuple[int, int, int] = SHAPE) -> Dataset:
    channels = shape[0]
    return Dataset(
        split(num_train, "train", shape), split(num_test, "test", shape), CLASSES, (0.4,) * channels, (0.3,) * channels
    )


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether two dicts hold the same names, in the same order, and the same bits."""
    return list(first) == list(second) and all(t.dtype == second[n].dtype and torch.equal(t, second[n]) for n, t in first.items())


def same_state(first: State, second: State) -> bool:
    parts = ((first.params, second.params), (first.buffers, second.buffers), (first.slots, second.slots))
    return first.step == second.step and all(same(a, b) for a, b in parts)


def task(**more: Any) -> dict[str, Any]:
    """A recipe of six steps on scikit-learn's digits."""
    recipe: dict[str, Any] = {
        "network": {"name": "mlp", "widths": [2]},
        "dataset": {"name": "digits"},
        "optimiser": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
        "batch_size": 32,
        "steps": 6,
        "evaluate_every": 3,
    }
    return recipe | more


def raw_config(results: Path | str = "results", **experiment: Any) -> dict[str, Any]:
    """A config of one experiment, `tiny`, on the inline task `toy`."""
    given: dict[str, Any] = {"tasks": ["toy"], "seeds": 2, "orders": 2, "rewind": [0, 2], "levels": 2, "alphas": 3}
    return {"results": str(results), "tasks": {"toy": task()}, "experiments": {"tiny": given | experiment}}


def written_config(folder: Path) -> str:
    """Write the config of a small experiment for a command line, and give its path."""
    written = folder / "config.yaml"
    written.write_text(yaml.safe_dump(raw_config(folder / "results", figures=["paths_dense"], levels=0)))
    return str(written)


def make_plan(raw: Mapping[str, Any]) -> nodes.Plan:
    return plan.make_plan(config.resolve(raw))


def brought(folder: Path, network: nn.Module, of: str = "toy") -> dict[str, Any]:
    """Write three checkpoints of a network and a mask of its first layer, as a config brings them."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate("abc"):
        state = scrambled(network, seed)
        save_file({**state.params, **state.buffers}, folder / f"{name}.safetensors")
    first = prunable(network)[0]
    save_file({first: torch.from_numpy(random_mask(network)[first])}, folder / "half.safetensors")
    checkpoints = {name: {"file": str(folder / f"{name}.safetensors"), "of": of, "step": 2} for name in "abc"}
    return {"checkpoints": checkpoints, "masks": {"half": {"file": str(folder / "half.safetensors")}}}
