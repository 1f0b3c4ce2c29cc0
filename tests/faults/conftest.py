"""Fixtures of the fault tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from checkout_fixtures import empty, single, single_done, tiny, tiny_done

__all__ = ["empty", "single", "single_done", "tiny", "tiny_done"]
