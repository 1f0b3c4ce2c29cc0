"""How alike the representations of two networks are: linear centred kernel alignment, block by block."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib.core.parameters import blocks, parts
from pipeline_lib.core.types import Dataset, Split, State
from pipeline_lib.training.evaluation import chunks, part
from pipeline_lib.training.precision import Numerics


def linear_cka(first: Tensor, second: Tensor) -> float:
    """Compute the linear centred kernel alignment of two representations of the same examples.

    `CKA = |Y^T X|_F^2 / (|X^T X|_F |Y^T Y|_F)` with columns centred; it is 1 where one is the other turned and scaled, and NaN
    where one does not depend on the example.

    Args:
        first: X, (n, p).
        second: Y, (n, q).

    Source: Kornblith, Norouzi, Lee and Hinton, Similarity of neural network representations revisited, ICML 2019, equation 3 with
        linear kernels, which needs (n, n) matrices only.
    """
    grams = []
    for x in (first, second):
        centred = x.double() - x.double().mean(0)
        grams.append(centred @ centred.T)
    return float((grams[0] * grams[1]).sum() / (grams[0].norm() * grams[1].norm()))


@torch.no_grad()
def representations(
    network: nn.Sequential, state: State, split: Split, dataset: Dataset, numerics: Numerics
) -> dict[str, Tensor]:
    """Compute what each block with parameters gives for the examples of a split, in eval mode.

    Args:
        network: template with a `stem` and a `body`.
        state: of the network, on the device of the split's labels.
        split: the examples, n of them.
        dataset: gives the normalisation.
        numerics: precision and memory layout.

    Returns:
        By block, (n, numbers of its output).
    """
    network.eval()
    tensors = numerics.lay_all({**state.params, **state.buffers})
    found: dict[str, list[Tensor]] = {name: [] for name in blocks(network)}
    with numerics.autocast(split.y.device):
        for images, _ in chunks(split, dataset, numerics):
            hidden = images
            for name, child in parts(network):
                hidden = functional_call(child, part(tensors, name), (hidden,))
                if name in found:
                    found[name].append(hidden.flatten(1).float())
    return {name: torch.cat(each) for name, each in found.items()}
