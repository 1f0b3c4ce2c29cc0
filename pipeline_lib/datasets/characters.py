"""Text: windows of characters, and the character after each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pipeline_lib.core.rng import torch_generator
from pipeline_lib.core.types import Dataset, Split
from pipeline_lib.core.values import Folder, In
from pipeline_lib.datasets import _own

EXAMPLES = {"characters": ((1, 1, 16), 96)}
_SHIPPED = "descriptions"
_NUM_TEST = 2000


def _text(data_root: Path | None, file: str) -> str:
    if file == _SHIPPED:
        from sklearn import datasets

        loads = (
            datasets.load_breast_cancer,
            datasets.load_diabetes,
            datasets.load_digits,
            datasets.load_iris,
            datasets.load_wine,
        )
        return "\n".join(load()["DESCR"] for load in loads)
    path = _own.under(data_root, file)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ValueError(f"{path} must be a text in UTF-8, got: {error}; check data_root and file") from None


def characters(
    data_root: Path | None,
    num_train: Annotated[int, In("[1, 100000000]")] = 20_000,
    file: Folder = "descriptions",
    length: Annotated[int, In("[1, 10000]")] = 16,
) -> Dataset:
    """Load windows of a text as images of one row, whose label is the character that follows: 96 printable ASCII characters.

    The last tenth of the text is for testing; windows are drawn at random, the same ones for all seeds.

    Args:
        data_root: folder of all data sets; not used for the text that scikit-learn ships.
        num_train: how many windows to train on.
        file: name of a text file in `data_root`; `descriptions` is scikit-learn's text about its data sets.
        length: characters in a window.
    """
    import torch

    # A line break is 0, printable ASCII 1 to 95; what is neither is left out.
    codes = [0 if c == "\n" else ord(c) - 31 for c in _text(data_root, file) if c == "\n" or " " <= c <= "~"]
    text = torch.tensor(codes, dtype=torch.uint8)
    border, parts = len(text) - len(text) // 10, []
    for name, part, num in (("train", text[:border], num_train), ("test", text[border:], _NUM_TEST)):
        if len(part) <= length:
            raise ValueError(f"length must be below the text's {len(part)} characters, got {length}; shorten it")
        windows = part.unfold(0, length + 1, 1)
        chosen = torch.randint(len(windows), (num,), generator=torch_generator("windows", file, name))
        picked = windows[chosen].clone()
        parts.append(Split(picked[:, None, None, :-1].contiguous(), picked[:, -1].long()))
    # In units of 255: so that a network is given the numbers themselves.
    return Dataset(parts[0], parts[1], 96, (0.0,), (1 / 255,))
