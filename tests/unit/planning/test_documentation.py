"""Pages that are made from declarations."""

from __future__ import annotations

import pytest

from pipeline_lib.experiments import config
from pipeline_lib.planning import declared, documentation


@pytest.mark.parametrize("name", documentation.PAGES)
def test_generated_pages_are_up_to_date(name):
    written = (config.ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written.rstrip() == documentation.PAGES[name]().rstrip(), "run: make docs"


def test_every_column_is_documented_with_a_unit_and_a_meaning():
    every, page = [column for table in declared.COLUMNS.values() for column in table], documentation.tables()
    assert all(column.unit and column.meaning for column in every)
    assert all(f"| `{column.name}` | {column.type} | {column.unit} | {column.meaning} |" in page for column in every)


def test_every_stage_is_documented_with_what_it_needs_and_makes():
    page = documentation.stages()
    for stage in declared.STAGES.values():
        assert f"| `{stage.name}` | {stage.needs} | {stage.makes} |" in page
