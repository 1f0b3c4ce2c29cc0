from __future__ import annotations

import io
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline_lib.core import jpegs, processors
from pipeline_lib.core.jpegs import Jpegs, crop_box
from pipeline_lib.core.rng import numpy_generator, torch_generator
from pipeline_lib.core.torchvision_import import torchvision_functional
from pipeline_lib.core.types import Images

# Of each image its height, width and mode.
FILES = {
    "wide.jpg": (30, 47, "RGB"),
    "tall.jpeg": (61, 25, "RGB"),
    "square.png": (40, 40, "RGB"),
    "grey.jpg": (33, 38, "L"),
    "see_through.png": (36, 31, "RGBA"),
    "tiny.png": (5, 4, "RGB"),
}
SIZE, RESIZE = 24, 28


def _image(height: int, width: int, mode: str = "RGB") -> Image.Image:
    """A gradient with noise on it, so that crops and resizing show."""
    rows, columns = np.mgrid[0:height, 0:width]
    noise = numpy_generator("jpeg", height, width).integers(0, 60, (height, width, 4))
    planes = np.stack([rows * 190 // height, columns * 190 // width, (rows + columns) % 190, rows * 0 + 190], axis=-1)
    pixels = (planes + noise).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if mode == "L" else pixels[..., : len(mode)])


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Jpegs:
    root = tmp_path_factory.mktemp("images")
    for name, form in FILES.items():
        _image(*form).save(root / name)
    return Jpegs(root, tuple(FILES), SIZE, RESIZE)


def _decoded(files: Jpegs, number: int) -> torch.Tensor:
    with Image.open(files.root / files.paths[number]) as image:
        return torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1).contiguous()


def _v2():
    torchvision_functional()
    from torchvision.transforms import v2

    return v2


def _draws(*name: str | int, attempts: int = 10) -> torch.Tensor:
    return torch.rand((attempts, 4), generator=torch_generator("draws", *name))


# Boxes


@given(st.integers(1, 400), st.integers(1, 400), st.floats(0.01, 1), st.integers(0, 1000))
def test_a_box_lies_inside_the_image(height, width, min_scale, seed):
    top, left, box_height, box_width = crop_box(height, width, _draws(seed), min_scale)
    assert 0 <= top < top + box_height <= height
    assert 0 <= left < left + box_width <= width


@given(st.integers(1, 400), st.floats(3 / 4, 4 / 3), st.floats(0.01, 1), st.integers(0, 1000))
def test_a_box_has_the_area_and_aspect_that_are_allowed_up_to_half_a_pixel_a_side(width, aspect, min_scale, seed):
    height = max(1, round(width / aspect))
    _, _, box_height, box_width = crop_box(height, width, _draws(seed), min_scale)
    assert (box_width + 0.5) * (box_height + 0.5) >= min_scale * height * width
    assert (box_width - 0.5) * (box_height - 0.5) <= height * width
    assert (box_width + 0.5) / (box_height - 0.5) >= 3 / 4
    assert (box_width - 0.5) / (box_height + 0.5) <= 4 / 3


@given(st.integers(20, 300), st.integers(20, 300), st.integers(0, 1000))
def test_the_first_box_that_fits_is_the_one_of_its_draw(height, width, seed):
    draws, min_scale = _draws(seed), 0.08
    box = crop_box(height, width, draws, min_scale)
    for area, aspect, top, left in draws.double().numpy():
        target, ratio = height * width * (min_scale + (1 - min_scale) * area), (3 / 4) ** (1 - 2 * aspect)
        box_width, box_height = round((target * ratio) ** 0.5), round((target / ratio) ** 0.5)
        if box_width <= width and box_height <= height:
            places = math.floor(top * (height - box_height + 1)), math.floor(left * (width - box_width + 1))
            assert box == (*places, box_height, box_width)
            return
    assert box == _torchvisions_box(height, width, (1.0, 1.0))


def test_all_draws_at_their_ends_stay_inside():
    last = 1 - 2**-24  # the largest float32 that torch.rand gives
    for corner in torch.cartesian_prod(*[torch.tensor([0.0, last])] * 4):
        for height, width in ((1, 1), (7, 9), (224, 300), (3000, 2001)):
            top, left, box_height, box_width = crop_box(height, width, corner.expand(10, 4), 0.08)
            assert 0 <= top <= height - box_height
            assert 0 <= left <= width - box_width


def _torchvisions_box(height: int, width: int, scale: tuple[float, float]) -> tuple[int, ...]:
    box = _v2().RandomResizedCrop(8, scale=scale).make_params([torch.empty(3, height, width)])
    return tuple(int(box[name]) for name in ("top", "left", "height", "width"))


