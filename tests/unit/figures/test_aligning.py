"""Figures of aligned pairs, from tables that are made up."""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from pipeline_lib.figures import aligning
from pipeline_lib.figures.support import style


def test_each_alignment_and_each_treatment_of_statistics_is_a_line_of_its_own():
    ways = list(itertools.product(("none", "weights"), ("averaged", "repaired", "recomputed")))
    pair = {"task": "toy", "kind": "dense", "level": 0, "split": "test", "seed": 0, "headroom": 0.8}
    rows = [
        pair | {"k": k, "other_seed": other, "alignment": alignment, "batchnorm": batchnorm, "instability": i / 100}
        for i, (alignment, batchnorm) in enumerate(ways, start=3)
        for k, other in itertools.product((0, 9), (0, 1))
    ]
    with style.applied():
        figure = aligning.instability_aligned({"every_instability": pd.DataFrame(rows)}, {})
    names = {"none": "as trained", "weights": "aligned by weights"}
    wanted = {names[a] if b == "averaged" else f"{names[a]}, {b}": i for i, (a, b) in enumerate(ways, start=3)}
    for axes in figure.axes:
        lines = {str(line.get_label()): line for line in axes.get_lines()}
        assert {name: lines[name].get_ydata().tolist() for name in wanted} == {
            n: pytest.approx([i, i]) for n, i in wanted.items()
        }
    plt.close("all")
