"""What tables about solutions share: their keys, and their spectra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline_lib.tables import tabulation

if TYPE_CHECKING:
    import pandas as pd

    from pipeline_lib.analysis.spectra import Spectrum

SOLUTION = ["task", "seed", "k", "level"]


def plain(key: Any) -> list[Any]:
    """Give the parts of a group's key as plain Python values."""
    return [value if isinstance(value, str) else int(value) for value in key]


def rebuilt(rows: pd.DataFrame) -> Spectrum:
    """Put the small matrices of all probes together again.

    Args:
        rows: of table `spectrum`, of one operator at one solution on one number of images, started from random signs.
    """
    from pipeline_lib.analysis.lanczos import Tridiagonal
    from pipeline_lib.analysis.spectra import Spectrum

    probes = []
    for _, probe in rows.sort_values("index").groupby("probe", sort=True):
        beside = probe["beta"].to_numpy()
        probes.append(Tridiagonal(probe["alpha"].to_numpy(), beside[:-1], float(beside[-1])))
    return Spectrum(int(rows["dimension"].iloc[0]), probes)


def at_solutions(spectrum: pd.DataFrame) -> pd.DataFrame:
    """Keep the spectra of a ladder's networks from random signs, at the last step that was measured of each."""
    own = tabulation.of_kind(spectrum[spectrum["vector"] == "rademacher"], "imp")
    return own[own["step"] == own.groupby(SOLUTION)["step"].transform("max")]
