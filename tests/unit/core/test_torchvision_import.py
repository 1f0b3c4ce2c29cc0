from __future__ import annotations

from pipeline_lib.core.torchvision_import import torchvision_datasets


def test_data_sets_are_imported_and_importing_again_is_harmless():
    module = torchvision_datasets()
    assert module is torchvision_datasets()
    assert module.MNIST.__name__ == "MNIST"
