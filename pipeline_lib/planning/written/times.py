"""Times of files, by which Snakemake tells what is outdated where it has no records: in results that were copied from elsewhere.

Keys say what an artifact was made from, so one that is whole is never older than that, whatever its files' times are after a copy
without them.
"""

from __future__ import annotations

import os
from contextlib import suppress

from pipeline_lib.planning.nodes import Plan


def put_in_order(plan: Plan) -> None:
    """Let no artifact that is whole look older than one that it was made from; another user's files stay as they are."""
    newest: dict[str, int] = {}
    for key, node in plan.nodes.items():  # parents come before children
        files = [plan.config.results / name for name in node.files()]
        took = plan.config.results / node.benchmark  # whose time counts as that of an output
        files += [took] if took.is_file() else []
        with suppress(OSError):  # not made yet, or another's
            times = [path.stat().st_mtime_ns for path in files]
            begun = max((newest.get(each, 0) for parents in node.parents.values() for each in parents), default=0)
            newest[key] = max(*times, begun)
            for path in files if min(times) < begun else ():
                os.utime(path, ns=(begun, begun))
