"""What the papers' words mean in numbers; measures, tables and figures use these."""

from __future__ import annotations

STABLE_BELOW = 0.02  # G-10: two percentage points
MATCHING_WITHIN = 0.002  # G-11: two tenths of a percentage point, where the dense deviation is smaller
