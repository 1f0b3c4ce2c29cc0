"""What instability analysis is, drawn from runs, and the networks it is applied to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_lib.figures.support import layout, selection, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What each figure needs (`experiments.figure_needs`), and what the report says under it.
FIGURES = {
    "schematic": {
        "runs": "dense_at_first_k", "tables": ["curves", "interpolation", "instability"],
        "caption": (
            "Instability analysis (paper B, figure 1), drawn from runs. Above: two copies train from the same state at "
            "step k under two orders of SGD noise. Below: test error on the line between the trained copies; instability "
            "is the highest error less the mean of the ends."
        ),
    },
    "table_1": {
        "runs": "dense_at_first_k", "tables": ["networks"],
        "caption": (
            "Networks and recipes (paper B, Table 1), with the dense test accuracy that was measured: mean, standard "
            "deviation and number of seeds, and the best during training, which is optimistic. Densities are of prunable "
            "weights, and of all parameters."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]


def _two_runs(axes: Axes, curves: pd.DataFrame, orders: tuple[int, int], k: int) -> None:
    """Draw the test error of two copies while they train, and where they part."""
    for order, colour in zip(orders, ("dense", "imp"), strict=True):
        own = curves[(curves["order"] == order) & (curves["split"] == "test")]
        axes.plot(own["step"], 100 * own["error"], color=style.COLOURS[colour], label=f"order {order}")
    axes.axvline(k, color="0.4", linestyle=":", label=f"copies part at k = {k}")
    axes.set_xlabel("step")
    axes.set_ylabel("test error (%)")
    axes.set_ylim(bottom=0)
    axes.legend()


def _path(axes: Axes, line: pd.DataFrame, ends: pd.Series) -> None:
    """Draw the error between the two, and the instability as an arrow."""
    axes.plot(line["alpha"], 100 * line["error"], color=style.SPLITS["test"], marker=".")
    mean, highest = 100 * ends["mean_end_error"], 100 * ends["max_error"]
    axes.axhline(mean, color="0.4", linestyle="--", linewidth=1, label="mean of the ends")
    axes.axhline(highest, color="0.4", linestyle=":", linewidth=1, label="highest on the line")
    if line["error"].notna().any():
        at = float(line["alpha"].iloc[int(line["error"].argmax())])
        arrow = {"arrowstyle": "<->", "color": "0.2", "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (at, highest), (at, mean), arrowprops=arrow)
        axes.text(at, (mean + highest) / 2, f" instability {100 * ends['instability']:.1f} points", va="center")
    axes.set_xlabel("interpolation α")
    axes.set_ylabel("test error (%)")
    axes.set_ylim(bottom=0)
    axes.legend()


def schematic(frames: Frames, sparse_levels: Levels) -> Figure:
    """Two copies of the first seed that train from the first k, and the error on the line between them."""
    ends = selection.averaged(frames["instability"])
    ends = selection.at_first_k(ends[(ends["level"] == 0) & (ends["split"] == "test")])
    tasks = list(ends["task"].unique())
    figure, axes = layout.panels(2, len(tasks))
    for column, task in enumerate(tasks):
        pair = ends[ends["task"] == task].iloc[0]
        orders = (int(pair["order_1"]), int(pair["order_2"]))
        same = ["task", "seed", "k", "level"]
        curves, line = (frames[name][(frames[name][same] == pair[same]).all(axis=1)] for name in ("curves", "interpolation"))
        line = line[(line["order_1"] == orders[0]) & (line["order_2"] == orders[1]) & (line["split"] == "test")]
        _two_runs(axes[0][column], curves, orders, int(pair["k"]))
        _path(axes[1][column], line[line["batchnorm"] == pair["batchnorm"]], pair)
        axes[0][column].set_title(task)
    return figure


def table_1(frames: Frames, sparse_levels: Levels) -> Figure:
    """Networks, recipes and measured dense accuracies as a table."""
    rows = []
    for _, n in frames["networks"].iterrows():
        spread = f" ± {100 * n['accuracy_sd']:.1f}" if n["num_seeds"] > 1 else ""
        rate = f"{n['lr']:g}, {n['schedule']}" + (f", warm-up {n['warmup']:,}" if n["warmup"] else "")
        both = f"{100 * n['density']:.1f} % ({100 * n['density_all']:.1f} %)"
        density = both if n["density"] == n["density"] else "–"
        best = f"; best {100 * n['best_accuracy']:.1f} %" if n["best_accuracy"] == n["best_accuracy"] else ""
        accuracy = f"{100 * n['accuracy']:.1f}{spread} % (n = {n['num_seeds']}{best})"
        sizes = [f"{n['num_params']:,}", f"{n['steps']:,}", f"{n['batch_size']:,}"]
        rows.append([n["task"], n["network"], n["dataset"], *sizes, accuracy, n["optimiser"], rate, density, n["pruning"]])
    head = [
        "task",
        "network",
        "data set",
        "parameters",
        "steps",
        "batch",
        "accuracy",
        "optimiser",
        "rate",
        "density (of all)",
        "pruning",
    ]
    figure, axes = layout.panels(1, 1)
    figure.set_size_inches(15, 0.6 + 0.35 * len(rows))
    axis = axes[0][0]
    axis.axis("off")
    if not rows:
        return figure
    table = axis.table(rows, colLabels=head, loc="center", cellLoc="left", edges="horizontal")
    table.auto_set_font_size(False)
    table.set_fontsize(8)
    table.auto_set_column_width(range(len(head)))
    return figure
