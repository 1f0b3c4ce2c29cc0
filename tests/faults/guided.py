"""Fuzzing that follows coverage: bytes to readers of artifacts, plans, claims and configs, by atheris.

    python tests/faults/guided.py -max_total_time=60 FOLDER_OF_FINDINGS

A ValueError that says thing, rule and remedy is right; any other exception ends the run and leaves its input.
`make soak` installs atheris, which has wheels for Linux alone.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

with atheris.instrument_imports(include=["pipeline_lib", "yaml", "jsonschema"]):
    from pipeline_lib.claims import loading
    from pipeline_lib.datasets import _archives
    from pipeline_lib.experiments import config, validation
    from pipeline_lib.planning import plan_file
    from pipeline_lib.store import artifacts, verification
    from pipeline_lib.tables import tabulation

KEY = "0123456789ab"
CLEAR = re.compile(r".+ must .+; .+", re.DOTALL)
FOLDER = Path(tempfile.mkdtemp()) / f"fuzz-{KEY}"
READERS = (
    artifacts.read_arrays,
    tabulation.read,
    lambda path: plan_file.find_line(path, KEY),
    loading.load,
    lambda path: config.resolve(validation.read_yaml(path)),
    lambda path: list(verification._faults(path.parent)),
    lambda path: _archives.read_idx(path, 3),
)


def one(content: bytes) -> None:
    """Give all but the first byte to the reader that the first byte names."""
    path = FOLDER / verification.RECORD if content[:1] == b"\5" else FOLDER / "file"
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / verification.RECORD).unlink(missing_ok=True)
    path.write_bytes(content[1:])
    try:
        READERS[(content or b"\0")[0] % len(READERS)](path)
    except ValueError as error:
        if not CLEAR.fullmatch(str(error)):
            raise


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
