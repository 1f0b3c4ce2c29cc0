"""What instability analysis is, drawn from runs, and the networks it is applied to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_lib.figures.support import finish, layout, samples, scales, selection, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from pipeline_lib.figures.support.panel import Panel

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
        "runs": "dense_at_first_k", "tables": ["networks"], "as_table": True,
        "caption": (
            "Networks and recipes (paper B, Table 1), with the dense test accuracy that was measured: mean, standard "
            "deviation and number of seeds, and the best during training, which is optimistic. Densities are of prunable "
            "weights, and of all parameters."
        ),
    },
}  # fmt: skip

Frames = dict[str, "pd.DataFrame"]
Levels = dict[str, int]


def _two_runs(axes: Panel, curves: pd.DataFrame, orders: tuple[int, int], k: int) -> None:
    """Draw the test error of two copies while they train, and where they part."""
    for order, colour in zip(orders, ("dense", "imp"), strict=True):
        own = curves[(curves["noise_order"] == order) & (curves["split"] == "test")]
        look = style.LOOKS[colour].without_markers()
        axes.plot(own["step"], 100 * own["error"], label=f"copy under order {order}", **look.line())
    axes.axvline(k, color=style.GREY, linestyle=style.DOTTED, label="where copies part")
    axes.set_xlabel("step")
    axes.set_ylabel("test error (%)")
    scales.from_zero(axes)


def _path(axes: Panel, line: pd.DataFrame, ends: pd.Series) -> None:
    """Draw the error between the two, and the instability as an arrow."""
    axes.plot(line["alpha"], 100 * line["error"], color="black", marker=".", label="on the line between the copies")
    mean, highest = 100 * ends["mean_end_error"], 100 * ends["max_error"]
    axes.axhline(mean, color=style.GREY, linestyle=style.DASHED, linewidth=1, label="mean of the ends")
    axes.axhline(highest, color=style.GREY, linestyle=style.DASHES[3], linewidth=1, label="highest on the line")
    if line["error"].notna().any():
        at = float(line["alpha"].iloc[int(line["error"].argmax())])
        arrow = {"arrowstyle": "<->", "color": "0.2", "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (at, highest), (at, mean), arrowprops=arrow)
        axes.set_title(f"instability {100 * ends['instability']:.1f} points")
    axes.set_xlabel("interpolation α")
    axes.set_ylabel("test error (%)")
    scales.from_zero(axes)


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
        axes[0][column].set_title(f"{task}, k = {int(pair['k']):,}")
        for row in axes:
            samples.count(row[column], "pair", 1)
    return figure


def _facts(n: pd.Series) -> dict[str, str]:
    """Word what the table says of one network."""
    spread = f" ± {100 * n['accuracy_sd']:.1f}" if n["num_seeds"] > 1 else ""
    known = {name: n[name] == n[name] for name in ("best_accuracy", "density", "density_all")}
    return {
        "network": str(n["network"]),
        "data set": str(n["dataset"]),
        "parameters": f"{n['num_params']:,}",
        "steps": f"{n['steps']:,}",
        "batch": f"{n['batch_size']:,}",
        "optimiser": str(n["optimiser"]),
        "learning rate": f"{n['lr']:g}",
        "schedule": str(n["schedule"]),
        "warm-up": f"{n['warmup']:,} steps" if n["warmup"] else "–",
        "pruning": str(n["pruning"]),
        "density": f"{100 * n['density']:.1f} %" if known["density"] else "–",
        "density of all": f"{100 * n['density_all']:.1f} %" if known["density_all"] else "–",
        "test accuracy": f"{100 * n['accuracy']:.1f}{spread} %",
        "best in training": f"{100 * n['best_accuracy']:.1f} %" if known["best_accuracy"] else "–",
        "seeds": f"n = {n['num_seeds']}",
    }


def table_1(frames: Frames, sparse_levels: Levels) -> Figure:
    """Networks, recipes and measured dense accuracies as a table: a row a fact, a column a task, a few side by side."""
    import pandas as pd
    from matplotlib.transforms import Bbox

    said = {str(n["task"]): _facts(n) for _, n in frames["networks"].iterrows()}
    tasks = list(said)
    blocks = [tasks[i : i + layout.ACROSS] for i in range(0, len(tasks), layout.ACROSS)]
    figure, axes = layout.panels(len(blocks), 1)
    for (axis,), block in zip(axes, blocks, strict=False):
        rows = {fact: [said[task][fact] for task in block] for fact in said[block[0]]}
        heads = [finish.wrapped(task, 20) for task in block]
        table = axis.table(
            list(rows.values()), rowLabels=list(rows), colLabels=heads, bbox=Bbox.unit(), cellLoc="left", edges="B"
        )
        table.auto_set_font_size(False)
        table.set_fontsize(8)
        for (row, _), cell in table.get_celld().items():
            cell.set_edgecolor("0.8")
            if row == 0:
                cell.set_height(cell.get_height() * max(head.count("\n") + 1 for head in heads))
        axis.axis("off")
    axes[0][0].words = pd.DataFrame(said).reset_index(names="") if said else None
    figure.set_size_inches(1.3 + 1.5 * max(map(len, blocks), default=1), max(1, len(blocks)) * 3.6)
    return figure
