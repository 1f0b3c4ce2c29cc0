"""Every command in README and docs: run where it is quick, else held against what it calls."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import typer.main
import yaml

from pipeline_lib import __main__, commands
from pipeline_lib.commands.app import app
from pipeline_lib.commands.support.requests import Request
from pipeline_lib.experiments import config_files
from pipeline_lib.experiments.config import ROOT
from pipeline_lib.experiments.experiment import Config
from pipeline_lib.planning import declared

TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "config/README.md")
MADE = ROOT / "docs" / "commands.md"  # of the commands themselves
WRITTEN = (page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name != "page.md" and page != MADE)
PAGES = [*(ROOT / name for name in TOP), *WRITTEN]
COMMAND = re.compile(r"(?:\$ )?(?:[A-Z_]+=\S+ )*(?:[\w.]+/bin/)?(?P<tool>[a-z][a-z-]+3?|…)(?= (?! ))")
# What other software does is not tried here.
ELSEWHERE = ("apt-get", "apptainer", "cd", "docker", "git", "nvidia-smi", "scancel", "scontrol")
# Files that a reader makes, and words that stand for others.
OWN = re.compile(r"…|[A-Z_]{3,}|(experiment|own|round|walk)\.yaml")
# What is quick enough to be run as it stands, and something that it prints.
RUN = {
    "rewind --help": "Study how networks train early on",
    "rewind list tasks": "resnet20_warmup",
    "rewind explain config/experiments/digits.yaml instability_sparse": "192 networks = 2 tasks (digits_resnet, digits_mlp) x 3",
}


def _collected(text: str) -> list[str]:
    """Find commands: indented lines and those of blocks of shell, continued ones joined, and inline code of several words."""
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += [line for line in re.sub(r" *\\?\n {5,}(?=\S)", " ", text).splitlines() if line.startswith("    ")]
    lines += [code for code in re.findall(r"`([^`]+)`", text.replace("\n", " ")) if " " in code]
    found = [part.strip() for line in lines for part in re.split(r" && ", re.split(r"  +#| > ", line.strip())[0])]
    return [each for each in found if (match := COMMAND.match(f"{each} ")) and match["tool"] in {*CHECKS, *ELSEWHERE}]


def _written_out(page: Path) -> list[str]:
    """Find the commands of a page, those of a paper once for each of its experiments."""
    text, found = page.read_text(encoding="utf-8"), []
    names = re.findall(r"`config/experiments/(\w+)\.yaml` \|", text)
    for command in _collected(text):
        whole = command.replace("… --", "snakemake --cores 2 --configfile config/experiments/EXPERIMENT.yaml --")
        stands = re.search(r"EXPERIMENT|\bFILE\.yaml", whole)
        found += [re.sub(r"EXPERIMENT|\bFILE(?=\.yaml)", name, whole) for name in dict.fromkeys(names)] if stands else [command]
    return found


def _words(command: str) -> list[str]:
    words = shlex.split(command)
    while words[0] == "$" or re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    return words


@cache
def _rewind_commands() -> dict:
    return typer.main.get_command(app).commands


def _rewind(words: list[str]) -> None:
    """Hold a call against the command's own options, and the config that it names against the keys that there are."""
    if words[1].startswith("--"):
        assert words[1] in ("--help", "--version", "--install-completion", "--verbose")
        return
    assert words[1] in _rewind_commands(), words[1]
    command, rest = _rewind_commands()[words[1]], words[2:]
    known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= known
    if not rest or "--help" in rest:
        return  # its name, in a sentence
    given = command.make_context(words[1], rest).params
    files = [str(name) for name in given.get("files") or ()]
    if files and not any(OWN.fullmatch(name) for name in files):
        paths = [ROOT / name for name in files]
        asked = Request(paths, given.get("config") or (), given.get("sets") or (), given.get("experiment"))
        drawn = {figure for each in asked.config().experiments.values() for figure in each.figures}
        assert {given.get("figure")} <= {None, *drawn}


def _target(name: str, made: Config) -> None:
    """Check a file under the results folder that is asked for."""
    _, experiment, *rest = Path(name).parts
    assert experiment in made.experiments
    assert Path(rest[-1]).stem in (made.experiments[experiment].figures if rest[0] == "figures" else declared.COLUMNS)


def _snakemake(words: list[str]) -> None:
    """Hold a call against Snakemake's options; what follows `--configfile` or `--config` is no target."""
    from snakemake.cli import get_argument_parser

    given = get_argument_parser().parse_args(words[1:])
    files = [str(name) for name in given.configfile or ()]
    assert all(re.fullmatch(r".*\.yaml|…", name) for name in files), f"{files} are not all configs"
    assert all("=" in word for word in given.config or ()), f"{given.config} are not all settings"
    if files and not any(OWN.fullmatch(name) for name in files):
        said = [word.partition("=") for word in given.config or ()]
        made = config_files.read([ROOT / name for name in files], {key: yaml.safe_load(value) for key, _, value in said})
        for name in given.targets:
            _target(str(name), made)


