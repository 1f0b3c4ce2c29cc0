"""Images of other kinds than 8-bit RGB, and files that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline_lib.core.jpegs import Jpegs
from pipeline_lib.core.rng import numpy_generator

SIDE = 12


def _read(folder: Path, name: str) -> np.ndarray:
    """Decode one image at its own size: (height, width, 3)."""
    return Jpegs(folder, (name,), SIDE, SIDE)[:][0].permute(1, 2, 0).numpy()


def _bytes(*shape: int) -> np.ndarray:
    return numpy_generator("kinds", *shape).integers(0, 256, shape, dtype=np.uint8)


def test_16_bit_greys_are_scaled(tmp_path):
    levels = np.linspace(0, 65535, SIDE * SIDE).round().astype(np.uint16).reshape(SIDE, SIDE)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    with Image.open(tmp_path / "deep.png") as image:
        assert image.mode.startswith("I")
    found = _read(tmp_path, "deep.png")
    assert (found == np.rint(levels / 257)[..., None]).all()
    assert len(np.unique(found)) == SIDE * SIDE


def test_a_byte_in_16_bits_is_that_byte(tmp_path):
    grey = np.arange(144, dtype=np.uint8).reshape(SIDE, SIDE) + 100
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    assert (_read(tmp_path, "deep.png") == grey[..., None]).all()


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_all_ways_of_holding_16_bits_are_scaled(mode):
    from pipeline_lib.core.jpegs import _rgb

    levels = (_bytes(SIDE, SIDE).astype(np.uint32) * 257).astype({"I;16": "<u2", "I;16B": ">u2", "I": "<i4"}[mode])
    image = Image.frombytes(mode, (SIDE, SIDE), levels.tobytes())
    assert (np.asarray(_rgb(image)) == (levels // 257)[..., None]).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA"])
def test_grey_and_transparent_images_keep_their_colours(mode, tmp_path):
    channels = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
    content = _bytes(SIDE, SIDE, channels)
    if mode == "1":
        content = np.where(content > 127, 255, 0).astype(np.uint8)
    grey = Image.fromarray(content[..., 0] if channels == 1 else content)
    (grey.convert("1") if mode == "1" else grey).save(tmp_path / "a.png")
    colours = content[..., :3] if channels > 2 else np.repeat(content[..., :1], 3, axis=-1)
    assert (_read(tmp_path, "a.png") == colours).all()


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(200))])
def test_palettes_are_looked_up(transparency, tmp_path):
    colours, numbers = _bytes(256, 3), _bytes(SIDE, SIDE)
    image = Image.fromarray(numbers)
    image.putpalette(colours.tobytes())
    image.save(tmp_path / "p.png", **({} if transparency is None else {"transparency": transparency}))
    with Image.open(tmp_path / "p.png") as saved:
        assert saved.mode == "P"
    assert (_read(tmp_path, "p.png") == colours[numbers]).all()


def test_inks_become_light(tmp_path):
    plain = np.zeros((SIDE, SIDE, 3), np.uint8) + np.array([200, 40, 90], np.uint8)
    Image.fromarray(plain).convert("CMYK").save(tmp_path / "inks.jpg", quality=100)
    with Image.open(tmp_path / "inks.jpg") as image:
        assert image.mode == "CMYK"
    assert np.abs(_read(tmp_path, "inks.jpg").astype(int) - plain).max() <= 3


def test_sound_images_have_no_faults(tmp_path):
    names = []
    for mode, name in (("RGB", "a.jpg"), ("L", "b.png"), ("RGBA", "c.png"), ("CMYK", "d.jpg"), ("P", "e.png")):
        Image.fromarray(_bytes(SIDE, SIDE, 3)).convert(mode).save(tmp_path / name)
        names.append(name)
    assert [fault for fault, _ in Jpegs(tmp_path, tuple(names), SIDE, SIDE).looks()] == [""] * 5


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_what_cannot_be_decoded_is_a_fault(suffix, tmp_path):
    Image.fromarray(_bytes(200, 200, 3)).save(tmp_path / f"whole.{suffix}")
    whole = (tmp_path / f"whole.{suffix}").read_bytes()
    contents = {"empty": b"", "text": b"<html>not found</html>", "head": whole[:30]}
    contents |= {f"cut{part}": whole[: len(whole) * part // 10] for part in (3, 6, 9)}
    for name, content in contents.items():
        (tmp_path / f"{name}.{suffix}").write_bytes(content)
    names = (f"whole.{suffix}", *(f"{name}.{suffix}" for name in contents), f"lost.{suffix}")
    faults = [fault for fault, _ in Jpegs(tmp_path, names, SIDE, SIDE).looks()]
    assert [bool(fault) for fault in faults] == [False] + [True] * 7
    for name in names[1:]:
        with pytest.raises(ValueError, match=rf"{name} must be readable, got: .+; mend it"):
            _read(tmp_path, name)
