"""Plans in words: which networks a figure needs and why, which figures share them, and what of it exists."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline_lib.core import registry
from pipeline_lib.experiments.experiment import Experiment
from pipeline_lib.experiments.figure_needs import FIGURES, Demand
from pipeline_lib.experiments.runs import Run, with_ancestors
from pipeline_lib.experiments.settings.options import Grid
from pipeline_lib.planning import estimate, plan
from pipeline_lib.planning.declared import COLUMNS, DERIVED, TABLES
from pipeline_lib.planning.lineage import Lineage, digits
from pipeline_lib.planning.nodes import Node, Plan

_KINDS = {"imp": "IMP", "random_prune": "random pruning", "reinit": "reinitialised"}
_PUBLISHED = ("tabulate", "derive", "judge", "plot")
Point = tuple[str | int, ...]
Box = tuple[tuple[str | int, ...], ...]


@dataclass(frozen=True)
class Needs:
    """The networks of one task that a figure needs, up to their seed.

    Args:
        drawn: those that it shows or compares.
        below: those whose masks lead to these.
        seeds: how many of each.
    """

    drawn: frozenset[Run]
    below: frozenset[Run]
    seeds: int

    @property
    def runs(self) -> frozenset[Run]:
        """All of them."""
        return self.drawn | self.below


def needs(grid: Grid, figure: str) -> Needs:
    """List the networks that a figure needs of a task."""
    drawn = frozenset(FIGURES[figure].runs(grid))
    return Needs(drawn, frozenset(with_ancestors(grid, drawn)) - drawn, len(grid.seeds))


def boxes(points: Collection[Point]) -> list[Box]:
    """Write points as few products of values, each with the values that go with all others."""
    if points == {()}:
        return [()]
    rest: dict[str | int, set[Point]] = defaultdict(set)
    for first, *others in points:
        rest[first].add(tuple(others))
    alike: dict[frozenset[Point], list[str | int]] = defaultdict(list)
    for value in sorted(rest, key=lambda value: (str(type(value)), value)):
        alike[frozenset(rest[value])].append(value)
    return [(tuple(values), *box) for others, values in alike.items() for box in boxes(others)]


def _listed(values: Sequence[str | int]) -> str:
    numbers = [value for value in values if isinstance(value, int)]
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, values))


def _factor(values: Sequence[str | int], what: str) -> str:
    return f"{what} {values[0]}" if len(values) == 1 else f"{len(values)} {what}s ({_listed(values)})"


def _products(runs: Iterable[Run]) -> Iterator[str]:
    """Write networks as products, a line each."""
    points: set[Point] = {(run.kind, run.start.change, run.k, run.level, run.order) for run in runs}
    for kinds, starts, ks, levels, orders in boxes(points):
        num = len(kinds) * len(starts) * len(ks) * len(levels) * len(orders)
        names = [_KINDS[str(kind)] for kind in kinds]
        parts = [f"{len(names)} kinds ({', '.join(names)})" if len(names) > 1 else names[0]]
        parts += [_factor(ks, "rewind step"), _factor(levels, "level"), _factor(orders, "order")]
        parts += [_factor(starts, "start")] if starts != ("",) else []
        yield f"{num} = {' x '.join(parts)}" if num > 1 else ", ".join(parts)


def _groups(e: Experiment, figure: str) -> list[tuple[list[str], Needs]]:
    """Group tasks that a figure needs alike."""
    found: dict[Needs, list[str]] = defaultdict(list)
    for task, grid in e.grids.items():
        found[needs(grid, figure)].append(task)
    return [(tasks, each) for each, tasks in found.items()]


def num_networks(e: Experiment, figure: str) -> int:
    """Count the networks that a figure needs, over tasks and seeds."""
    return sum(len(tasks) * each.seeds * len(each.runs) for tasks, each in _groups(e, figure))


def _why(demand: Demand) -> str:
    return (demand.runs.__doc__ or "").strip().partition("\n")[0]


def _networks(e: Experiment, figure: str) -> Iterator[str]:
    for tasks, each in _groups(e, figure):
        who = f"{len(tasks)} tasks ({', '.join(tasks)})" if len(tasks) > 1 else f"task {tasks[0]}"
        if not each.runs:
            yield f"{who}: trains no network of a ladder for it"
            continue
        many = len(tasks) * each.seeds
        yield f"{many * len(each.runs)} networks = {who} x {each.seeds} seeds x {len(each.runs)}:"
        yield from (f"  drawn or compared: {line}" for line in _products(each.drawn))
        if each.below:
            yield f"  {many * len(each.below)} of them are levels below, whose masks lead to the ones that are drawn:"
            yield from (f"    {line}" for line in _products(each.below))


def _shared(made: Plan, e: Experiment, figure: str, own: Collection[Node]) -> Iterator[str]:
    """Say how many networks other figures and experiments need, too."""
    alone = {task: set(needs(grid, figure).runs) for task, grid in e.grids.items()}
    parts = []
    for other in (other for other in e.figures if other != figure):
        common = 0
        for task, grid in e.grids.items():
            both = needs(grid, figure).runs & needs(grid, other).runs
            common += len(both) * len(grid.seeds)
            alone[task] -= both
        parts += [f"{common} with {other}"] if common else []
    if parts:
        yield f"networks that it shares: {', '.join(parts)}"
    if e.figures != (figure,):
        num = sum(len(runs) * len(e.grids[task].seeds) for task, runs in alone.items())
        yield f"networks that only this figure of {e.name} needs: {num}"
    keys = {node.key for node in own if node.num_runs}
    for name, measured in made.tables.items():
        if name != e.name:
            common = sum(node.num_runs for node in above(made, measured.values()) if node.key in keys)
            if common:
                yield f"networks that it shares with experiment {name}: {common}"


def above(made: Plan, nodes: Iterable[Node]) -> list[Node]:
    """List nodes and all that they come from."""
    todo, found = list(nodes), dict[str, Node]()
    while todo:
        node = todo.pop()
        if node.key not in found:
            found[node.key] = node
            todo += [parent for parents in made.parents(node).values() for parent in parents]
    return list(found.values())


def _figure(made: Plan, e: Experiment, figure: str) -> str:
    demand = FIGURES[figure]
    alone = plan.make_plan(replace(made.config, experiments={e.name: replace(e, figures=(figure,), claims=())}))
    own = [node for node in alone.nodes.values() if node.stage not in _PUBLISHED]
    drawn = above(made, [made.figures[e.name][figure]] if figure in made.figures[e.name] else [])
    whole = sum(node.num_runs for node in drawn)
    lines = [f"figure {figure} of {e.name}, drawn from: {', '.join(demand.tables)}"]
    lines += [why] if (why := _why(demand)) else []
    lines += [*_networks(e, figure), *_shared(made, e, figure, own)]
    lines += estimate.stages(made, [*own, *(node for node in drawn if node.stage in _PUBLISHED)])
    if whole > sum(node.num_runs for node in own):
        lines.append(f"its tables hold all {whole} networks of {e.name}; for this figure's alone: figures: [{figure}]")
    return "\n".join(lines)


def _table(made: Plan, e: Experiment, table: str) -> str:
    found = above(made, [made.tables[e.name][table]])
    sources = DERIVED[table].sources if table in DERIVED else ("tables",)
    source = f"measured by {TABLES[table]}" if table in TABLES else "computed from " + ", ".join(sources)
    figures = [figure for figure in e.figures if table in FIGURES[figure].tables]
    lines = [f"table {table} of {e.name}, {source}, {len(COLUMNS[table])} columns, see docs/tables.md"]
    lines.append(f"drawn in: {', '.join(figures) or 'no figure'}")
    lines.append(f"comes from {sum(node.num_runs for node in found)} trained networks")
    return "\n".join([*lines, *estimate.stages(made, found)])


def _experiment(e: Experiment) -> str:
    """List an experiment's figures with the networks that each of them needs."""
    lines = [f"experiment {e.name}: {len(e.grids)} task{'s' * (len(e.grids) > 1)} ({', '.join(e.grids)})"]
    lines.append(f"{'figure':24} {'networks':>9} {'its alone':>9}  drawn from")
    for figure in e.figures:
        others = [other for other in e.figures if other != figure]
        alone = 0
        for grid in e.grids.values():
            shared = {run for other in others for run in needs(grid, other).runs}
            alone += len(needs(grid, figure).runs - shared) * len(grid.seeds)
        lines.append(f"{figure:24} {num_networks(e, figure):9} {alone:9}  {', '.join(FIGURES[figure].tables)}")
    return "\n".join(lines)


