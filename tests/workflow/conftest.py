"""Fixtures of the workflow tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from checkout_fixtures import early_done, empty, single, single_done, tiny, tiny_done, unmasking_done

__all__ = ["early_done", "empty", "single", "single_done", "tiny", "tiny_done", "unmasking_done"]
