"""What a pruning criterion looks at, read off its signature."""

from __future__ import annotations

from pipeline_lib.core import registry

AT_HAND = ("weights", "mask", "rng")  # of a prune job itself


def derivatives(criterion: str, what: str = "criterion") -> tuple[str, ...]:
    """List the derivatives that a criterion takes; each is a job of its own, which reads the data.

    Args:
        criterion: its name.
        what: its place in the config, for errors.

    Raises:
        ValueError: there is no such criterion, or it takes something that does not exist.
    """
    entry, there = registry.lookup("criteria", criterion, what), registry.entries("derivatives")
    for name in entry.required:
        if name not in (*AT_HAND, *there):
            raise ValueError(
                f"arguments of criterion {criterion} in {registry.where('criteria')} must be among "
                f"{', '.join(sorted([*AT_HAND, *there]))}, got {name}; rename it, or add one in {registry.where('derivatives')}"
            )
    return tuple(name for name in entry.required if name in there)
