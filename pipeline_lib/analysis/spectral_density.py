"""A spectrum as a curve, to be looked at."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from pipeline_lib.analysis.spectra import Spectrum


def spectral_density(
    spectrum: Spectrum, num: int = 200, width: float | None = None
) -> tuple[Float64[np.ndarray, " num"], Float64[np.ndarray, " num"]]:
    """Smooth a spectrum: `phi(t) = (1/P) sum_p sum_j w_pj N(t; theta_pj, width^2)`, over P probes' Ritz values and weights.

    To look at: what is read off a spectrum (`trace`, `f_max`) uses the raw values, as smoothing moves it.

    Args:
        spectrum: as `hessian` gives it.
        num: points, evenly spaced, to four widths beyond the outermost Ritz values.
        width: standard deviation of each peak, in units of the eigenvalues; 1/100 of their range if not given.

    Returns:
        Eigenvalues t, and the density there, which integrates to 1.

    Raises:
        ValueError: the width is not positive.

    Source: Ghorbani, Krishnan and Xiao, An investigation into neural net optimization via Hessian eigenvalue density, 2019.

    Example:
        >>> t, phi = spectral_density(spectrum)
        >>> round(float(phi.sum() * (t[1] - t[0])), 2)
        1.0
    """
    values, weights = (np.concatenate([getattr(pairs, name) for pairs in spectrum.full]) for name in ("values", "weights"))
    spread = float(np.ptp(values)) or abs(float(values[0])) or 1.0  # a single eigenvalue is seen at its own scale
    sigma = spread / 100 if width is None else width
    if not sigma > 0:
        raise ValueError(f"width must be positive, got {width}; it is in units of the eigenvalues")
    t = np.linspace(values.min() - 4 * sigma, values.max() + 4 * sigma, num)
    peaks = np.exp(-(((t[:, None] - values) / sigma) ** 2) / 2) / (sigma * np.sqrt(2 * np.pi))
    return t, peaks @ weights / len(spectrum.probes)
