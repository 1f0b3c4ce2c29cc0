"""Jobs that ask for the training of a cohort: one by itself, or several of a GPU side by side."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from typing import Any

from pipeline_lib.stages.support.training import Cohort, Result, train_cohorts
from pipeline_lib.store import resumption
from pipeline_lib.store.job import Job, at_work

# A job up to its training, for which it asks, and from there to its end.
Work = Generator[Cohort, list[Result], None]


def alone(work: Work) -> None:
    """Do a job."""
    with closing(work):
        (results,) = train_cohorts([next(work)])
        with suppress(StopIteration):
            work.send(results)


def together(jobs: Sequence[Job[Any]], begin: Callable[[Job[Any]], Work], ended: Callable[[int, Exception | None], None]) -> None:
    """Do several jobs, of one task and to one step, whose runs train side by side.

    What one of them cannot read or write, ends that job alone. What goes wrong while all train, such as a full disk, is
    tried again with each by itself, from where it was kept.

    Args:
        jobs: what to do.
        begin: makes the work of a job.
        ended: called with each job's number as soon as it has ended, and why it failed; None if it did not.

    Raises:
        Preempted: the process was told to stop, and all that train are kept.
    """
    asked: dict[int, tuple[Work, Cohort]] = {}

    def attempt(i: int, step: Callable[[], None], last: bool = True) -> None:
        with at_work(jobs[i].folder):
            try:
                step()
            except (ValueError, OSError) as error:
                ended(i, error)
            else:
                if last:
                    ended(i, None)

    def ask(i: int) -> None:
        work = begin(jobs[i])
        asked[i] = work, next(work)

    def answer(i: int, results: list[Result]) -> None:
        with suppress(StopIteration):
            asked[i][0].send(results)

    for i in range(len(jobs)):
        attempt(i, lambda i=i: ask(i), last=False)  # type: ignore[misc]
    try:
        with resumption.all_stopped([cohort.keeper for _, cohort in asked.values() if cohort.keeper]):
            results = dict(zip(asked, train_cohorts([cohort for _, cohort in asked.values()]), strict=True))
    except (ValueError, OSError):
        for work, _ in reversed(asked.values()):
            work.close()
        for i in asked:
            attempt(i, lambda i=i: alone(begin(jobs[i])))  # type: ignore[misc]
    except BaseException:
        for work, _ in reversed(asked.values()):
            work.close()
        raise
    else:
        # The last one first: each gives the handling of signals back as it found it.
        for i in reversed(asked):
            attempt(i, lambda i=i: answer(i, results[i]))  # type: ignore[misc]