def _make(words: list[str]) -> None:
    subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, check=True, capture_output=True)


def _python(words: list[str]) -> None:
    """Hold a call of the package against its words, one of a script against what it sets."""
    if words[1:3] == ["-m", "pipeline_lib"]:
        rest = ["train" if word == "STAGE" else word for word in words[3:]]
        if rest and rest[0] not in (*declared.STAGES, __main__.WHOLE):
            _rewind(["rewind", *rest])
        elif len(rest) > 1:
            __main__._parser().parse_args(rest)
        return
    profile = (ROOT / "workflow" / "profiles" / "slurm" / "config.yaml").read_text(encoding="utf-8")
    assert (ROOT / words[1]).is_file()
    assert all(f"\n  {word.partition('=')[0]}:" in profile for word in words[2:])


def _pip(words: list[str]) -> None:
    """Hold the extras that are installed against those that there are."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name for word in words for found in re.findall(r"\[(.+)\]", word) for name in found.split(",")}
    assert extras <= set(project["optional-dependencies"])
    assert all((ROOT / word).is_file() for word in words if word.endswith(".txt"))


def _conda(words: list[str]) -> None:
    assert words[1:3] == ["env", "create"]
    assert (ROOT / words[words.index("-f") + 1]).is_file()


def _export(words: list[str]) -> None:
    """Find who reads the variable."""
    name = words[1].partition("=")[0]
    sources = [*(ROOT / "pipeline_lib").rglob("*.py"), ROOT / "workflow" / "Snakefile"]
    assert any(name in path.read_text(encoding="utf-8") for path in sources)


def _pre_commit(words: list[str]) -> None:
    assert (ROOT / ".pre-commit-config.yaml").is_file()


CHECKS: dict[str, Callable[[list[str]], None]] = {
    **{"rewind": _rewind, "snakemake": _snakemake, "make": _make, "python": _python, "pip": _pip, "conda": _conda},
    **{"export": _export, "pre-commit": _pre_commit, "…": _snakemake},
}


@cache
def _check(command: str) -> None:
    words = _words(command)
    tool = Path(words[0]).name
    if tool not in ELSEWHERE:
        CHECKS[tool](words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_tells_to_type_is_there(page):
    for command in dict.fromkeys(_written_out(page)):
        try:
            _check(command)
        except (Exception, SystemExit) as error:
            raise AssertionError(f"{command}: {error!r}") from error


@pytest.mark.parametrize(("command", "printed"), RUN.items(), ids=RUN)
def test_what_is_quick_runs_as_it_stands(command, printed, monkeypatch, capsys):
    found = {each.removeprefix("$ ") for page in PAGES for each in _collected(page.read_text(encoding="utf-8"))}
    assert command in found, "no page has it any more"
    monkeypatch.chdir(ROOT)
    assert commands.main(_words(command)[1:]) == 0
    assert printed in capsys.readouterr().out


@pytest.mark.parametrize("command", _rewind_commands().values(), ids=lambda command: command.name)
def test_examples_in_help_are_there_too(command):
    example = re.sub(r"\s+", " ", command.help.partition("For example: ")[2])
    _check(example or f"rewind {command.name}")


@pytest.mark.parametrize(
    "command",
    [
        "rewind plam x.yaml",
        "rewind plan experiment.yaml --wirte",
        "rewind plan config/experiments/lenet_mnits.yaml --set a=1",
        "rewind run config/experiments/lenet_mnist.yaml --set lenet_mnist.levls=3",
        "rewind run config/experiments/lenet_mnist.yaml --figure landscape",
        "snakemake --cores 2 --configfile experiment.yaml results/x.svg",
        "snakemake --config 'a={b: 1}' results/x.svg",
        "snakemake --cors 2",
        "snakemake --configfile config/experiments/lenet_mnist.yaml -- results/lenet_mnist/figures/landscape.svg",
        "make quickstrat",
        "python -m pipeline_lib train FOLDER --plam FILE",
        "python workflow/profiles/install.py acount=physics",
        "pip install -e .[slrum]",
        "conda env create -f environment.yaml",
        "export PIPELINE_DEVISE=cuda",
    ],
)
def test_mistakes_are_found(command):
    with pytest.raises((Exception, SystemExit)):
        _check(command)


def test_commands_are_found_where_they_may_stand():
    text = (
        "Type `rewind plan FILE` or\n\n    $ rewind gc x.yaml \\\n         --remove   # asks\n\n```sh\ncd x && make docs\n```\n"
    )
    assert _collected(text) == ["cd x", "make docs", "$ rewind gc x.yaml --remove", "rewind plan FILE"]
    assert len([command for page in PAGES for command in _written_out(page)]) > 80


def test_the_page_of_all_commands_is_up_to_date():
    asked = shlex.split("-m typer pipeline_lib.commands.app utils docs --name rewind --title Commands")
    made = subprocess.run([sys.executable, *asked], capture_output=True, text=True, check=True, cwd=ROOT)
    assert MADE.read_text(encoding="utf-8").rstrip() == made.stdout.rstrip(), "run: make docs"
