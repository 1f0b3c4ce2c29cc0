"""Jobs that ask for the training of a cohort: one by itself, or several of a GPU side by side."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress

from pipeline_lib.stages.support.training import Cohort, Result, train_cohorts
from pipeline_lib.store import resumption

# A job up to its training, for which it asks, and from there to its end.
Work = Generator[Cohort, list[Result], None]


def alone(work: Work) -> None:
    """Do a job."""
    with closing(work):
        (results,) = train_cohorts([next(work)])
        with suppress(StopIteration):
            work.send(results)


def together(begin: Sequence[Callable[[], Work]]) -> list[Exception | None]:
    """Do several jobs, of one task and to one step, whose runs train side by side.

    What one of them cannot read or write, ends that job alone. What goes wrong while all train, such as a full disk, is
    tried again with each by itself, from where it was kept.

    Args:
        begin: makes the work of each.

    Returns:
        Of each job why it failed; None if it did not.

    Raises:
        Preempted: the process was told to stop, and all that train are kept.
    """
    failed: dict[int, Exception] = {}
    asked: dict[int, tuple[Work, Cohort]] = {}

    def attempt(i: int, step: Callable[[], None]) -> None:
        try:
            step()
        except (ValueError, OSError) as error:
            failed[i] = error

    def ask(i: int) -> None:
        work = begin[i]()
        asked[i] = work, next(work)

    for i in range(len(begin)):
        attempt(i, lambda i=i: ask(i))  # type: ignore[misc]
    try:
        with resumption.all_stopped([cohort.keeper for _, cohort in asked.values() if cohort.keeper]):
            results = dict(zip(asked, train_cohorts([cohort for _, cohort in asked.values()]), strict=True))
    except (ValueError, OSError):
        for work, _ in reversed(asked.values()):
            work.close()
        for i in asked:
            attempt(i, lambda i=i: alone(begin[i]()))  # type: ignore[misc]
    except BaseException:
        for work, _ in reversed(asked.values()):
            work.close()
        raise
    else:
        # The last one first: each gives the handling of signals back as it found it.
        for i, (work, _) in reversed(asked.items()):
            with suppress(StopIteration):
                attempt(i, lambda work=work, i=i: work.send(results[i]))  # type: ignore[misc]
    return [failed.get(i) for i in range(len(begin))]
