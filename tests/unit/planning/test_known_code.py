"""The texts of code that a results folder keeps."""

from __future__ import annotations

import pytest

from pipeline_lib.planning.keys import fingerprint, known_code
from pipeline_lib.planning.keys.fingerprint import CODE, code_of

ASKED = [("prune", (("criteria", "magnitude"),)), ("signs", ())]


def test_what_is_kept_can_be_read_by_digest(tmp_path):
    known_code.keep(tmp_path, ASKED)
    assert known_code.read(tmp_path) == {fingerprint.fingerprint(*each): known_code.of(*each) for each in ASKED}
    before = list((tmp_path / known_code.FOLDER).iterdir())
    known_code.keep(tmp_path, ASKED)
    assert list((tmp_path / known_code.FOLDER).iterdir()) == before
    known_code.keep(tmp_path, [*ASKED, ("prepare", ())])
    assert len(known_code.read(tmp_path)) == 3


@pytest.mark.parametrize("damage", [b"", b"x", None])
def test_a_damaged_file_says_nothing_and_is_written_anew(tmp_path, damage):
    known_code.keep(tmp_path, ASKED)
    (path,) = (tmp_path / known_code.FOLDER).iterdir()
    path.write_bytes(path.read_bytes()[:200] if damage is None else damage)
    assert known_code.read(tmp_path) == {}
    known_code.keep(tmp_path, ASKED)
    assert len(known_code.read(tmp_path)) == 2


def test_files_of_which_no_digest_is_wanted_are_unused(tmp_path):
    for each in ASKED:
        known_code.keep(tmp_path, [each])
    (left,) = known_code.unused(tmp_path, [fingerprint.fingerprint(*ASKED[0])])
    assert list(known_code._read(left)) == [fingerprint.fingerprint(*ASKED[1])]


def _edited(path, old, new):
    text = (CODE.root / path).read_text(encoding="utf-8")
    assert text.count(old) == 1
    return code_of(CODE.root, {path: text.replace(old, new)})


def test_a_difference_is_told_as_a_diff_of_what_counts():
    code = _edited(
        "pruning/selection.py", "math.ceil(round(fraction * remaining, 6))", "math.ceil(round(fraction * remaining, 7))  # more"
    )
    found = known_code.differences(known_code.of(*ASKED[0]), known_code.of(*ASKED[0], code))
    assert list(found) == ["pruning.selection.num_pruned"]
    lines = found["pruning.selection.num_pruned"].splitlines()
    assert lines[:2] == ["--- before: pruning.selection.num_pruned", "+++ now: pruning.selection.num_pruned"]
    assert [line for line in lines if line.startswith("-") and "remaining, 6" in line]
    assert [line for line in lines if line.startswith("+") and "remaining, 7" in line]
    assert "more" not in found["pruning.selection.num_pruned"]


def test_words_and_places_are_no_difference():
    code = _edited("pruning/selection.py", "alone here, got {lacking[0]}", "and no more, got {lacking[0]}")
    assert known_code.differences(known_code.of(*ASKED[0]), known_code.of(*ASKED[0], code)) == {}


def test_a_definition_that_is_new_is_told_whole():
    code = _edited(
        "stages/measurements/signs.py",
        "def run(job: Job[Spec]) -> None:",
        "LIMIT = 3\n\n\ndef run(job: Job[Spec], limit: int = LIMIT) -> None:",
    )
    found = known_code.differences(known_code.of(*ASKED[1]), known_code.of(*ASKED[1], code))
    assert found["stages.measurements.signs.LIMIT"].splitlines() == [
        "--- before: none",
        "+++ now: stages.measurements.signs.LIMIT",
        "@@ -0,0 +1 @@",
        "+LIMIT = 3",
    ]