def _named(made: Plan, word: str) -> list[str]:
    """Explain a figure or table, in each experiment that has it.

    Raises:
        ValueError: no experiment has it.
    """
    ending, name = Path(word).suffix, Path(word).stem
    found: list[str] = []
    for e in made.config.experiments.values():
        if name in e.figures and ending != ".parquet":
            found.append(_figure(made, e, name))
        if name in made.tables[e.name] and ending in ("", ".parquet"):
            found.append(_table(made, e, name))
    if not found:
        figures = {figure: None for e in made.config.experiments.values() for figure in e.figures}
        tables = {table: None for measured in made.tables.values() for table in measured}
        raise registry.unknown("figure, table or key", word, [*figures, *tables])
    return found


def report(results: Path, made: Plan | None, words: Sequence[str]) -> str:
    """Explain a plan's experiments, a figure, a table, an artifact, or why two artifacts differ.

    Args:
        results: the results folder.
        made: the plan, if there is one.
        words: a figure or table, or one key or two; keys may be shortened.

    Raises:
        ValueError: a word is none of these.
    """
    if made and not words:
        parts = [_experiment(e) for e in made.config.experiments.values()]
        return "\n".join([*parts, estimate.report(made)])
    named = [word for word in words if not digits(word) or (made and word in _names(made))]
    if made and len(words) == 1 and named:
        return "\n\n".join(_named(made, words[0]))
    if named or not 1 <= len(words) <= 2:
        rule = "what to explain must be a config with a figure, table or key, or two keys"
        raise ValueError(f"{rule}, got {' '.join(words) or 'nothing'}; name one thing at a time")
    lineage = Lineage(results, made)
    keys = [lineage.key(word) for word in words]
    return lineage.report(keys[0]) if len(keys) == 1 else lineage.difference(*keys)


def _names(made: Plan) -> set[str]:
    return {name for e in made.config.experiments.values() for name in (*e.figures, *made.tables[e.name])}
