"""What the Snakemake workflow catalogue asks of a repository of standardised usage."""

from __future__ import annotations

import yaml

from pipeline_lib.experiments.config import ROOT


def test_the_catalogues_file_has_the_form_that_it_documents():
    (usage,) = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8")).values()
    assert usage.keys() == {"mandatory-flags", "software-stack-deployment", "report"}
    assert usage["mandatory-flags"].keys() == {"desc", "flags"}
    assert usage["software-stack-deployment"].keys() == {"conda", "apptainer", "apptainer+conda", "report"}
    assert {type(value) for value in usage["software-stack-deployment"].values()} == {bool}
    assert usage["report"] is usage["software-stack-deployment"]["report"]


def test_files_are_where_the_catalogue_looks_for_them():
    readme = (ROOT / "README.md").read_text(encoding="utf-8").lower()
    assert "snakemake" in readme
    assert "workflow" in readme
    assert (ROOT / "workflow" / "Snakefile").is_file()
    assert (ROOT / "config" / "README.md").is_file()
    assert {path.suffix for path in (ROOT / "workflow" / "rules").iterdir()} == {".smk"}
