"""Settings of all tests: one thread, checked shapes, laws tried on the same examples every time, the longest first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parents[1]
# Files that take five seconds and more, longest first, as the last one is waited for; two that share what one of them makes lie
# apart. `make test-fast` leaves them out.
LONGEST = (
    "test_readable", "test_all_figures", "test_disturbed", "test_reruns", "test_bad_files", "test_stale", "test_rewind",
    "test_mutations", "test_shared_results", "test_adopt", "test_every_claim", "test_end_to_end", "test_edits", "test_keep",
    "test_walk", "test_unmasking", "test_early_phase", "test_second_device", "test_origin", "test_jobs_together",
    "test_loose_ends", "test_homes", "test_environments", "test_installed", "test_growth", "test_growth_settings",
    "test_growth_stages", "test_processors", "test_gpu_day", "test_keys", "test_plugins", "test_alternatives", "test_hessian",
    "test_syntax", "test_training", "test_eager", "test_slice", "test_garbage", "test_named_stages", "test_worker",
    "test_spectra", "test_prepared_data", "test_epoch_draws", "test_unmasking_claims", "test_together", "test_bring",
)  # fmt: skip


def modules_with_shapes() -> list[str]:
    """List the modules that declare shapes: mypy has the types of all others, whose every call would cost as much again."""
    paths = sorted((ROOT / "pipeline_lib").rglob("*.py"))
    with_shapes = [path for path in paths if "from jaxtyping import" in path.read_text(encoding="utf-8")]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in with_shapes]


install_import_hook(modules_with_shapes(), "beartype.beartype")

settings.register_profile("rewind", deadline=None, derandomize=True, database=None, max_examples=25)
settings.load_profile("rewind")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin, and mark them."""
    places = {name: place for place, name in enumerate(LONGEST)}
    for item in items:
        if item.path.stem in places:
            item.add_marker(pytest.mark.long)
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the session, which its processes share if there are several."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)
