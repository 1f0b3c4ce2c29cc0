"""Options of an experiment that only some figures ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pipeline_lib.core.values import Count, Examples, Fraction, In, Items, Length, Level, Period, Points
from pipeline_lib.experiments import comparisons, lengths, starts
from pipeline_lib.experiments.settings.basics import Basics, RewindSteps, Split
from pipeline_lib.experiments.settings.keys import Shape, key, refuse_repetitions

Levels = Annotated[tuple[Level, ...], Items(1)]
Fractions = Annotated[tuple[Fraction, ...], Items(1)]
# A length that stays as it is spelled, as in texts of starts.
Spelled = Annotated[str, Shape("a number of steps, or a length such as 500it or 2ep", {"$ref": "#/$defs/length"})]


def _names(num: int) -> dict[str, Any]:
    return {"type": "array", "minItems": num, "maxItems": num, "items": {"type": "string"}}


Two = Annotated[tuple[str, ...], Shape("a list of two names", _names(2))]
Three = Annotated[tuple[str, ...], Shape("a list of three names", _names(3))]


def _refuse_above(place: str, levels: Sequence[int], highest: int) -> None:
    for level in levels:
        if level > highest:
            raise ValueError(f"{place} must be at most {highest}, got {level}; raise levels or leave it out")


@dataclass(frozen=True, kw_only=True)
class Throughout:
    """Instability during training, for which dense runs keep their states."""

    every: Period = key("1ep", "steps", "how often states are kept")
    rewind: Annotated[tuple[Length, ...], Items(1)] = key(
        lambda e: e.rewind, "steps", "rewind steps whose runs are followed", "as `rewind`"
    )
    alphas: Points = key(lambda e: e.alphas, "points", "points on the line between two networks", "as `alphas`")

    def checked(self, place: str, grid: Basics) -> Throughout:
        """Refuse steps that are no rewind steps."""
        strange = [k for k in self.rewind if k not in grid.rewind]
        if strange:
            raise ValueError(f"{place}.rewind must be steps of rewind, {list(grid.rewind)}, got {strange[0]}; add it there")
        return self


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """Ladders from networks that learned something else first."""

    pretexts: Annotated[tuple[str, ...], Items(1)] = key(
        tuple(comparisons.PRETEXTS), "", "what they learn: calls of functions in `pipeline_lib/pretexts`, joined by +"
    )
    durations: Annotated[tuple[Spelled, ...], Items(1)] = key(
        ("2ep", "5ep", "10ep", "20ep", "40ep"), "steps", "how long they learn it"
    )
    reference: Length = key(
        lambda e: (e.perturbed or e.rewind)[-1],
        "steps",
        "rewind step of the ladder to compare with",
        "last of `perturbed`, or of `rewind`",
    )

    def checked(self, place: str, grid: Basics) -> Pretraining:
        """Put durations in order; refuse what says one thing twice."""
        durations = [str(each) for each in self.durations]
        steps = {each: lengths.read(each, grid.task) for each in durations}
        refuse_repetitions(f"{place}.durations", durations, [steps[each] for each in durations])
        for duration in durations:
            texts = [f"k0 | {pretext} for {duration}" for pretext in self.pretexts]
            taught = [starts.parse(text, grid.task, place).text for text in texts]
            refuse_repetitions(f"{place}.pretexts", self.pretexts, taught)
        return replace(self, durations=tuple(sorted(durations, key=steps.__getitem__)))


@dataclass(frozen=True, kw_only=True)
class Telemetry:
    """A dense run that is looked at closely."""

    steps: Period = key(4000, "steps", "how many of the first are looked at; not more than the training has")
    evaluate_every: Period = key(200, "steps", "how often the test split is evaluated")

    def checked(self, place: str, grid: Basics) -> Telemetry:
        """End with the training."""
        return replace(self, steps=min(self.steps, grid.task["steps"]))


@dataclass(frozen=True, kw_only=True)
class Curvature:
    """The Hessian's spectrum early in training."""

    steps: RewindSteps = key(lambda e: e.rewind, "steps", "where it is measured, on the run from step 0", "as `rewind`")
    iterations: Count = key(60, "iterations", "of Lanczos' method, for each probe")
    probes: Count = key(2, "vectors", "random vectors whose spectra are averaged")
    examples: Examples = key(2000, "images", "training images that it is measured on")
    subspace: Count = key(10, "eigenvectors", "of the largest eigenvalues, whose share in the gradient is measured")


