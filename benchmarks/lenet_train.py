"""Training LeNet-300-100 at 20 % density: our loop beside the usual one, and what each idea buys.

The ideas are laid on the usual way one after the other; each line's `usual` is the line before it, so the ratios multiply.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import mnist_shaped
from benchmarks.measure import Line, Work, compare, interleave
from pipeline_lib.core import algebra
from pipeline_lib.core.parameters import prunable
from pipeline_lib.core.torchvision_import import torchvision_datasets
from pipeline_lib.core.types import Dataset, State
from pipeline_lib.networks.mlp import mlp
from pipeline_lib.stages.support.training import Reporter, Run, Setting
from pipeline_lib.training.batches import stream
from pipeline_lib.training.initialisers.kaiming import kaiming_normal
from pipeline_lib.training.loop import Member, Recipe, train
from pipeline_lib.training.optimisers.adam import adam
from pipeline_lib.training.schedules.steps import constant

BATCH, RATE, DENSITY = 60, 12e-4, 0.2
Examples = Iterator[tuple[Tensor, Tensor]]
Step = Callable[[Tensor, Tensor], None]


def _masks(network: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {n: torch.rand(network.get_parameter(n).shape, generator=generator) < DENSITY for n in prunable(network)}


def _start(network: nn.Module, masks: dict[str, Tensor]) -> State:
    drawn = kaiming_normal(network, torch.Generator().manual_seed(2))
    return State({name: tensor * masks.get(name, 1) for name, tensor in drawn.params.items()})


def _loader(dataset: Dataset, root: Path) -> Callable[[], Examples]:
    """Read images the usual way: one PIL image at a time through torchvision's transforms."""
    datasets = torchvision_datasets()
    from torchvision import transforms

    mnist_shaped.write_idx(dataset.train, root)
    convert = transforms.Compose([transforms.ToTensor(), transforms.Normalize(dataset.mean, dataset.std)])
    data = datasets.MNIST(str(root), train=True, transform=convert)
    loader = torch.utils.data.DataLoader(data, batch_size=BATCH, shuffle=True, drop_last=True, num_workers=0)
    return lambda: itertools.chain.from_iterable(itertools.repeat(loader))


def _in_memory(dataset: Dataset) -> Callable[[], Examples]:
    """Read images our way."""
    source = stream(dataset, (0, 0), BATCH)

    def examples() -> Examples:
        for step in itertools.count():
            source.load(step)
            yield source.draw()

    return examples


def _network(flat: bool) -> tuple[nn.Module, Tensor, dict[str, Tensor]]:
    """Build the masked network; `flat` lays its parameters and gradients out as views of two vectors."""
    network = mlp(mnist_shaped.SHAPE, 10, mnist_shaped.WIDTHS)
    masks = _masks(network)
    start = _start(network, masks)
    network.load_state_dict(start.params)
    vector = algebra.to_vector(start.params)
    if flat:
        vector.grad = torch.zeros_like(vector)
        gradients = algebra.views(vector.grad, start.params)
        for name, view in algebra.views(vector, start.params).items():
            parameter = network.get_parameter(name)
            parameter.data, parameter.grad = view, gradients[name]
    return network.train(), vector, masks


def _usual_step(flat: bool, mask_gradient: bool) -> Step:
    """Make one step of the usual loop, with up to two of our ideas in it."""
    network, vector, masks = _network(flat)
    optimiser = adam(vector, RATE) if flat else torch.optim.Adam(network.parameters(), lr=RATE)
    masked = [(network.get_parameter(name), mask.float()) for name, mask in masks.items()]
    shapes = {name: parameter.detach() for name, parameter in network.named_parameters()}
    kept = algebra.to_vector({name: masks.get(name, torch.ones_like(p)) for name, p in shapes.items()})

    def step(x: Tensor, y: Tensor) -> None:
        optimiser.zero_grad(set_to_none=not flat)
        loss = F.cross_entropy(network(x), y)
        loss.backward()
        if mask_gradient:
            assert vector.grad is not None
            vector.grad.mul_(kept)
        optimiser.step()
        if not mask_gradient:
            with torch.no_grad():
                for parameter, mask in masked:
                    parameter.mul_(mask)

    return step


def _loop(examples: Callable[[], Examples], step: Step, num_steps: int) -> Work:
    def work() -> None:
        for x, y in itertools.islice(examples(), num_steps):
            step(x, y)

    return work


def _ours(dataset: Dataset, num_steps: int, report: bool) -> Work:
    """Train by the pipeline's own loop, with the monitor of its training stage or without."""
    network = mlp(mnist_shaped.SHAPE, 10, mnist_shaped.WIDTHS)
    masks = _masks(network)
    start, source = _start(network, masks), stream(dataset, (0, 0), BATCH)
    arrays = {name: mask.numpy() for name, mask in masks.items()}
    recipe = Recipe(partial(adam, lr=RATE), constant())
    setting = Setting({}, network, dataset, num_steps)  # type: ignore[typeddict-item]

    def work() -> None:
        monitor = Reporter(setting, Run(start, arrays, (0, 0)), []) if report else None
        train(network, [Member(start, arrays, source, monitor)], recipe, num_steps)

    return work


def run(full: bool) -> list[Line]:
    """Time all ways in turn."""
    num_steps, repeats = (1000, 15) if full else (300, 7)
    dataset = mnist_shaped.dataset(60_000, BATCH)
    with tempfile.TemporaryDirectory() as folder:
        loader, memory = _loader(dataset, Path(folder)), _in_memory(dataset)
        ways = {
            "usual": _loop(loader, _usual_step(flat=False, mask_gradient=False), num_steps),
            "data_in_memory": _loop(memory, _usual_step(flat=False, mask_gradient=False), num_steps),
            "flat_fused_adam": _loop(memory, _usual_step(flat=True, mask_gradient=False), num_steps),
            "flat_masked_gradient": _loop(memory, _usual_step(flat=True, mask_gradient=True), num_steps),
            "functional_loop": _ours(dataset, num_steps, report=False),
            "reporting": _ours(dataset, num_steps, report=True),
        }
        times = interleave(ways, repeats)
    lines = [compare("lenet_train", times["functional_loop"], times["usual"])]
    lines += [compare(f"lenet_train/{name}", times[name], times[before]) for before, name in itertools.pairwise(ways)]
    return lines
