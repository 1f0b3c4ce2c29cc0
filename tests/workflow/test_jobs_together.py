"""Ready jobs that train share a process where that is asked for, to the same bytes, each with its own log."""

from __future__ import annotations

import re

import checkout as co
import pytest
from checkout import Checkout

LOGS = "logs/train"


def _shared(checkout: Checkout) -> dict[str, set[str]]:
    """The nodes that each process trained, by what their logs say."""
    found: dict[str, set[str]] = {}
    for log in (checkout.results / LOGS).iterdir():
        for process in re.findall(r"jobs share process (\d+): ", log.read_text(encoding="utf-8")):
            found.setdefault(process, set()).add(log.stem)
    return found


def _results(checkout: Checkout) -> dict[str, str]:
    made = co.contents(checkout.results)
    return {name: digest for name, digest in made.items() if name.startswith(("artifacts/", "single/"))}


def test_ready_jobs_share_a_process_to_the_same_bytes(single_done: Checkout, tmp_path) -> None:
    checkout = co.blank(tmp_path / "checkout", co.SINGLE)
    words = ("run", checkout.config.name, "--cores", "8", "--together", "3")
    outcome = co.call(checkout.root, "-m", "pipeline_lib", *words)
    assert outcome.code == 0, outcome.text
    assert _results(checkout) == _results(single_done)
    trained = {path.name for path in (checkout.results / "artifacts" / "train").iterdir()}
    shared = _shared(checkout)
    assert set().union(*shared.values()) == trained, "of each level three were ready at a time"
    assert [len(nodes) for nodes in shared.values()] == [3, 3]
    for log in (checkout.results / LOGS).iterdir():
        text = log.read_text(encoding="utf-8")
        order = re.search(r"-o(\d)-", log.stem)
        assert order
        assert set(re.findall(r"order (\d)", text)) == {order[1]}, "its own lines alone"
        assert (checkout.results / "benchmarks" / "train" / f"{log.stem}.tsv").is_file()
    assert not _shared(single_done)


@pytest.mark.parametrize("config", [co.TINY, co.EARLY, co.UNMASKING], ids=["tiny", "early", "unmasking"])
def test_on_a_cluster_those_that_train_are_groups_of_which_none_waits_for_itself(tmp_path, config: co.Config) -> None:
    """A dry run groups as a cluster's executor does, and refuses groups that could never begin."""
    checkout = co.blank(tmp_path / "checkout", config)
    text = co.succeed(checkout, "--dry-run", "--group-components", "train=100")
    groups = re.findall(r"Group job (train_toy_\d) ", text)
    (asked,) = config["experiments"].values()
    assert sorted(groups) == [f"train_toy_{depth}" for depth in range(1, 1 + len(groups))]
    assert len(groups) > asked["levels"]
