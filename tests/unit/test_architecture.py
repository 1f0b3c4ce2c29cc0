"""The house rules that a machine can check: import layers, sizes, and pins that agree."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pipeline_lib"
# Packages in the order in which they know of each other: none imports from a later one.
ORDER = (
    *("core", "worker", "networks", "datasets", "training", "pruning", "perturbations", "pretexts", "analysis"),
    *("experiments", "store"),
    *("tables", "claims", "figures", "stages", "notebook", "planning", "report", "commands", "__main__"),
)
MODULES = sorted(PACKAGE.rglob("*.py"))


def _part(module: str) -> str:
    return module.split(".")[1]


def _name(path: Path) -> str:
    return ".".join(["pipeline_lib", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "pipeline_lib":
            found |= {f"pipeline_lib.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pipeline_lib."):
            folder = ROOT / node.module.replace(".", "/")
            files = {a.name for a in node.names if (folder / f"{a.name}.py").is_file()}
            found |= {f"{node.module}.{name}" for name in files}
            found |= {node.module} if len(files) < len(node.names) else set()
    return found


def test_packages_are_the_layers() -> None:
    there = {path.stem for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert there == {*ORDER, "__init__"}, "the root has no modules but these"
    for folder in {path.parent for path in MODULES}:
        assert len(list(folder.glob("*.py"))) <= 30, f"{folder.name} has too many modules: divide it"


@pytest.mark.parametrize("path", [p for p in MODULES if p.parent != PACKAGE or p.name != "__init__.py"], ids=_name)
def test_imports_point_down(path: Path) -> None:
    own = _name(path)
    for module in _imports(path):
        assert ORDER.index(_part(module)) <= ORDER.index(_part(own)), f"{own} may not import {module}, which is above it"
        if _part(own) == _part(module) == "analysis":
            shared = ("lanczos", "curvature", "derivatives._places") if ".derivatives." in own else ("lanczos", "spectra")
            assert module in {f"pipeline_lib.analysis.{name}" for name in shared}, f"{own} may not import its sibling {module}"


def test_what_is_public_is_there_explained_and_nobodys_inside() -> None:
    import pipeline_lib

    assert len(set(pipeline_lib.__all__)) == len(pipeline_lib.__all__)
    assert set(dir(pipeline_lib)) == {*pipeline_lib.__all__, "__version__"}
    for name in pipeline_lib.__all__:
        public = getattr(pipeline_lib, name)
        assert not name.startswith("_")
        assert public.__name__ == name
        assert not any(part.startswith("_") for part in public.__module__.split("."))
        sections = ["Args:", *(["Returns:"] if inspect.isfunction(public) else [])]
        missing = [section for section in sections if f"\n{section}\n" not in (inspect.getdoc(public) or "")]
        assert not missing, f"{name} lacks {missing} in its docstring"
    with pytest.raises(AttributeError, match="module pipeline_lib has no attribute 'trian'"):
        _ = pipeline_lib.trian


def test_no_import_cycles() -> None:
    graph = {_name(path): _imports(path) for path in MODULES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"import cycle: {' > '.join([*trail, module])}"
        if module not in done:
            for target in graph.get(module, set()):
                visit(target, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_tensors_of_jobs_become_arrays_in_the_store_alone() -> None:
    """A tensor may lie on a GPU: `artifacts.array` brings it over. What data sets read never does; people know theirs."""
    for path in PACKAGE.rglob("*.py"):
        names = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Attribute)]
        places = [node.lineno for node in names if node.attr in ("numpy", "__array__")]
        assert not places or path.relative_to(PACKAGE).parts[0] in ("store", "datasets", "notebook"), f"{path.name}:{places}"


def test_carriers_are_few_and_compute_nothing() -> None:
    """Their text has no part in keys: files, resumption, logging, lookups, the device; numbers pass through them as they are."""
    from pipeline_lib.planning import declared
    from pipeline_lib.planning.keys import fingerprint

    carriers = {f"core.{name}" for name in ("files", "pace", "processors", "registry", "sources", "values")}
    carriers |= {f"store.{name}" for name in ("artifacts", "device", "environment", "job", "resumption", "seals", "verification")}
    assert set(fingerprint.CARRIERS) == carriers
    reached = {at.module for stage in declared.STAGES for at in fingerprint.reached(stage)}
    assert {f"pipeline_lib.{name}" for name in fingerprint.CARRIERS} <= reached, "a carrier that no stage uses"
    allowed = {"ndarray", "ascontiguousarray", "uint8", "device", "cuda", "cuda.is_available", "Tensor"}
    allowed |= {"cuda.get_device_name", "get_num_threads", "set_num_threads"}  # for the record, and for equal bits
    for carrier in fingerprint.CARRIERS:
        path = PACKAGE / f"{carrier.replace('.', '/')}.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module, _, what = ast.unparse(node).partition(".") if isinstance(node, ast.Attribute) else ("", "", "")
            assert module not in ("torch", "np") or what.partition("(")[0] in allowed, f"{carrier} computes with {module}.{what}"
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("torch", "numpy", "math", "scipy"):
                assert {alias.name for alias in node.names} <= allowed
            for each in node.names if isinstance(node, ast.Import) else ():
                assert each.name in ("torch", "numpy") or each.name.partition(".")[0] not in ("torch", "numpy", "math", "scipy")
            assert not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.MatMult)
        parts = {name.removeprefix("pipeline_lib.") for name in _imports(path)} - carriers
        assert parts <= {"core.algebra", "core.types", "training.precision"}, f"{carrier} may not use {parts}"


def test_all_that_stages_use_can_be_followed() -> None:
    """No star import, module as a value, `eval`, data file or import by name in what enters keys."""
    from pipeline_lib.core import registry
    from pipeline_lib.planning import declared
    from pipeline_lib.planning.keys import fingerprint

    for stage in declared.STAGES:
        named = tuple((kind, name) for kind in fingerprint.asked(stage) for name in registry.entries(kind))
        assert fingerprint.odd_places(stage, named) == []


def test_only_stages_and_their_helpers_touch_artifacts() -> None:
    allowed = {"planning", "store", "stages"}
    users = {_name(path) for path in MODULES if "pipeline_lib.store.artifacts" in _imports(path)}
    assert {_part(user) for user in users} <= allowed


@pytest.mark.parametrize("path", [*MODULES, *sorted((ROOT / "workflow" / "rules").glob("*.smk"))], ids=lambda p: p.name)
def test_files_have_one_subject(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            docstring = ast.get_docstring(node, clean=False) or ""
            length = (node.end_lineno or 0) - node.lineno + 1 - len(docstring.splitlines())
            assert length <= 40, f"{path.name}:{node.name} has {length} lines of code"


def test_snakefile_is_short() -> None:
    assert len((ROOT / "workflow" / "Snakefile").read_text(encoding="utf-8").splitlines()) <= 50


def test_rules_are_thin() -> None:
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"\n(?=\s*rule\b)", path.read_text(encoding="utf-8"))[1:]:
            assert len(rule.rstrip().splitlines()) <= 32, f"rule too long in {path.name}: {rule.splitlines()[0]}"
            assert "run:" not in rule


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!\[; ]", text)[0].lower().replace("_", "-") for text in requirements}


def test_pins_cover_every_dependency_and_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = _names(project["dependencies"] + [name for extra in project["optional-dependencies"].values() for name in extra])
    lines = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert all("==" in line for line in lines)
    assert wanted <= _names(lines)
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert {"pip": ["--constraint constraints.txt", "--editable .[dev]"]} in environment["dependencies"]


def test_packages_are_all_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    assert set(listed) == {_name(path) for path in MODULES if path.name == "__init__.py"}


def test_every_figure_has_a_demand_a_drawing_and_a_caption() -> None:
    from pipeline_lib.core import registry
    from pipeline_lib.experiments.figure_needs import FIGURES
    from pipeline_lib.planning.declared import COLUMNS

    assert set(FIGURES) == set(registry.entries("figures"))
    assert all(demand.caption.endswith(".") and set(demand.tables) <= set(COLUMNS) for demand in FIGURES.values())


@pytest.mark.parametrize("path", [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda p: p.name)
def test_documents_name_files_that_exist(path: Path) -> None:
    named = set(
        re.findall(r"\b(?:pipeline_lib|tests|workflow|benchmarks)/[\w/]+\.(?:py|smk|yaml)\b", path.read_text(encoding="utf-8"))
    )
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_no_reader_of_tables_takes_starts_apart() -> None:
    apart = re.compile(
        r"^import re$|^from re |\.(partition|rpartition|split|rsplit)\([\"']|\.str\.(contains|extract|match|split)\(", re.M
    )
    for path in (path for folder in ("tables", "figures", "claims") for path in sorted((PACKAGE / folder).rglob("*.py"))):
        found = apart.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.name} has {found and found[0]!r}: read a start's parts from columns (tables.columns.PARTS)"


def test_every_stage_takes_a_spec_of_its_own_and_reads_only_its_keys() -> None:
    from importlib import import_module

    from pipeline_lib.core import registry
    from pipeline_lib.planning import declared

    for stage in declared.STAGES:
        module = import_module(registry.modules("stages")[stage])
        tree = ast.parse(inspect.getsource(module))
        (run,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run"]
        assert [ast.unparse(arg.annotation) for arg in run.args.args if arg.annotation] == ["Job[Spec]"], stage
        assert module.Spec.__module__ == module.__name__
        keys = {*module.Spec.__required_keys__, *module.Spec.__optional_keys__}
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("spec", "job.spec"):
                assert not isinstance(node.slice, ast.Constant) or node.slice.value in keys, f"{stage}: {ast.unparse(node)}"


def test_the_longest_files_of_tests_are_files() -> None:
    assigned = ast.parse((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")).body
    (listed,) = (
        ast.literal_eval(each.value)
        for each in assigned
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "LONGEST"
    )
    assert set(listed) <= {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    assert len(set(listed)) == len(listed)
