"""What a run says at its end."""

from __future__ import annotations

import pandas as pd
import pytest

from pipeline_lib.planning import closing
from pipeline_lib.store import artifacts

CLAIM = {"claim": "a", "family": "B", "setting": "toy", "text": "Dense networks become stable.", "unit": "points"}
CLAIM |= {"measured": 0.561, "low": 0.2, "high": 0.9876, "verdict": "holds"}
LOST = CLAIM | {"verdict": "not measured", "measured": float("nan"), "low": float("nan"), "high": float("nan")}


def test_verdicts_are_counted():
    found = closing.board("small", pd.DataFrame([CLAIM, CLAIM | {"verdict": "fails", "family": "A"}, LOST, LOST]))
    assert found == "claims of B, A in small: 1 holds, 1 fails, 2 not measured"


def test_claims_and_places_of_what_was_published(tmp_path, monkeypatch):
    monkeypatch.setattr(closing.tabulation, "read", pd.read_parquet)
    (tmp_path / "small" / "figures").mkdir(parents=True)
    artifacts.write_rows(tmp_path / "small" / "claims.parquet", [CLAIM])
    (tmp_path / "small" / "figures" / "a.svg").touch()
    published = ["small/claims.parquet", "small/figures/a.svg", "lost/claims.parquet", "lost/figures/b.svg"]
    found = closing.lines(tmp_path, published)
    assert found[0] == "claims of B in small: 1 holds"
    assert found[-1] == f"figures: {tmp_path / 'small' / 'figures'}, tables: {tmp_path / 'small'}"
    assert len(found) == 2


@pytest.mark.parametrize("published", [[], ["small/runs.parquet"]])
def test_without_claims_and_figures_nothing_is_said(tmp_path, published):
    assert closing.lines(tmp_path, published) == []


def test_a_damaged_table_does_not_fail_a_run(tmp_path):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "claims.parquet").write_bytes(b"torn")
    assert closing.lines(tmp_path, ["small/claims.parquet"]) == []
