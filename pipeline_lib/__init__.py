"""Rewind: the early phase of training, sparse trainable subnetworks and linearly connected minima.

What a notebook needs is here under one name each (docs/tour.md); it is imported when it is asked for, so that importing the
package costs nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Module of each public name.
_PUBLIC = {
    "notebook.networks": ("load", "initialise", "train", "evaluate"),
    "notebook.changes": ("prune", "perturb"),
    "notebook.measurements": ("path", "instability", "layerwise", "plane", "hessian"),
    "notebook.results": ("results", "Results"),
    "notebook.checkpoints": ("checkpoint", "read_mask"),
    "notebook.export": ("export",),
    "core.types": ("State",),
    "core.algebra": ("masked",),
    "core.parameters": ("prunable",),
    "stages.support.data": ("World",),
    "training.evaluation": ("Score",),
    "pruning.masks": ("density", "num_kept", "shuffled"),
    "analysis.paths": ("Ends", "distances"),
    "analysis.sublevel_sets": ("Landscape",),
    "analysis.lanczos": ("lanczos", "ritz"),
    "analysis.spectra": ("Spectrum", "Estimate", "trace", "negative_mass", "f_max", "top_values"),
    "analysis.spectral_density": ("spectral_density",),
    "analysis.magnitudes": ("quantiles",),
}
_MODULES = {name: module for module, names in _PUBLIC.items() for name in names}
__all__ = sorted(_MODULES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import a public name; modules of the package are found as ever."""
    if name not in _MODULES:
        raise AttributeError(f"module pipeline_lib has no attribute {name!r}")
    return getattr(import_module(f"pipeline_lib.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """List what is public."""
    return [*__all__, "__version__"]
