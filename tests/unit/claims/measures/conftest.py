"""The made-up world of rewind steps, as tables."""

from __future__ import annotations

import pytest
import rewinding_world


@pytest.fixture(scope="module")
def frames() -> rewinding_world.Frames:
    return rewinding_world.world()
