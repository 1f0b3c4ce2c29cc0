"""Starts commands for tests by a fork: a process that has loaded the libraries, called as `python forked.py LIBRARY...`.

It loads nothing of this project, so that each command imports its own checkout's, as a Python of its own would. A command is a
line of JSON, a module with its words, a folder, an environment and a file for what it prints; the answer is a line with its
exit status. A fork ends as a Python does that was started: with its threads joined and what it registered for its end done.
"""

import gc
import importlib
import json
import os
import runpy
import sys
from typing import Any


def _become(asked: dict[str, Any]) -> None:
    """Be the command: its folder, environment, words and streams are this process's."""
    printed, nothing = os.open(asked["prints"], os.O_WRONLY | os.O_APPEND), os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (printed, 1), (printed, 2)):
        os.dup2(source, target)
    os.close(printed)
    os.close(nothing)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.path.insert(0, asked["folder"])
    sys.argv = ["", *asked["words"]]
    runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)


def main(libraries: list[str]) -> None:
    """Load the libraries, and start commands one after the other until nobody is there to ask for one."""
    del sys.path[0]  # this script's folder
    for name in libraries:
        importlib.import_module(name)
    gc.freeze()
    while line := sys.stdin.readline():
        number = os.fork()
        if not number:
            _become(json.loads(line))
            return
        print(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
