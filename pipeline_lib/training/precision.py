"""How forward and backward passes compute: number format and memory layout."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline_lib.core.types import Tensors

PRECISIONS = ("fp32", "tf32", "bf16")
_MULTIPLIED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


@dataclass(frozen=True)
class Numerics:
    """Options that trade bits for speed.

    Args:
        precision: "fp32", "tf32" (how a GPU may multiply float32; a process-wide switch that a stage sets) or "bf16". Weights
            and their updates are float32 in all.
        channels_last: whether images and convolution weights lie in memory with their channels innermost.
    """

    precision: str = "fp32"
    channels_last: bool = False

    def allow(self) -> None:
        """Set how a GPU multiplies float32, for the whole process."""
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self.precision == "tf32"

    def autocast(self, device: torch.device) -> torch.autocast:
        """Run matrix products and convolutions of a block in bfloat16 if that is the precision."""
        # No cache of cast weights: within a block each is used once, and recorded kernels must not reuse old casts.
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16", cache_enabled=False)

    def halved(self, network: nn.Module) -> list[str]:
        """List the parameters that `autocast` casts wherever they are used: of convolutions and linear layers alone."""
        if self.precision != "bf16":
            return []
        num_users = Counter(id(tensor) for _, tensor in network.named_parameters(remove_duplicate=False))
        own = {id(tensor) for layer in network.modules() if isinstance(layer, _MULTIPLIED) for tensor in layer.parameters()}
        return [name for name, tensor in network.named_parameters() if id(tensor) in own and num_users[id(tensor)] == 1]

    def lay(self, tensor: Tensor) -> Tensor:
        """Bring an image batch or a weight into the memory layout."""
        images = self.channels_last and tensor.dim() == 4
        return tensor.contiguous(memory_format=torch.channels_last if images else torch.contiguous_format)

    def lay_all(self, tensors: Tensors) -> dict[str, Tensor]:
        """Bring all tensors into the memory layout."""
        return {name: self.lay(tensor) for name, tensor in tensors.items()}
