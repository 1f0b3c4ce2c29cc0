"""Torch's optimisers without its compiler."""

from __future__ import annotations

import inspect
import sys


def spare_the_compiler() -> None:
    """Let torch's optimisers step without loading torch's compiler, where torch is loaded; nothing elsewhere.

    Its optimisers import the compiler at their first step, for marks that only a compiler reads: 1.5 CPU-seconds a process on a
    fast core, more than torch itself takes. The steps are torch's own functions, without gradients as torch calls them.
    """
    if "torch.optim" not in sys.modules or "torch._dynamo" in sys.modules:
        return
    import torch

    for kind in vars(torch.optim).values():
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and "step" in vars(kind):
            kind.step = torch.no_grad()(inspect.unwrap(kind.step))  # type: ignore[method-assign]
    for function in vars(torch.optim.Optimizer).values():
        if hasattr(function, "__wrapped__"):
            vars(function.__wrapped__)["__dynamo_disable"] = function.__wrapped__