@given(st.integers(10, 200), st.integers(2, 9), st.booleans(), st.integers(0, 10))
def test_where_no_box_fits_it_is_torchvisions_central_one(short, stretch, lying, seed):
    height, width = (short, short * stretch) if lying else (short * stretch, short)
    box = crop_box(height, width, _draws(seed), 1.0)
    assert box == _torchvisions_box(height, width, (1.0, 1.0))
    assert abs(2 * box[0] + box[2] - height) <= 1
    assert abs(2 * box[1] + box[3] - width) <= 1


def test_without_attempts_the_box_is_central():
    assert crop_box(10, 100, _draws(attempts=0), 0.08) == (0, 43, 10, 13)
    assert crop_box(100, 30, _draws(attempts=0), 0.08) == (30, 0, 40, 30)
    assert crop_box(11, 10, _draws(attempts=0), 0.08) == (0, 0, 11, 10)


def _measures(boxes: list[tuple[int, ...]], height: int, width: int) -> torch.Tensor:
    """Area, aspect and place of each box, each with its square."""
    rows = [(h * w / (height * width), math.log(w / h), i / (height - h + 1), j / (width - w + 1)) for i, j, h, w in boxes]
    first = torch.tensor(rows, dtype=torch.float64)
    return torch.cat([first, first.square()], dim=1)


@pytest.mark.parametrize(
    ("height", "width", "min_scale"), [(300, 400, 0.08), (120, 400, 0.08), (256, 256, 0.08), (300, 400, 0.5), (256, 256, 0.5)]
)
def test_boxes_have_the_distribution_of_torchvisions(height, width, min_scale):
    num, draw = 3000, _v2().RandomResizedCrop.get_params
    draws = torch.rand((num, 10, 4), generator=torch_generator("boxes"))
    ours = _measures([crop_box(height, width, each, min_scale) for each in draws], height, width)
    image = torch.empty(3, height, width)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = _measures([draw(image, [min_scale, 1.0], [3 / 4, 4 / 3]) for _ in range(num)], height, width)
    error = ((ours.var(0) + theirs.var(0)) / num).sqrt()
    assert error.max() < 0.01
    assert ((ours.mean(0) - theirs.mean(0)).abs() < 3.5 * error).all()


# Evaluation


def test_the_shape_is_known_without_decoding():
    nowhere = Jpegs(Path("nowhere"), ("a.jpg", "b.jpg"), 32, 36)
    assert nowhere.shape == (2, 3, 32, 32)
    assert isinstance(nowhere, Images)


def test_images_for_evaluation_are_torchvisions_resize_and_central_crop(files):
    v2 = _v2()
    transform = v2.Compose([v2.Resize(RESIZE, antialias=True), v2.CenterCrop(SIZE)])
    found = files[:]
    assert (found.dtype, tuple(found.shape)) == (torch.uint8, files.shape)
    for number in range(len(FILES)):
        assert torch.equal(found[number], transform(_decoded(files, number)))


def test_a_resize_below_the_size_is_padded_as_torchvision_does(files):
    v2, small = _v2(), Jpegs(files.root, files.paths, 24, 20)
    transform = v2.Compose([v2.Resize(20, antialias=True), v2.CenterCrop(24)])
    assert torch.equal(small[2:3][0], transform(_decoded(files, 2)))


def test_a_decoded_image_is_its_bytes(files):
    whole = Jpegs(files.root, ("square.png",), 40, 40)
    assert torch.equal(whole[:1][0], _decoded(files, 2))


def test_grey_images_have_three_equal_channels(files):
    image = files[3:4][0]
    assert torch.equal(image[0], image[1])
    assert torch.equal(image[0], image[2])


@pytest.mark.parametrize("which", [slice(1, 4), slice(None, None, 2), torch.tensor([4, 0, 0]), torch.tensor([5])])
def test_slices_and_numbers_choose_images(files, which):
    assert torch.equal(files[which], files[:][which])


# Training


def _crops(files: Jpegs, which: list[int], name: str | int = 0, flip: bool = False) -> torch.Tensor:
    return files.random_crops(torch.tensor(which), torch_generator("crops", name), flip)


@pytest.mark.parametrize("flip", [False, True])
def test_random_crops_are_a_function_of_the_generator(files, flip):
    which = [0, 1, 2, 0, 3, 4, 5]
    before = torch.get_rng_state()
    first, again, other = (_crops(files, which, name, flip) for name in ("a", "a", "b"))
    assert (first.dtype, tuple(first.shape)) == (torch.uint8, (7, 3, SIZE, SIZE))
    assert torch.equal(first, again)
    assert all(not torch.equal(mine, its) for mine, its in zip(first, other, strict=True))
    assert not torch.equal(first[0], first[3])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_number_of_threads_changes_nothing(files, monkeypatch):
    found = []
    for num in ("1", "2", "3"):
        monkeypatch.setenv(processors.VARIABLE, num)
        found.append((_crops(files, [0, 1, 2, 3] * 3).numpy().tobytes(), files[:].numpy().tobytes()))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("processor_count", [1, 2, 3])
