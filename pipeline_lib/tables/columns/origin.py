"""The columns that lead from a row to the artifacts that it was measured on."""

from __future__ import annotations

from pipeline_lib.tables.columns.common import Column

FIND = "results/artifacts/*/*-KEY"
# Whose artifact it is: the one with the weights, which pruning alone leaves as they are; two of a row that is about two.
_OF: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("runs", "curves"), ("the run",)),
    "telemetry": ("the run, without its weights",),
    **dict.fromkeys(("interpolation", "instability", "distances", "throughout", "layers"), ("run 1", "run 2")),
    **dict.fromkeys(("paths", "barriers"), ("network 1", "network 2; of a projection that which is pruned")),
    **dict.fromkeys(("spectrum", "curvature"), ("the state",)),
    **dict.fromkeys(("cuts", "ratios", "fits", "limits"), ("the solution",)),
    **dict.fromkeys(("planes", "sets"), ("the solution", "the next solution; null for directions")),
    "marks": ("the network at the mark; of one that is pruned only, the solution",),
    "magnitudes": ("the solution; of a projection that which is projected",),
    "geometry": ("point 1, before it is masked", "point 2, before it is masked"),
    "signs": ("the state at step_1", "the state at step_2"),
    "perturbations": ("the perturbed state", "the state before"),
}
ENVIRONMENT = Column(
    "environment", "string", "-", "where it and all that it comes from was computed: processor or GPU, versions; several by ;"
)
_OWN = "this table's own artifact, as the row is about many networks or none"


def key_columns(table: str) -> tuple[Column, ...]:
    """Give the columns of keys and of the environment that a table has."""
    columns = []
    for name, of in zip(("key", "other_key"), _OF.get(table, ("",)), strict=False):
        meaning = f"artifact of {of}" if of else _OWN
        columns.append(Column(name, "string", "-", f"{meaning} ({FIND})"))
    return (*columns, ENVIRONMENT)
