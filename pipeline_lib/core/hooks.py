"""Seeing, and changing, what the modules of a network give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn


@contextmanager
def watched(network: nn.Module, names: Iterable[str], tell: Callable[[str, Tensor], Tensor | None]) -> Iterator[None]:
    """Tell a function of what modules give, as long as the context lasts.

    Args:
        network: whose modules they are.
        names: of the modules.
        tell: is given a module's name and output, and may return what goes on instead. Later modules may overwrite the output.
    """
    hooks = []
    try:
        for name in names:

            def hook(module: nn.Module, given: object, out: Tensor, name: str = name) -> Tensor | None:
                return tell(name, out)

            hooks.append(network.get_submodule(name).register_forward_hook(hook))
        yield
    finally:
        for each in hooks:
            each.remove()