def test_so_many_threads_decode_as_there_are_processors(files, processor_count, monkeypatch):
    asked = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, num: int) -> None:
            asked.append(num)
            super().__init__(num)

    monkeypatch.setattr(jpegs, "ThreadPoolExecutor", Pool)
    monkeypatch.setenv(processors.VARIABLE, str(processor_count))
    assert (len(files[:2]), len(_crops(files, [0])), len(list(files.looks()))) == (2, 1, len(FILES))
    assert asked == [processor_count] * 3


def test_random_crops_are_torchvisions_resized_crops_of_the_drawn_boxes(files, monkeypatch):
    boxes = []

    def note(*args):
        boxes.append(crop_box(*args))
        return boxes[-1]

    monkeypatch.setattr(jpegs, "crop_box", note)
    monkeypatch.setenv(processors.VARIABLE, "1")  # boxes are noted in the images' order
    which = [0, 1, 2, 3, 4, 5, 0, 1]
    found, resized_crop = _crops(files, which), _v2().functional.resized_crop
    assert len(set(boxes)) == len(which)
    for image, number, box in zip(found, which, boxes, strict=True):
        assert torch.equal(image, resized_crop(_decoded(files, number), *box, size=[SIZE, SIZE], antialias=True))


def test_the_smallest_share_is_an_option(files, monkeypatch):
    shares = []

    def note(height, width, draws, min_scale):
        shares.append(min_scale)
        return crop_box(height, width, draws, min_scale)

    monkeypatch.setattr(jpegs, "crop_box", note)
    _crops(files, [0])
    _crops(Jpegs(files.root, files.paths, SIZE, RESIZE, 0.5), [0])
    assert shares == [0.08, 0.5]


def test_a_flip_mirrors_the_same_crop_with_probability_one_half(files):
    which = [2] * 400
    plain, flipped = _crops(files, which), _crops(files, which, flip=True)
    mirrored = (flipped == plain.flip(-1)).flatten(1).all(1)
    same = (flipped == plain).flatten(1).all(1)
    assert (mirrored | same).all()
    assert not (mirrored & same).any()
    assert abs(int(mirrored.sum()) - 200) < 3.5 * 10  # the standard deviation of 400 tosses is 10


def test_whether_an_image_is_mirrored_is_its_own_draw(files):
    which = [2] * 32
    first, second = ((_crops(files, which, n) != _crops(files, which, n, True)).flatten(1).any(1) for n in ("a", "b"))
    assert not torch.equal(first, second)


# Broken files


def _truncated(form: str) -> bytes:
    whole = io.BytesIO()
    _image(40, 40).save(whole, form)
    return whole.getvalue()[: len(whole.getvalue()) // 2]


@pytest.mark.parametrize(
    "content",
    [b"", b"no image at all", b"\xff\xd8\xff", _truncated("JPEG"), _truncated("PNG")],
    ids=["empty", "text", "head", "jpeg", "png"],
)
@pytest.mark.parametrize("take", [lambda files: files[:], lambda files: _crops(files, [0])], ids=["evaluation", "training"])
def test_a_broken_file_is_named(content, take, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=r"; mend it or prepare the data set again$") as caught:
        take(Jpegs(tmp_path, ("broken.jpg",), SIZE, RESIZE))
    assert str(caught.value).startswith(f"image {tmp_path / 'broken.jpg'} must be readable, got: ")


@pytest.mark.parametrize("take", [lambda files: files[:], lambda files: _crops(files, [0])], ids=["evaluation", "training"])
def test_a_missing_file_is_named(take, tmp_path):
    with pytest.raises(ValueError, match=r"must be readable, got: .*No such file") as caught:
        take(Jpegs(tmp_path, ("lost.jpg",), SIZE, RESIZE))
    assert str(caught.value).startswith(f"image {tmp_path / 'lost.jpg'} ")


def test_one_broken_file_among_others_is_named(files, tmp_path):
    _image(20, 20).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"b\.png must be readable"):
        Jpegs(tmp_path, ("a.png", "b.png"), SIZE, RESIZE)[:]


def test_a_png_with_a_damaged_header_is_refused_by_its_path(tmp_path):
    path = tmp_path / "damaged.png"
    Image.new("RGB", (5, 5)).save(path)
    content = bytearray(path.read_bytes())
    content[11] = 4  # length of the header chunk
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"damaged\.png must be readable"):
        Jpegs(tmp_path, ("damaged.png",), 4, 4)[:1]
