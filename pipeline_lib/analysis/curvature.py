"""Curvature of the training loss over the surviving weights, as products with vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from pipeline_lib.analysis.lanczos import Matvec
from pipeline_lib.core.types import Mask, State
from pipeline_lib.training.room import Room, fitting

Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]
Product = Callable[[Sequence[Tensor]], Sequence[Tensor]]
Local = Callable[[Tensor, Tensor, Sequence[Tensor]], Product]
MODES = ("eval", "train")


class _Survivors:
    """The surviving entries of the named tensors, one after the other as one vector."""

    def __init__(self, leaves: dict[str, Tensor], mask: Mask | None) -> None:
        self._shapes = [leaf.shape for leaf in leaves.values()]
        kept = [np.ones(leaf.shape, dtype=bool) if mask is None else mask[name] for name, leaf in leaves.items()]
        for (name, leaf), keep in zip(leaves.items(), kept, strict=True):
            if keep.shape != tuple(leaf.shape):
                expected = tuple(leaf.shape)
                raise ValueError(f"mask of {name!r} must have shape {expected}, got {keep.shape}; use this network's mask")
        flat = torch.from_numpy(np.concatenate([keep.reshape(-1) for keep in kept]))
        self._num, device = len(flat), next(iter(leaves.values())).device
        self._index = flat.nonzero()[:, 0].to(device)
        if not len(self._index):
            raise ValueError(f"mask must keep weights of the named tensors, got none of {self._num}; curvature needs some")

    def gather(self, tensors: Iterable[Tensor]) -> Tensor:
        return torch.cat([tensor.reshape(-1) for tensor in tensors])[self._index]

    def scatter(self, vector: Tensor) -> list[Tensor]:
        flat = vector.new_zeros(self._num).index_copy_(0, self._index, vector)
        pieces = flat.split([shape.numel() for shape in self._shapes])
        return [piece.view(shape) for piece, shape in zip(pieces, self._shapes, strict=True)]


def _hessian(logits: Tensor, y: Tensor, leaves: Sequence[Tensor]) -> Product:
    """Double backward; the graph of the gradient serves all vectors of a block."""
    gradient = torch.autograd.grad(F.cross_entropy(logits, y, reduction="sum"), leaves, create_graph=True)
    return lambda vectors: torch.autograd.grad(gradient, leaves, vectors, retain_graph=True)


def _gauss_newton(logits: Tensor, y: Tensor, leaves: Sequence[Tensor]) -> Product:
    """`J^T (diag(p) - p p^T) J` summed over examples; J v is the derivative of J^T u in u."""
    u = torch.zeros_like(logits, requires_grad=True)
    pulled = torch.autograd.grad(logits, leaves, u, create_graph=True)
    p = logits.detach().softmax(1)

    def product(vectors: Sequence[Tensor]) -> Sequence[Tensor]:
        (pushed,) = torch.autograd.grad(pulled, u, vectors, retain_graph=True)
        curved = p * pushed
        return torch.autograd.grad(logits, leaves, curved - p * curved.sum(1, keepdim=True), retain_graph=True)

    return product


@dataclass(frozen=True)
class _Loss:
    """The summed cross-entropy of a batch as a function of some leaves, all else of the state being fixed."""

    network: nn.Module
    state: State
    leaves: dict[str, Tensor]
    mode: str

    def logits(self, x: Tensor) -> Tensor:
        self.network.train(self.mode == "train")
        # BatchNorm in train mode writes to the buffers that it is given.
        buffers = {name: tensor.clone() for name, tensor in self.state.buffers.items()}
        return functional_call(self.network, {**self.state.params, **self.leaves, **buffers}, (x,))

    def gradient(self, x: Tensor, y: Tensor) -> Sequence[Tensor]:
        return torch.autograd.grad(F.cross_entropy(self.logits(x), y, reduction="sum"), list(self.leaves.values()))

    def products(self, x: Tensor, y: Tensor, local: Local, vectors: Iterable[Sequence[Tensor]]) -> list[Sequence[Tensor]]:
        product = local(self.logits(x), y, list(self.leaves.values()))
        return [product(vector) for vector in vectors]


def _check(state: State, names: Sequence[str], mask: Mask | None, mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"mode must be eval or train, got {mode!r}; choose what BatchNorm normalises with")
    for where, known in (("the state", state.params), ("the mask", state.params if mask is None else mask)):
        if missing := [name for name in names if name not in known]:
            raise ValueError(f"names must be in {where}, got {missing[0]!r}; choose from {sorted(known)}")
    if not names:
        raise ValueError("names must have at least one tensor, got none; name the prunable ones")


def _operator(
    local: Local, network: nn.Module, state: State, batches: Batches, names: Sequence[str], mask: Mask | None, mode: str
) -> tuple[Matvec, Tensor]:
    _check(state, names, mask, mode)
    leaves = {name: state.params[name].detach().requires_grad_() for name in names}
    survivors, loss = _Survivors(leaves, mask), _Loss(network, state, leaves, mode)
    # A batch's own statistics depend on its size.
    fit: Callable[[Callable[..., Any]], Callable[..., Any]] = (
        partial(fitting, kept=Room()) if mode == "eval" else (lambda function: function)
    )

    @fit
    def gradient() -> tuple[Tensor, int]:
        # Sums over batches are in float64, so that their number adds no rounding.
        total, num = torch.zeros((), dtype=torch.float64), 0
        with torch.enable_grad():
            for x, y in batches():
                total, num = total.to(y.device) + survivors.gather(loss.gradient(x, y)).double(), num + len(y)
        return total, num

    total, num = gradient()
    if not num:
        raise ValueError("batches must yield examples, got none; the loss is their mean")

    @fit
    def matvec(vectors: Float[Tensor, "*block n"]) -> Float[Tensor, "*block n"]:
        block = vectors.reshape(-1, vectors.shape[-1])
        pieces, sums, seen = [survivors.scatter(vector) for vector in block], torch.zeros_like(block, dtype=torch.float64), 0
        with torch.enable_grad():
            for x, y in batches():
                for row, found in zip(sums, loss.products(x, y, local, pieces), strict=True):
                    row.add_(survivors.gather(found))
                seen += len(y)
        if seen != num:
            raise ValueError(f"batches must yield the same {num} examples at every call, got {seen}; let each call start anew")
        return (sums / num).to(vectors.dtype).view(vectors.shape)

    return matvec, (total / num).to(leaves[names[0]].dtype)


def hessian_product(
    network: nn.Module, state: State, batches: Batches, names: Sequence[str], mask: Mask | None, mode: str = "eval"
) -> tuple[Matvec, Float[Tensor, " num_kept"]]:
    """Make the product with the Hessian of the mean cross-entropy over a fixed set of examples, in the surviving weights alone.

    `H_ij = d^2 L / dw_i dw_j, L = (1/N) sum_n -log p(y_n | x_n)`, without weight decay. Each example counts once, however the
    batches divide them. What is named, kept and evaluated decides the answer; so does N: a subset of the data looks flatter.

    Args:
        network: template; its mode is set at each product.
        state: where to take the Hessian, on the device of the batches and in their number format.
        batches: yields (x, y) of the same N examples at each call, for example `partial(chunks, split, dataset, numerics)`.
        names: parameters in whose entries to differentiate, in this order; prunable ones as a rule.
        mask: kept entries of the named parameters; None keeps all.
        mode: BatchNorm normalises with the state's statistics ("eval") or each batch's own ("train").

    Returns:
        Products of a vector (num_kept,) or of each row of a block (k, num_kept), which shares the gradients' graphs: with four
        rows a product costs some 2.6 gradients, alone 3.6 (ResNet-20 on a CPU). Then the gradient of L, (num_kept,).

    Raises:
        ValueError: a name is unknown, nothing is kept, or the batches are empty or end at their second call.

    Source: Pearlmutter, Fast exact multiplication by the Hessian, 1994; ambiguity C-X6.
    """
    return _operator(_hessian, network, state, batches, names, mask, mode)


def gauss_newton_product(
    network: nn.Module, state: State, batches: Batches, names: Sequence[str], mask: Mask | None, mode: str = "eval"
) -> tuple[Matvec, Float[Tensor, " num_kept"]]:
    """Make the product with the generalised Gauss-Newton matrix, which is positive semi-definite.

    `G = (1/N) sum_n J_n^T (diag(p_n) - p_n p_n^T) J_n`, J the derivative of the logits; arguments as for `hessian_product`.

    Source: Schraudolph, Fast curvature matrix-vector products, 2002.
    """
    return _operator(_gauss_newton, network, state, batches, names, mask, mode)


# The matrices whose spectra can be measured, by the names that configs and tables have for them.
OPERATORS: dict[str, Callable[..., tuple[Matvec, Tensor]]] = {"hessian": hessian_product, "gauss_newton": gauss_newton_product}


def loss_product(
    loss: Callable[[Tensor, Tensor], Tensor],
    network: nn.Module,
    state: State,
    batches: Batches,
    names: Sequence[str],
    mask: Mask | None,
) -> tuple[Matvec, Float[Tensor, " num_kept"]]:
    """Make the product with the Hessian of any mean loss, in eval mode; else as `hessian_product`.

    Attention is computed by its formula: its fused kernels have no second derivatives.

    Args:
        loss: of outputs and targets, the mean over a batch.
        network: any module that maps inputs to outputs.
        state: as for `hessian_product`.
        batches: likewise, of any inputs and targets.
        names: likewise.
        mask: likewise.
    """
    _check(state, names, mask, "eval")
    leaves = {name: state.params[name].detach().requires_grad_() for name in names}
    survivors, places = _Survivors(leaves, mask), list(leaves.values())
    tensors = {**state.params, **leaves, **state.buffers}

    def over(vectors: Sequence[Tensor] | None) -> tuple[list[Tensor], int]:
        """Sum gradients, or with vectors the Hessian's products with these, over all batches in float64."""
        sums: list[Tensor] = [torch.zeros((), dtype=torch.float64)] * (1 if vectors is None else len(vectors))
        seen = 0
        with torch.enable_grad():
            for x, y in batches():
                with sdpa_kernel(SDPBackend.MATH):
                    summed = loss(functional_call(network, tensors, (x,)), y) * len(y)
                found = torch.autograd.grad(summed, places, create_graph=vectors is not None, materialize_grads=True)
                ends = [found] if vectors is None else [_directional(found, places, survivors.scatter(v)) for v in vectors]
                sums = [s.to(y.device) + survivors.gather(end).double() for s, end in zip(sums, ends, strict=True)]
                seen += len(y)
        return sums, seen

    (total,), num = over(None)
    if not num:
        raise ValueError("batches must yield examples, got none; the loss is their mean")

    def matvec(vectors: Float[Tensor, "*block n"]) -> Float[Tensor, "*block n"]:
        sums, seen = over(list(vectors.reshape(-1, vectors.shape[-1])))
        if seen != num:
            raise ValueError(f"batches must yield the same {num} examples at every call, got {seen}; let each call start anew")
        return (torch.stack(sums) / num).to(vectors.dtype).view(vectors.shape)

    return matvec, (total / num).to(places[0].dtype)


def _directional(gradient: Sequence[Tensor], places: Sequence[Tensor], vector: Sequence[Tensor]) -> Sequence[Tensor]:
    """Differentiate a gradient along a vector; parts that do not depend on the leaves, as of a linear loss, give zero."""
    pairs = [(g, v) for g, v in zip(gradient, vector, strict=True) if g.requires_grad]
    if not pairs:
        return [torch.zeros_like(place) for place in places]
    ends, starts = zip(*pairs, strict=True)
    return torch.autograd.grad(ends, places, starts, retain_graph=True, materialize_grads=True)
