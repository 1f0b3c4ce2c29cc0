"""Numbers in documents, from the tables beside them: `page.md` -> `README.md` in each folder of `reproductions/`.

A page is its README with `{{ … }}` where a number stands; `make docs-numbers` writes the READMEs, and a test holds them against
the tables. What may stand there is a method of `Page`.

    At 6.9 % rewinding to 50 comes to {{ mean("runs", "100 * (1 - test_error)", start="k50", level=2) }} %.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from pipeline_lib.claims import estimates

FOLDER = Path(__file__).parent / "reproductions"
TEMPLATE, RENDERED = "page.md", "README.md"
NOTICE = f"<!-- Written by `make docs-numbers` from {TEMPLATE} and the tables beside it: edit that one. -->\n"


class Page:
    """What a page may ask of the tables in its folder, or in one below it: `sparse/runs`.

    `of` is a column, or an expression of columns as pandas' `eval` reads it; `where` are columns and their value, or a list of
    values. Rows of one seed are averaged first, so that a deviation and an interval are over seeds.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def rows(self, table: str, **where: Any) -> pd.DataFrame:
        """Rows of a table.

        Raises:
            ValueError: there are none, or the table has no such column.
        """
        frame = pd.read_parquet(self._folder / f"{table}.parquet")
        for column, value in where.items():
            if column not in frame:
                raise ValueError(f"column of {table} must be one of {', '.join(frame)}, got {column!r}; correct the page")
            chosen = value if isinstance(value, list) else [value]
            frame = frame[frame[column].isin(chosen)]
        if frame.empty:
            raise ValueError(f"rows of {table} must exist, got none for {where}; correct the page")
        return frame

    def values(self, table: str, of: str, **where: Any) -> list[float]:
        """One value a seed, without those that were not measured."""
        frame = self.rows(table, **where)
        by = frame["seed"] if "seed" in frame else pd.Series(range(len(frame)), frame.index)
        return [float(each) for each in frame.eval(of).astype(float).groupby(by).mean().dropna()]

    def mean(self, table: str, of: str, digits: int = 1, **where: Any) -> str:
        """The mean over seeds."""
        return _number(statistics.fmean(self.values(table, of, **where)), digits)

    def spread(self, table: str, of: str, digits: int = 1, **where: Any) -> str:
        """The mean and the standard deviation over seeds."""
        found = self.values(table, of, **where)
        return f"{_number(statistics.fmean(found), digits)} ± {_number(statistics.stdev(found), digits)}"

    def interval(self, table: str, of: str, digits: int = 1, **where: Any) -> str:
        """The mean over seeds and its 95 % interval by Student's t."""
        return _interval(self.values(table, of, **where), digits)

    def difference(
        self, table: str, of: str, first: dict[str, Any], second: dict[str, Any], digits: int = 1, **where: Any
    ) -> str:
        """The mean over seeds of first less second, seed by seed, and its 95 % interval; `where` is common to both."""
        parts = []
        for own in (first, second):
            frame = self.rows(table, **where, **own)
            parts.append(frame.eval(of).astype(float).groupby(frame["seed"]).mean())
        return _interval([float(each) for each in (parts[0] - parts[1]).dropna()], digits)

    def ratio(self, table: str, of: str, first: dict[str, Any], second: dict[str, Any], digits: int = 1, **where: Any) -> str:
        """The mean over seeds of first, divided by that of second; `where` is common to both."""
        above, below = (statistics.fmean(self.values(table, of, **where, **own)) for own in (first, second))
        return _number(above / below, digits)

    def each(self, table: str, of: str, by: str | list[str], digits: int = 1, **where: Any) -> str:
        """The means of groups of rows, in the order of what groups them: columns, or expressions of some."""
        return ", ".join(_number(mean, digits) for mean in self._means(table, of, by, where))

    def extent(self, table: str, of: str, by: str | list[str], digits: int = 1, **where: Any) -> str:
        """The least and the greatest of the means that `each` lists."""
        means = self._means(table, of, by, where)
        return f"{_number(min(means), digits)} to {_number(max(means), digits)}"

    def _means(self, table: str, of: str, by: str | list[str], where: dict[str, Any]) -> list[float]:
        frame = self.rows(table, **where)
        groups = [frame.eval(each) for each in ([by] if isinstance(by, str) else by)]
        return [float(mean) for mean in frame.eval(of).astype(float).groupby(groups).mean().dropna()]

    def value(self, table: str, of: str, digits: int = 2, **where: Any) -> str:
        """The only value.

        Raises:
            ValueError: there are several.
        """
        frame = self.rows(table, **where)
        if len(frame) > 1:
            raise ValueError(f"rows of {table} must be one, got {len(frame)} for {where}; say more, or ask for a mean")
        return _number(float(frame.eval(of).iloc[0]), digits)

    def count(self, table: str, of: str = "seed", **where: Any) -> int:
        """How many different values there are."""
        return int(self.rows(table, **where)[of].nunique())

    def measured(self, claim: str, setting: str, digits: int = 2, table: str = "claims") -> str:
        """A claim's value and interval, or that it was not measured."""
        (row,) = self.rows(table, claim=claim, setting=setting).to_dict("records")
        if row["verdict"] == "not measured":
            return "not measured"
        value, low, high = (_number(row[name], digits) for name in ("measured", "low", "high"))
        return f"{value} ({low} to {high})"

    def verdict(self, claim: str, setting: str, table: str = "claims") -> str:
        """A claim's verdict, value and interval."""
        (row,) = self.rows(table, claim=claim, setting=setting).to_dict("records")
        found = self.measured(claim, setting, table=table)
        return found if row["verdict"] == "not measured" else f"{row['verdict']}, {found}"

    def claims(self, setting: str, verdict: str, table: str = "claims") -> list[dict[str, Any]]:
        """Claims with a verdict, in the paper's order."""
        frame = self.rows(table, setting=setting)
        return [dict(row) for _, row in frame[frame["verdict"] == verdict].iterrows()]

    def agreement(self, table: str, other: str) -> dict[str, int]:
        """Compare two tables of claims: how many verdicts there are in both, are the same, and are holds and fails."""
        first, second = (self.rows(each).set_index(["claim", "setting"])["verdict"] for each in (table, other))
        both = pd.concat([first, second], axis=1, keys=["one", "other"], join="inner")
        both = both[(both != "not measured").all(axis=1)]
        opposite = (both.isin(["holds", "fails"]).all(axis=1)) & (both["one"] != both["other"])
        return {"judged": len(both), "same": int((both["one"] == both["other"]).sum()), "opposite": int(opposite.sum())}

    def board(self) -> str:
        """How many claims hold, fail, are undecided and were not measured, by paper."""
        words = ("holds", "fails", "undecided", "not measured")
        lines = []
        for family, group in self.rows("claims").groupby("family"):
            found = group["verdict"].value_counts()
            lines.append(f"{family}: {', '.join(f'{found.get(word, 0)} {word}' for word in words)}")
        return "; ".join(lines)


def _number(value: float, digits: int) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _interval(found: list[float], digits: int) -> str:
    by_seed = estimates.mean(dict(enumerate(found)))(0.95)
    return f"{_number(by_seed.value, digits)} ({_number(by_seed.low, digits)} to {_number(by_seed.high, digits)})"


def render(page: Path) -> str:
    """Write a page with its numbers.

    Raises:
        ValueError: it asks for what its tables lack.
        jinja2.TemplateError: it is no template.
    """
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True)
    tools = Page(page.parent)
    names = {name: getattr(tools, name) for name in dir(Page) if not name.startswith("_")}
    return NOTICE + environment.from_string(page.read_text(encoding="utf-8")).render(names)


def pages(folder: Path = FOLDER) -> Iterable[Path]:
    """List the pages."""
    return sorted(folder.glob(f"*/{TEMPLATE}"))


def main() -> int:
    """Write all READMEs."""
    for page in pages():
        try:
            text = render(page)
        except (ValueError, OSError, jinja2.TemplateError, pd.errors.UndefinedVariableError) as error:
            sys.stderr.write(f"error: {page.parent.name}: {error}\n")
            return 1
        page.with_name(RENDERED).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
