"""What the papers' words mean in numbers; `tables.rules` reads tables by them, for tables, claims, figures and refinement."""

from __future__ import annotations

STABLE_BELOW = 0.02  # G-10: two percentage points
MATCHING_WITHIN = 0.002  # G-11: two tenths of a percentage point, where the dense deviation is smaller
# Networks that are less than this better than guessing have little to lose on a line between them: two points are then more than
# a tenth of all that instability could be, and say nothing of stability.
NEAR_CHANCE = 0.2


def chance(num_classes: int) -> float:
    """Give the error of guessing among so many equally frequent classes."""
    return 1 - 1 / num_classes
