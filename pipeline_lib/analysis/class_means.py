"""Class means of the logits' gradients, whose Gram matrix foretells the outliers of the spectrum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from pipeline_lib.core.types import Mask, State


def gram_values(
    network: nn.Module,
    state: State,
    batches: Iterable[tuple[Tensor, Tensor]],
    names: Sequence[str],
    mask: Mask,
    num_classes: int,
) -> Float[np.ndarray, " num_classes"]:
    """Compute the eigenvalues of the Gram matrix of class means, which the Gauss-Newton matrix's largest ones are above.

    `K_cd = sqrt(n_c n_d) / (N (C - 1)) <s_c, s_d>`, s_c the mean over the images of class c of
    `sum_{c' != c} sqrt(p_c') d(z_c' - sum_k p_k z_k) / dw`. The Gauss-Newton matrix is the mean over images of the sum over c' of
    the outer products of these gradients; means in place of all of them leave out what is spread within, so that its k-th largest
    eigenvalue is at least the k-th here.

    Args:
        network: template; its mode is set.
        state: where, on the device of the batches.
        batches: (x, y), the images that count.
        names: parameters in whose surviving entries to differentiate.
        mask: kept entries of these.
        num_classes: C.

    Returns:
        C values, largest first, at least 0 up to rounding.

    Source: Papyan, Traces of class/cross-class structure pervade deep learning spectra, 2020; Fort and Ganguli, Emergent
        properties of the local geometry of neural loss landscapes, 2019.
    """
    leaves = [state.params[name].detach().requires_grad_() for name in names]
    kept = [torch.from_numpy(mask[name]).to(leaf.device) for name, leaf in zip(names, leaves, strict=True)]
    whole = {**state.params, **dict(zip(names, leaves, strict=True)), **state.buffers}
    sums = torch.zeros(num_classes, int(sum(keep.sum() for keep in kept)), dtype=torch.float64, device=leaves[0].device)
    counts = torch.zeros(num_classes, dtype=torch.float64, device=leaves[0].device)
    network.eval()
    with torch.enable_grad():
        for x, y in batches:
            logits = functional_call(network, whole, (x,))
            p = logits.detach().softmax(1)
            root = p.sqrt().scatter(1, y[:, None], 0.0)
            along = root - p * root.sum(1, keepdim=True)
            for c in y.unique().tolist():
                found = torch.autograd.grad(logits, leaves, along * (y == c)[:, None], retain_graph=True)
                sums[c] += torch.cat([each[keep] for each, keep in zip(found, kept, strict=True)]).double()
                counts[c] += (y == c).sum()
    means = sums / counts.clamp(min=1)[:, None] * (counts / counts.sum() / max(num_classes - 1, 1)).sqrt()[:, None]
    return np.linalg.eigvalsh(np.array((means @ means.T).tolist()))[::-1].clip(min=0)