@dataclass(frozen=True, kw_only=True)
class Connectivity:
    """Lines between the levels of ladders, to projections, and to networks from moved starts."""

    alphas: Points = key(11, "points", "points on each line")
    splits: Annotated[tuple[Split, ...], Items(1)] = key(("test",), "", "where lines are evaluated")
    rewind: RewindSteps = key(lambda e: e.rewind[-1:], "steps", "ladders of which all pairs count", "last of `rewind`")


@dataclass(frozen=True, kw_only=True)
class Planes:
    """Planes through solutions of the last rewind step's ladder."""

    levels: Levels = key(lambda e: tuple(range(e.levels)), "levels", "whose solutions they go through", "all but the last")
    points: Points = key(51, "points", "points along each side")
    margin: Annotated[float, In("[0, 1000]")] = key(0.5, "share of the extent", "what is seen beyond the networks")
    seeds: Count = key(1, "replicates", "of how many seeds, the first ones")

    def checked(self, place: str, grid: Basics) -> Planes:
        """Refuse levels that have no next one."""
        _refuse_above(f"{place}.levels", self.levels, grid.levels - 1)
        return replace(self, levels=tuple(sorted(self.levels)))


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much can be pruned, and spectra at solutions."""

    levels: Levels = key(lambda e: tuple(range(0, e.levels, 2)), "levels", "whose solutions are looked at", "every other one")
    fractions: Fractions = key(
        tuple(i / 10 for i in range(1, 10)), "share of what is left", "what is cut off solutions, by each criterion"
    )
    small_fractions: Fractions = key(
        (0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14),
        "share of what is left",
        "what is cut off at random, besides; a line is fitted to these",
    )
    fit_level: Level = key(lambda e: min(4, e.levels), "levels", "the level that it is fitted at", "4, or the last")
    draws: Count = key(5, "draws", "of what is cut off at random for the line, at each ratio")
    regression: Literal["error_on_loss", "loss_on_error"] = key(
        "error_on_loss", "", "the line's squares: of test errors given training losses, or of losses given errors"
    )
    iterations: Annotated[int, In("[2, 1000000]")] = key(
        300, "iterations", "of Lanczos' method, for each probe, at most; they end where limits are within the tolerance"
    )
    probes: Count = key(4, "vectors", "random vectors whose spectra are averaged")
    examples: Examples = key(
        10000, "images", "training images that spectra are measured on, at most: an eighth, a quarter or a half if that is enough"
    )
    operators: Annotated[tuple[Literal["hessian", "gauss_newton"], ...], Items(1)] = key(
        ("gauss_newton", "hessian"), "", "the matrices whose spectra are measured; the Gauss-Newton limit has a bracket"
    )
    tolerance: Annotated[float, In("(0, 1)")] = key(
        0.02, "share of weights", "what may still move in a limit; one that moves by more is no value"
    )
    resolution: Annotated[float, In("(0, 1)")] = key(
        1e-6, "share of the largest eigenvalue", "the smallest c = 2 epsilon / R^2 for which iterations go on"
    )
    subspace: Count = key(10, "eigenvectors", "of the largest eigenvalues, whose share in the gradient is measured")
    directions: Count = key(8, "directions", "of each kind along which the loss is followed")

    def checked(self, place: str, grid: Basics) -> Limits:
        """Refuse levels beyond the ladder."""
        _refuse_above(f"{place}.levels", self.levels, grid.levels)
        _refuse_above(f"{place}.fit_level", [self.fit_level], grid.levels)
        return replace(self, levels=tuple(sorted(self.levels)))


@dataclass(frozen=True, kw_only=True)
class Adaptive:
    """A ladder whose ratios a rule finds."""

    levels: Annotated[int, In("[1, 1000]")] = key(lambda e: e.levels, "levels", "how far it goes", "as `levels`")
    rule: str = key("adaptive", "", "a call of a function in `pipeline_lib/pruning/ratios`")

    def checked(self, place: str, grid: Basics) -> Adaptive:
        """Word the rule canonically; refuse levels beyond the ladder."""
        _refuse_above(f"{place}.levels", [self.levels], grid.levels)
        text = starts.parse(f"k0 | {self.rule}", grid.task, f"{place}.rule").text
        return replace(self, rule=text.partition(" | ")[2])


@dataclass(frozen=True, kw_only=True)
class Analyse:
    """Measurements of checkpoints that the config brings."""

    hessian: Annotated[tuple[str, ...], Items()] = key((), "", "checkpoints whose Hessian's spectrum is measured: `[a]`")
    paths: Annotated[tuple[Two, ...], Items()] = key((), "", "pairs with the line between them: `[[a, b]]`")
    planes: Annotated[tuple[Three, ...], Items()] = key((), "", "threes with the plane through them: `[[a, b, c]]`")
    alphas: Points = key(lambda e: e.alphas, "points", "points on each line", "as `alphas`")
    points: Points = key(21, "points", "points along each side of a plane")
    margin: Annotated[float, In("[0, 1000]")] = key(0.2, "share of the extent", "what is seen beyond the three")
    iterations: Count = key(60, "iterations", "of Lanczos' method, for each probe")
    probes: Count = key(2, "vectors", "random vectors whose spectra are averaged")
    examples: Examples = key(2000, "images", "training images that spectra are measured on")
    subspace: Count = key(10, "eigenvectors", "of the largest eigenvalues, whose share in the gradient is measured")

    def checked(self, place: str, grid: Basics) -> Analyse:
        """Refuse checkpoints that there are not, twice the same, and what would be in one table with ladders."""
        for what, of in (("hessian", [self.hessian]), ("paths", self.paths), ("planes", self.planes)):
            for names in of:
                for name in names:
                    grid.own.checkpoint(name, f"{place}.{what}")
                if len(set(names)) < len(names):
                    raise ValueError(f"{place}.{what} must be of different checkpoints, got {', '.join(names)}; change one")
        for other in ("curvature", "connectivity", "limits"):
            if getattr(grid, other) is not None:
                raise ValueError(f"{place} must be in an experiment without {other}, got both; divide it into two experiments")
        return self


@dataclass(frozen=True, kw_only=True)
class Grid(Basics):
    """One task's part of an experiment with its options, None for those that are not asked for.

    Args:
        asked: options that a stage's file declares in its `SETTINGS`, by name.
    """

    throughout: Throughout | None = key(None, "", "instability during training")
    pretraining: Pretraining | None = key(None, "", "ladders from networks that learned something else first")
    telemetry: Telemetry | None = key(None, "", "a dense run that is looked at closely")
    curvature: Curvature | None = key(None, "", "the Hessian's spectrum early in training")
    connectivity: Connectivity | None = key(None, "", "lines between the levels of ladders")
    planes: Planes | None = key(None, "", "planes through solutions")
    limits: Limits | None = key(None, "", "how much can be pruned, and spectra at solutions")
    adaptive: Adaptive | None = key(None, "", "a ladder whose ratios the training loss decides")
    analyse: Analyse | None = key(None, "", "measurements of checkpoints that the config brings ([how](own-checkpoints.md))")
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)

    def asks(self, option: str) -> Any:
        """Give an option by its name, something false where it is not asked for."""
        return self.asked[option] if option in self.asked else getattr(self, option, None)
