"""How far a sublevel set reaches from its centre along rays, by bisection of what is measured on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# Measures points, each a number of a ray and a distance on it.
Heights = Callable[[list[tuple[int, float]]], Sequence[float]]

HALVINGS = 8  # a border is known to half a 256th of the step in which it lies


def reaches(
    heights: Heights, num_rays: int, own: float, thresholds: Sequence[float], places: Sequence[float]
) -> dict[tuple[int, int], float | None]:
    """Find where each of some rays first leaves the set `height <= threshold`: step by step outwards, then by bisection.

    A set that is left and entered again within one step is taken for one that is not left.

    Args:
        heights: measures points; one that is not a number is above every threshold.
        num_rays: how many rays there are.
        own: height at the centre.
        thresholds: of the sets.
        places: distances to look at, ascending.

    Returns:
        Distance of the border by numbers of ray and threshold; 0 if the centre is above, None if it is beyond the last place.

    Source: paper C, definition 2.4.

    Example:
        >>> found = reaches(lambda points: [r**2 for _, r in points], 1, 0.0, [0.25, 100.0], [0.3, 0.6, 0.9])
        >>> abs(found[0, 0] - 0.5) < 1e-3, found[0, 1] is None
        (True, True)
    """
    every = [(ray, i) for ray in range(num_rays) for i in range(len(thresholds))]
    found: dict[tuple[int, int], float | None] = {at: None if own <= thresholds[at[1]] else 0.0 for at in every}
    inside, around = {at for at in every if found[at] is None}, dict[tuple[int, int], tuple[float, float]]()
    before = 0.0
    for place in places:
        rays = sorted({ray for ray, _ in inside})
        if not rays:
            break
        there = dict(zip(rays, heights([(ray, place) for ray in rays]), strict=True))
        left = {(ray, i) for ray, i in inside if not there[ray] <= thresholds[i]}
        around |= dict.fromkeys(left, (before, place))
        inside, before = inside - left, place
    for _ in range(HALVINGS if around else 0):
        asked = [(at, sum(around[at]) / 2) for at in sorted(around)]
        for (at, middle), height in zip(asked, heights([(ray, middle) for (ray, _), middle in asked]), strict=True):
            low, high = around[at]
            around[at] = (middle, high) if height <= thresholds[at[1]] else (low, middle)
    return found | {at: (low + high) / 2 for at, (low, high) in around.items()}
