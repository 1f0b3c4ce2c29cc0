"""A home folder that cannot be written, as on many compute nodes and in containers."""

from __future__ import annotations

from pathlib import Path

import checkout as co
import pytest

SMALL: co.Config = {
    "tasks": {"toy": co.TOY},
    "experiments": {"small": {"tasks": ["toy"], "seeds": 1, "orders": 1, "levels": 0, "figures": ["learning_curves"]}},
}


@pytest.mark.parametrize("home", ["/dev/null/x", "file"])
def test_an_experiment_runs_without_a_home(home: str, tmp_path: Path) -> None:
    """Root may write anywhere, so the home is below a file, or is one."""
    (tmp_path / "file").write_text("no folder")
    checkout = co.blank(tmp_path / "checkout", SMALL)
    environment = co.environment(HOME=str(tmp_path / home) if home == "file" else home)
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
        environment.pop(name, None)
    outcome = co.snakemake(checkout, env=environment)
    assert outcome.code == 0, outcome.text
    assert (checkout.results / "small" / "figures" / "learning_curves.png").is_file()
    assert list((checkout.results / ".cache" / "matplotlib").glob("fontlist*.json"))
    assert "temporary cache directory" not in "".join(path.read_text() for path in (checkout.results / "logs" / "plot").iterdir())


def test_homes_and_variables_in_a_config_reach_the_jobs(tmp_path: Path) -> None:
    checkout = co.blank(tmp_path / "checkout", SMALL | {"results": "$SCRATCH/results", "data_root": "~/data"})
    environment = co.environment(SCRATCH=str(tmp_path / "scratch"), HOME=str(tmp_path / "home"))
    outcome = co.snakemake(checkout, "--until", "prepare", env=environment)
    assert outcome.code == 0, outcome.text
    results = tmp_path / "scratch" / "results"
    assert list(results.glob("artifacts/prepare/*/data.safetensors"))
    (plan,) = (results / "plans").glob("*.jsonl")
    assert f'"data_root": "{tmp_path / "home" / "data"}"' in plan.read_text()
    assert not checkout.results.exists()
