from __future__ import annotations

from pathlib import Path
from typing import Any

import made_up
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_lib.experiments.runs import FRESH
from pipeline_lib.planning import declared
from pipeline_lib.store import artifacts
from pipeline_lib.tables import members, tabulation


def _pair(k: int, instability: float, **more: Any) -> dict[str, Any]:
    row = {"task": "toy", "seed": 0, "order_1": 0, "order_2": 1, "kind": "dense", "k": k, "level": 0, "density": 1.0}
    row |= {"other_seed": more.get("seed", 0), "alignment": "none"}
    row |= {"split": "test", "batchnorm": "averaged", "mean_end_error": 0.1, "max_error": 0.1 + instability}
    row |= {"key": "000000000001", "other_key": "000000000002"}
    return row | {"instability": instability, "barrier": 0.0, "loss_barrier": 0.0, "midpoint_error": 0.1} | more


def _marked(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return tabulation.with_onset(tabulation.with_headroom(pd.DataFrame(rows), {"toy": 0.9, "other": 0.9}))


def test_aligned_pairs_and_those_across_seeds_have_onsets_of_their_own():
    rows = [_pair(k, 0.3 if k < 5 else 0.0) for k in (0, 5)]
    rows += [_pair(k, 0.0, alignment="weights") for k in (0, 5)] + [_pair(k, 0.3, other_seed=1) for k in (0, 5)]
    marked = _marked(rows)
    assert marked[marked["onset"]][["alignment", "other_seed", "k"]].to_numpy().tolist() == [["none", 0, 5], ["weights", 0, 0]]
    assert tabulation.as_trained(marked)["k"].tolist() == [0, 5]


def test_networks_at_chance_are_not_stable():
    """Both ends at 92 % error of ten classes, 0.75 points apart from the line's highest: nothing was left to lose."""
    lost = [_pair(k, 0.0075, mean_end_error=0.92) for k in (0, 10)]
    marked = _marked([*lost, _pair(20, 0.0075, mean_end_error=0.72), _pair(30, 0.0075, mean_end_error=0.69)])
    assert marked["headroom"].tolist() == pytest.approx([0, 0, 0.18, 0.21])
    assert marked["headroom_share"].tolist() == pytest.approx([float("nan")] * 2 + [0.0075 / 0.18, 0.0075 / 0.21], nan_ok=True)
    assert marked["stable"].tolist() == [False, False, False, True]
    assert marked["onset"].tolist() == [False, False, False, True]


def test_the_onset_is_the_first_k_from_which_all_later_ones_are_stable():
    values = {0: 0.5, 100: 0.019, 250: 0.03, 500: 0.01, 2000: 0.0}
    marked = _marked([_pair(k, v) for k, v in values.items()])
    assert marked["k"][marked["onset"]].tolist() == [500]


def test_the_onset_is_the_smallest_k_whose_mean_instability_is_below_two_points():
    rows = [
        _pair(0, 0.3),
        _pair(0, 0.3, seed=1),
        _pair(10, 0.001),
        _pair(10, 0.045, seed=1),
        _pair(20, 0.03),
        _pair(20, 0.0, seed=1),
    ]
    marked = _marked([*rows, _pair(50, 0.0), _pair(50, 0.0, seed=1)])
    assert marked["stable"].tolist() == [False, False, True, False, False, True, True, True]
    assert marked["onset"].tolist() == [False, False, False, False, True, True, False, False]


def test_two_points_exactly_are_not_stable():
    marked = _marked([_pair(0, 0.02), _pair(1, 0.0199)])
    assert marked["stable"].tolist() == [False, True]
    assert marked["onset"].tolist() == [False, True]


def test_each_setting_has_its_own_onset_or_none():
    settings: list[dict[str, Any]] = [{}, {"split": "train"}, {"kind": "reinit"}, {"level": 1}, {"task": "other"}]
    onsets = [0, 1, 2, None, 1]
    rows = [
        _pair(k, 0.0 if onset is not None and k >= onset else 0.5, **s)
        for s, onset in zip(settings, onsets, strict=True)
        for k in range(3)
    ]
    marked = _marked(rows)
    found = [marked["k"][3 * i : 3 * i + 3][marked["onset"][3 * i : 3 * i + 3]].tolist() for i in range(5)]
    assert found == [[] if onset is None else [onset] for onset in onsets]


def test_marking_keeps_the_rows_in_their_order():
    frame = pd.DataFrame([_pair(5, 0.0), _pair(0, 0.4), _pair(5, 0.1, split="train")])
    pd.testing.assert_frame_equal(_marked(frame.to_dict("records"))[list(frame.columns)], frame)


@pytest.mark.parametrize("table", declared.COLUMNS)
def test_the_schema_documents_every_column(table):
    for field, column in zip(tabulation.schema(declared.COLUMNS[table]), declared.COLUMNS[table], strict=True):
        assert field.name == column.name
        assert field.metadata == {b"unit": column.unit.encode(), b"meaning": column.meaning.encode()}


def test_columns_are_put_in_order_with_types_and_metadata():
    row = _pair(0, 0.5, headroom=0.8, headroom_share=0.625, stable=False, onset=False, environment="here")
    row |= {"experiment": "e", "member": 1, "other_member": None}
    made = tabulation.to_arrow([dict(reversed(row.items()))], declared.COLUMNS["instability"])
    assert made.column_names == [c.name for c in declared.COLUMNS["instability"]]
    assert made.schema.field("instability").type == pa.float64()
    assert made.schema.field("k").type == pa.int64()
    assert made.schema.field("k").metadata[b"unit"] == b"steps"
    assert made.to_pylist() == [row]


def test_documentation_survives_the_file(tmp_path):
    path = tmp_path / "table.parquet"
    artifacts.write_table(path, tabulation.to_arrow([_pair(0, 0.5)], declared.COLUMNS["instability"]))
    assert pq.read_schema(path).field("max_error").metadata[b"meaning"] == b"highest error on the line: the raw maximum (C-X3)"
    assert tabulation.read(path)["max_error"].tolist() == [0.6]


def _parts(tmp_path: Path, rows: list[dict[str, Any]]) -> list[Path]:
    paths = [tmp_path / f"{i}.parquet" for i in range(len(rows))]
    for path, row in zip(paths, rows, strict=True):
        artifacts.write_rows(path, [row])
    return paths


def test_a_table_does_not_depend_on_the_order_of_its_parts(tmp_path):
    parts = _parts(tmp_path, [_pair(2, 0.0), _pair(0, 0.5, seed=1), _pair(0, 0.4), _pair(0, 0.3, kind="reinit", level=1)])
    chance = {"toy": 0.9}
    first = tabulation.tabulate(parts, declared.COLUMNS["instability"], chance=chance)
    assert first.equals(tabulation.tabulate(parts[::-1], declared.COLUMNS["instability"], chance=chance), check_metadata=True)
    assert first.column_names == [c.name for c in declared.COLUMNS["instability"]]
    assert list(zip(*(first[n].to_pylist() for n in ("kind", "k", "seed", "onset")), strict=True)) == [
        ("dense", 0, 0, False), ("dense", 0, 1, False), ("dense", 2, 0, True), ("reinit", 0, 0, False),
    ]  # fmt: skip


def test_the_ladders_own_order_has_one_number_at_all_levels(tmp_path):
    parts = _parts(tmp_path, [_pair(0, 0.1), _pair(0, 0.1, level=3, order_1=3 * FRESH)])
    made = tabulation.tabulate(parts, declared.COLUMNS["instability"], chance={"toy": 0.9})
    assert (made["order_1"].to_pylist(), made["order_2"].to_pylist()) == ([0, 0], [1, 1])


def test_a_part_without_rows_or_with_nulls_alone_keeps_the_types(tmp_path):
    paths = [tmp_path / f"{i}.parquet" for i in range(3)]
    lost = _pair(4, 0.0) | dict.fromkeys(("mean_end_error", "max_error", "instability", "barrier"))
    for path, rows in zip(paths, ([], [lost], [_pair(0, 0.5)]), strict=True):
        artifacts.write_rows(path, rows)
    made = tabulation.tabulate(paths, declared.COLUMNS["instability"])
    assert made.schema.types == tabulation.schema(declared.COLUMNS["instability"]).types
    assert made["max_error"].to_pylist() == [0.6, None]
    assert tabulation.tabulate(paths[:1], declared.COLUMNS["instability"]).num_rows == 0


@pytest.mark.parametrize("changed", [{"k": None}, {"more": 1}])
def test_a_part_with_other_columns_is_refused(tmp_path, changed):
    row = {name: value for name, value in {**_pair(0, 0.5), **changed}.items() if value is not None}
    (part,) = _parts(tmp_path, [row])
    rule = rf"columns of .*0.parquet must be those of its table, got {next(iter(changed))} in one of the two alone; .*run again"
    with pytest.raises(ValueError, match=rule):
        tabulation.tabulate([part], declared.COLUMNS["instability"])


def test_what_was_measured_before_there_was_alignment_is_of_pairs_of_one_seed_as_trained(tmp_path):
    """`rewind adopt` keeps such parts, which ended in an assertion."""
    now, before = _pair(0, 0.5, alignment="weights", other_seed=1), _pair(2, 0.1, seed=3)
    parts = _parts(tmp_path, [now, {name: before[name] for name in before if name not in ("alignment", "other_seed")}])
    made = tabulation.tabulate(parts, declared.COLUMNS["instability"], chance={"toy": 0.9}).to_pandas()
    assert made[["k", "seed", "other_seed", "alignment"]].to_numpy().tolist() == [[2, 3, 3, "none"], [0, 0, 1, "weights"]]
    assert tabulation.as_trained(made)["k"].tolist() == [2]


def test_a_table_says_the_parts_of_its_starts():
    rows = [("k5", "", 0, "", None), ("k5 | lr_rewinding | mask | prune(0.3, random)", "lr_rewinding", 2, "", 0.3)]
    rows.append(("k0 | blur(4) + rotation(false) for 40ep", "", 1, "blur(4) + rotation(false)", None))
    found = made_up.with_parts(pd.DataFrame({"start": [text for text, *_ in rows]}))
    for (text, strategy, num_changes, pretext, fraction), (_, row) in zip(rows, found.iterrows(), strict=True):
        assert row["change"] == text[len("k5 | ") :]
        assert (row["strategy"], row["num_changes"], row["pretext"]) == (strategy, num_changes, pretext)
        assert row["further_fraction"] == fraction or (fraction is None and pd.isna(row["further_fraction"]))
    assert found["further_criterion"].isna().tolist() == [True, False, True]
    assert found["further_criterion"][1] == "random"
    assert found["pretext_length"].tolist() == ["", "", "for 40ep"]


def test_dense_networks_are_a_kind_of_their_own_and_the_first_rung_of_imp(tmp_path):
    rows = [_pair(0, 0.1, kind="imp"), _pair(0, 0.2, kind="imp", level=1), _pair(0, 0.3, kind="reinit", level=1)]
    made = tabulation.tabulate(_parts(tmp_path, rows), declared.COLUMNS["instability"]).to_pandas()
    assert made[["kind", "level"]].to_numpy().tolist() == [["dense", 0], ["imp", 1], ["reinit", 1]]
    assert tabulation.of_kind(made, "imp")["level"].tolist() == [0, 1]
    assert tabulation.of_kind(made, "reinit")["kind"].tolist() == ["reinit"]
    assert tabulation.of_kind(made, "dense")["level"].tolist() == [0]


MEMBERS = {"pair": [[0, 5], [0, 6], [1, 5]], "seeds": [[0], [1]]}


def _members(key):
    return MEMBERS.get(key, [])


def test_a_member_is_told_by_seed_and_order_or_by_the_seed_where_that_is_enough():
    rows = [("pair", 0, 6), ("pair", 1, 5), ("pair", 1, 9), ("pair", 0, 9), ("seeds", 1, 5), ("other", 0, 5)]
    found = members.with_members(pd.DataFrame(rows, columns=["key", "seed", "noise_order"]), _members)
    assert found["member"].tolist() == [1, 2, 2, pd.NA, 1, pd.NA]
    assert members.with_members(pd.DataFrame({"key": ["pair"]}), _members)["member"].isna().all()


def test_means_by_kind_are_of_plain_starts(tmp_path):
    """A groupby over kinds gave 7.0 % where the ladder's networks have 2.5: perturbed runs were among them."""
    kinds = ["imp", "imp_changed"]
    frame = pd.DataFrame({"kind": ["imp", "imp"], "change": ["", "noise(3)"], "level": 1, "test_error": [0.025, 0.115]})
    made = tabulation.with_changed(frame)
    assert made.groupby("kind")["test_error"].mean().to_dict() == dict(zip(kinds, [0.025, 0.115], strict=True))
    divided = tabulation.divided({"runs": made})
    assert [divided[name]["kind"].tolist() for name in ("runs", "changed_runs")] == [["imp"], ["imp"]]
