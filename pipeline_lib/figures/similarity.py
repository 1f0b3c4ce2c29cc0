"""How alike the representations of two runs are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_lib.figures.support import blocks, marks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FIGURES = {
    "similarity_by_layer": {
        "runs": "dense_at_every_k", "tables": ["similarity"], "option": "similarity",
        "caption": (
            "Linear centred kernel alignment of the outputs of each block of two dense runs from the same state at step "
            "k, on the same test images; 1 is equal but for a rotation and a scale. Means and standard deviations over "
            "seeds, a seed's pairs of orders averaged first."
        ),
    },
}  # fmt: skip


def similarity_by_layer(frames: dict[str, pd.DataFrame], sparse_levels: dict[str, int]) -> Figure:
    """Similarity of dense runs by block, a line a rewind step."""
    return blocks.by_block(frames["similarity"], "cka", "linear CKA", marks.SHARE)
