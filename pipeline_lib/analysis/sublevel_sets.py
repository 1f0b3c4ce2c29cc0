"""The linearly connected sublevel set around a solution, on a grid of points of a plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Landscape:
    """Errors on a grid, seen from a solution; between the points of the grid they are interpolated, linearly in x and in y.

    Args:
        x: (columns,) ascending.
        y: (rows,) ascending.
        errors: (rows, columns).
        centre: (2,) where the solution is.
        own: its error.
    """

    x: Float[np.ndarray, " columns"]
    y: Float[np.ndarray, " rows"]
    errors: Float[np.ndarray, "rows columns"]
    centre: Float[np.ndarray, " 2"]
    own: float

    def between(self, points: Float[np.ndarray, "*num 2"]) -> Float[np.ndarray, "*num"]:
        """Interpolate the error at points; beyond the grid it is that at its edge."""
        from scipy.interpolate import RegularGridInterpolator

        inside = points.clip((self.x[0], self.y[0]), (self.x[-1], self.y[-1]))
        return RegularGridInterpolator((self.y, self.x), self.errors)(inside[..., ::-1])

    def connected(
        self, points: Float[np.ndarray, "num 2"], errors: Float[np.ndarray, " num"], threshold: float
    ) -> Bool[np.ndarray, " num"]:
        """Tell which points are in the solution's linearly connected sublevel set.

        A point is if its error and the solution's are at most the threshold, and so is what is interpolated between them on the
        straight line, at a step a cell of the grid.

        Source: paper C, definition 2.4.
        """
        way = points - self.centre
        cells = np.abs(way) / (self.x[1] - self.x[0], self.y[1] - self.y[0])
        num = np.ceil(cells.max(1).round(6)).clip(1)
        shares = np.arange(1, num.max())[None, :] / num[:, None]
        between = self.between(self.centre + shares.clip(max=1)[..., None] * way[:, None])
        low = (between <= threshold) | (shares >= 1)
        return low.all(1) & (errors <= threshold) & (self.own <= threshold)

    def sublevel_set(self, threshold: float) -> Bool[np.ndarray, "rows columns"]:
        """Tell which points of the grid are in the linearly connected sublevel set."""
        found = self.connected(np.stack(np.meshgrid(self.x, self.y), axis=-1).reshape(-1, 2), self.errors.reshape(-1), threshold)
        return found.reshape(self.errors.shape)

    def reach(self, axis: int, forwards: bool, threshold: float) -> float | None:
        """Measure how far the set goes from the solution along an axis (0 is x, 1 is y), forwards or backwards.

        Returns:
            The distance; 0 if the solution is above the threshold, None if the border is not inside the grid.
        """
        lines = (self.x, self.y)[axis]
        ahead = lines[lines > self.centre[axis]] if forwards else lines[lines < self.centre[axis]]
        points = np.tile(self.centre, (len(ahead), 1))
        points[:, axis] = ahead
        distances = np.abs(np.append(self.centre[axis], ahead) - self.centre[axis])
        order = np.argsort(distances)
        distances, values = distances[order], np.append(self.own, self.between(points))[order]
        above = np.flatnonzero(values > threshold)
        if not len(above) or above[0] == 0:
            return 0.0 if len(above) else None
        i = above[0]
        share = (threshold - values[i - 1]) / (values[i] - values[i - 1])
        return float(distances[i - 1] + share * (distances[i] - distances[i - 1]))


def on_grid(points: pd.DataFrame, marks: pd.DataFrame) -> Landscape:
    """Put the test errors of one plane on their grid, as seen from the solution.

    Args:
        points: a row for each point of the grid, as in table `planes`.
        marks: a row a mark, as in table `marks`; the solution is one.
    """
    grid = points.pivot_table(index="y", columns="x", values="test_error")
    x, y = (axis.to_numpy(dtype=float) for axis in (grid.columns, grid.index))
    solution = marks[marks["mark"] == "solution"].iloc[0]
    place = np.array([solution["x"], solution["y"]], dtype=float)
    return Landscape(x, y, grid.to_numpy(dtype=float), place, float(solution["test_error"]))
