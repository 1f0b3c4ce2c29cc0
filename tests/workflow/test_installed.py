"""The package installed without its checkout: `pip install .`, then the command in any folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import checkout as co
import pytest
import yaml

from pipeline_lib.experiments import config

CONFIG: co.Config = {
    "tasks": {"toy": co.TOY},
    "experiments": {
        "small": {"tasks": ["toy"], "seeds": 1, "orders": 1, "levels": 0, "figures": ["learning_curves"], "claims": ["B"]}
    },
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("installed")
    source = place / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "environment.yml"):
        shutil.copy(config.ROOT / name, source)
    for name in ("pipeline_lib", "workflow", "config"):
        shutil.copytree(config.ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(place / "packages"), str(source)]
    subprocess.run(pip, check=True, capture_output=True)
    shutil.rmtree(source)
    return place / "packages"


def _rewind(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = co.environment(PYTHONPATH=str(installed))
    call = [sys.executable, "-m", "pipeline_lib", *words]
    return subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_an_experiment_runs_in_any_folder(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    listed = _rewind(installed, tmp_path, "list", "tasks")
    assert "resnet20" in listed.stdout, listed.stderr
    ran = _rewind(installed, tmp_path, "run", "own.yaml", "--cores", "1")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    made = tmp_path / "results" / "small"
    assert (made / "figures" / "learning_curves.png").is_file()
    assert (made / "claims.parquet").is_file()


def test_nothing_of_the_checkout_is_left_out(installed: Path) -> None:
    share = installed / "share" / "rewind"
    for folder in ("config", "workflow"):
        shipped = {path.relative_to(share) for path in (share / folder).rglob("*")}
        wanted = {path.relative_to(config.ROOT) for path in (config.ROOT / folder).rglob("*") if "__pycache__" not in path.parts}
        assert wanted - shipped <= {Path("config/README.md")}
