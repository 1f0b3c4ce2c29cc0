"""What a run shows while it goes on: one live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline_lib.core import terminal
from pipeline_lib.planning import standing
from pipeline_lib.planning.standing import Standing
from pipeline_lib.store.progress import Going

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

EVERY = 60.0  # seconds between two plain lines where no stage ends
_JOBS = 8  # jobs at work that the live view shows


class Plain:
    """Says a line when a stage ends, else a line a minute.

    Args:
        cores: how many the run has, None if it is not known.
        now: tells seconds.
    """

    def __init__(self, cores: int | None, now: Callable[[], float] = time.monotonic) -> None:
        self._cores, self._now, self._told = cores, now, now()
        self._ended: set[str] | None = None

    def __call__(self, seen: Standing) -> None:
        """Take one look at the run."""
        ended = {stage for stage, (done, total) in seen.stages.items() if done == total}
        new = ended - (ended if self._ended is None else self._ended)  # what was done before the run is no news
        self._ended = ended
        for stage in (stage for stage in seen.stages if stage in new):
            self._say(f"{stage} done ({seen.stages[stage][1]:,}), {seen.done:,} of {seen.total:,} artifacts are made")
        if not new and self._now() - self._told < EVERY:
            return
        self._told = self._now()
        if not new:
            busy = f"; now: {standing.doing(seen.going[-1])}" if seen.going else ""
            self._say(f"{seen.done:,} of {seen.total:,} artifacts are made, {standing.left(seen, self._cores)}{busy}")

    def _say(self, text: str) -> None:
        terminal.tell(f"{time.strftime('%H:%M:%S')} {text}")


def drawn(seen: Standing, cores: int | None) -> RenderableType:
    """Draw how far a run is: a bar, the stages, and the jobs at work."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    head = Table.grid(padding=(0, 1))
    rest = standing.left(seen, cores) if seen.done < seen.total else "finishing"
    head.add_row(ProgressBar(total=max(seen.total, 1), completed=seen.done, width=30), f"{seen.done:,} of {seen.total:,}, {rest}")
    counts = Text(overflow="fold")
    for stage, (done, total) in seen.stages.items():
        style = "green" if done == total else "bold" if any(each.stage == stage for each in seen.going) else "dim"
        counts.append(f"{stage} {done:,}/{total:,}", style=style).append("  ")
    more = [Text(f"  and {len(seen.going) - _JOBS} more jobs")] if len(seen.going) > _JOBS else []
    return Group(head, counts, _jobs(seen.going[:_JOBS]), *more)


def _jobs(going: Sequence[Going]) -> Table:
    """Draw jobs at work; where the terminal is narrow, their names give way and not the numbers."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table.grid(padding=(0, 1), expand=True)
    for ratio in (3, 1):
        drawn.add_column(ratio=ratio, overflow="ellipsis", no_wrap=True)
    for _ in range(4):
        drawn.add_column(no_wrap=True, justify="right")
    for each in going:
        found = standing.parts(each)
        cells = [terminal.printable(found.get(name, "")) for name in ("job", "who", "step", "loss", "accuracy", "left")]
        drawn.add_row(*map(Text, cells))
    return drawn


@contextmanager
def shown(cores: int | None, console: Console | None = None) -> Iterator[Callable[[Standing], None]]:
    """Show a run while a block goes on; gives what takes each look at it.

    Args:
        cores: how many the run has, None if it is not known.
        console: another one than standard error's.
    """
    if console is None and not sys.stderr.isatty():
        yield Plain(cores)
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=console or Console(stderr=True), auto_refresh=False, transient=True) as live:
        yield lambda seen: live.update(drawn(seen, cores), refresh=True)
