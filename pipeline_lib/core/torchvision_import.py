"""Import torchvision beside a CPU-only torch.

The registry's torchvision wheel is built for CUDA. Beside a CPU-only torch its compiled extension does not load, and the import
fails because two operators are missing. Declaring them lets data sets, transforms and models work; the operators
themselves (non-maximum suppression) stay unavailable, and nothing here uses them.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import torch

_SIGNATURES = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_library: torch.library.Library | None = None  # kept: its declarations live as long as it does


def _torchvision() -> None:
    """Import torchvision, declaring the operators where the extension cannot."""
    global _library
    if _library is None:
        try:
            importlib.import_module("torchvision")
        except RuntimeError as error:
            if "torchvision::nms" not in str(error):
                raise
            _library = torch.library.Library("torchvision", "DEF")
            for signature in _SIGNATURES.values():
                _library.define(signature)


def torchvision_datasets() -> ModuleType:
    """Import `torchvision.datasets`."""
    _torchvision()
    import torchvision.datasets

    return torchvision.datasets


def torchvision_models() -> ModuleType:
    """Import `torchvision.models`."""
    _torchvision()
    import torchvision.models

    return torchvision.models


def torchvision_functional() -> ModuleType:
    """Import `torchvision.transforms.v2.functional`."""
    _torchvision()
    import torchvision.transforms.v2.functional

    return torchvision.transforms.v2.functional
