from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pipeline_lib.core.types import Dataset, Split, State, Stream
from pipeline_lib.pretexts.blurs import blur
from pipeline_lib.pretexts.labels import random_labels
from pipeline_lib.pretexts.rotations import rotation
from pipeline_lib.pretexts.support.lessons import Lesson
from pipeline_lib.pretexts.support.streams import head_width, new_head, stream
from pipeline_lib.training import batches
from pipeline_lib.training.batches import epoch_batches
from pipeline_lib.training.loop import Member, Recipe, train
from pipeline_lib.training.optimisers.sgd import sgd
from pipeline_lib.training.schedules.steps import constant

DATA = toys.dataset(shape=(3, 8, 8))
CROPPED = {"pad": 1, "flip": True}
LESSONS = {
    "random labels": [random_labels()],
    "rotation": [rotation()],
    "fixed rotation": [rotation(fixed=True)],
    "blur": [blur()],
    "blur and rotation": [blur(), rotation()],
    "blurred random labels": [random_labels(0.5), blur(2)],
}
EACH = pytest.mark.parametrize("lessons", LESSONS.values(), ids=LESSONS)


def _at(taught: Stream, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    taught.load(step)
    return tuple(tensor.clone() for tensor in taught.draw())


def _equal(first, second) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def _turned_back(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.stack([torch.rot90(image, -int(n), (1, 2)) for image, n in zip(x, y, strict=True)])


def _labels_by_image(lessons: list[Lesson], epoch: int, order: tuple[int, int] = (0, 0), num: int = 400) -> torch.Tensor:
    """The label that each image is given in an epoch of one batch."""
    data = toys.dataset(num_train=num)
    y = _at(stream(data, order, num, lessons=lessons), epoch)[1]
    return torch.zeros_like(y).index_copy(0, epoch_batches(order, epoch, num, num)[0], y)


def test_without_lessons_it_is_the_plain_stream():
    taught, plain = stream(DATA, (0, 1), 6, **CROPPED), batches.stream(DATA, (0, 1), 6, **CROPPED)
    assert all(_equal(_at(taught, step), _at(plain, step)) for step in range(5))


@EACH
@given(steps=st.permutations(range(7)))
def test_a_batch_depends_on_order_and_step_alone(lessons, steps):
    straight = stream(DATA, (0, 1), 6, **CROPPED, lessons=lessons)
    expected = [_at(straight, step) for step in range(7)]
    shared = stream(DATA, (0, 1), 6, **CROPPED, lessons=lessons)
    assert all(_equal(_at(shared, step), expected[step]) for step in steps)


def test_rotated_images_turned_back_are_the_plain_streams():
    taught, plain = stream(DATA, (0, 1), 6, **CROPPED, lessons=[rotation()]), batches.stream(DATA, (0, 1), 6, **CROPPED)
    for step in range(7):
        x, y = _at(taught, step)
        assert torch.equal(_turned_back(x, y), _at(plain, step)[0])


def test_every_rotation_comes_up_equally_often():
    counts = torch.bincount(torch.cat([_labels_by_image([rotation()], epoch) for epoch in range(10)]), minlength=4)
    assert len(counts) == 4 and ((counts - 1000).abs() < 5 * 750**0.5).all()


def test_a_rotation_is_drawn_anew_at_every_visit():
    first, second = (_labels_by_image([rotation()], epoch) for epoch in range(2))
    assert float((first == second).double().mean()) == pytest.approx(0.25, abs=0.11)


@pytest.mark.parametrize("other", [(0, 1), (1, 0)])
def test_rotations_drawn_anew_depend_on_the_order(other):
    data = toys.dataset(num_train=400)
    first, second = (_at(stream(data, order, 400, lessons=[rotation()]), 0)[1] for order in ((0, 0), other))
    assert float((first == second).double().mean()) == pytest.approx(0.25, abs=0.11)


@pytest.mark.parametrize("lesson", [rotation(fixed=True), random_labels(), random_labels(0.5)])
def test_fixed_labels_stay_over_epochs_and_orders_and_differ_by_seed(lesson):
    first = _labels_by_image([lesson], 0)
    assert torch.equal(_labels_by_image([lesson], 1), first)
    assert torch.equal(_labels_by_image([lesson], 0, (0, 1)), first)
    assert not torch.equal(_labels_by_image([lesson], 0, (1, 0)), first)


def test_random_labels_leave_images_and_the_data_set_alone():
    before = DATA.train.y.clone()
    taught, plain = stream(DATA, (0, 1), 6, **CROPPED, lessons=[random_labels()]), batches.stream(DATA, (0, 1), 6, **CROPPED)
    for step in range(4):
        assert torch.equal(_at(taught, step)[0], _at(plain, step)[0])
    assert torch.equal(DATA.train.y, before)


def test_blur_and_rotation_turn_the_blurred_image_as_rotation_alone_would():
    both, turned, blurred = (
        stream(DATA, (0, 1), 6, **CROPPED, lessons=lessons) for lessons in ([blur(), rotation()], [rotation()], [blur()])
    )
    for step in range(4):
        x, y = _at(both, step)
        assert torch.equal(y, _at(turned, step)[1])
        assert torch.equal(_turned_back(x, y), _at(blurred, step)[0])


def test_lessons_change_a_batch_in_the_order_listed():
    double, add = Lesson(change=lambda x, y, drawn: (2 * x, y)), Lesson(change=lambda x, y, drawn: (x + 1, y))
    x = _at(batches.stream(DATA, (0, 1), 6), 0)[0]
    assert torch.equal(_at(stream(DATA, (0, 1), 6, lessons=[double, add]), 0)[0], 2 * x + 1)
    assert torch.equal(_at(stream(DATA, (0, 1), 6, lessons=[add, double]), 0)[0], 2 * (x + 1))


def test_two_lessons_with_choices_get_numbers_of_their_own():
    seen = []
    lesson = Lesson(choices=5, change=lambda x, y, drawn: (seen.append(drawn.clone()), (x, y))[1])
    _at(stream(toys.dataset(num_train=200), (0, 0), 200, lessons=[lesson, lesson]), 0)
    assert float((seen[0] == seen[1]).double().mean()) == pytest.approx(0.2, abs=0.15)
    assert {int(n) for n in seen[0]} == set(range(5))


@EACH
@pytest.mark.parametrize("channels_last", [False, True])
def test_inputs_lie_in_memory_as_asked(lessons, channels_last):
    x, y = _at(stream(DATA, (0, 1), 6, **CROPPED, channels_last=channels_last, lessons=lessons), 3)
    plain_x, plain_y = _at(stream(DATA, (0, 1), 6, **CROPPED, lessons=lessons), 3)
    assert x.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    torch.testing.assert_close(x, plain_x)
    assert torch.equal(y, plain_y)


@EACH
def test_drawing_waits_for_no_value(lessons):
    """What a recording needs: on the meta device no tensor has values, and shapes must come without."""
    meta = replace(DATA, train=Split(DATA.train.x.to("meta"), DATA.train.y.to("meta")))
    taught = stream(meta, (0, 1), 6, **CROPPED, lessons=lessons)
    for step in range(4):
        taught.load(step)
        x, y = taught.draw()
        assert (x.shape, y.shape, x.device.type, y.device.type) == ((6, 3, 8, 8), (6,), "meta", "meta")


def test_numbers_stay_where_they_are():
    """What a recording needs, too: the same memory at every step, over the end of an epoch."""
    places = []
    lesson = Lesson(choices=4, change=lambda x, y, drawn: (places.append(drawn.data_ptr()), (x, y))[1])
    taught = stream(DATA, (0, 1), 6, lessons=[blur(), lesson])
    for step in range(7):
        _at(taught, step)
    assert len(places) == 7 and len(set(places)) == 1


def test_loading_alone_decides_the_batch():
    """A recorded `draw` sees what `load` wrote into the same tensors."""
    taught = stream(DATA, (0, 1), 6, **CROPPED, lessons=[blur(), rotation()])
    expected = _at(taught, 5)
    _at(taught, 0)
    assert not _equal(taught.draw(), expected)
    taught.load(5)
    assert _equal(taught.draw(), expected)


@pytest.mark.parametrize(
    "lessons", [[random_labels(), rotation()], [rotation(), blur(), rotation(fixed=True)], [random_labels(), random_labels()]]
)
def test_two_lessons_that_set_the_labels_are_refused(lessons):
    for ask in (head_width, lambda all_of_them: stream(DATA, (0, 0), 6, lessons=all_of_them)):
        with pytest.raises(ValueError, match="pretexts must have at most one that sets the labels, got 2; combine it with"):
            ask(lessons)


def test_head_width_is_the_teachers():
    assert [head_width(lessons) for lessons in [[], *LESSONS.values()]] == [None, None, 4, 4, None, 4, None]


def _norm_net(num_classes: int) -> nn.Sequential:
    network = toys.norm_net()
    network.body.fc = nn.Linear(8, num_classes)
    return network


LEARNED = replace(toys.scrambled(_norm_net(4), 0), step=12, slots={"momentum": torch.ones(3)})
FRESH = toys.scrambled(_norm_net(3), 1)


def test_a_new_head_is_the_fresh_one_whole_and_all_else_is_kept():
    state = new_head(LEARNED, FRESH)
    assert list(state.params) == list(LEARNED.params) and list(state.buffers) == list(LEARNED.buffers)
    for name, tensor in state.params.items():
        assert tensor is (FRESH if name in ("body.fc.weight", "body.fc.bias") else LEARNED).params[name]
    assert state.buffers and all(tensor is LEARNED.buffers[name] for name, tensor in state.buffers.items())
    assert (state.step, dict(state.slots)) == (12, {})


def test_tensors_of_a_layer_go_together_even_where_only_one_has_another_shape():
    names, shapes = ("a.weight", "a.bias", "ab.weight"), ((2, 3), (2,), (2,))
    old = State({name: torch.zeros(shape) for name, shape in zip(names, shapes, strict=True)})
    new = State({name: torch.ones(shape) for name, shape in zip(names, ((2, 4), (2,), (2,)), strict=True)})
    assert [float(t.mean()) for t in new_head(old, new).params.values()] == [1, 1, 0]


def test_a_head_of_the_same_width_is_kept():
    assert toys.same_state(new_head(FRESH, toys.start(_norm_net(3), 2)), FRESH)


def test_states_of_two_networks_are_refused():
    with pytest.raises(ValueError, match=r"must have the fresh state's tensors, got 'body.bn.bias' in one alone; build one"):
        new_head(LEARNED, toys.start(toys.dense_net()))


def test_a_network_learns_to_tell_rotations_and_goes_on_with_a_new_head():
    """Images that are brighter at the top: they tell by how much they were turned."""
    x = (torch.tensor([250, 120, 60, 0]).view(1, 1, 4, 1) + toys.split(60, "slope").x // 64).clamp(max=255).to(torch.uint8)
    split = Split(x, torch.arange(60) % toys.CLASSES)
    data = Dataset(split, split, toys.CLASSES, (0.4,), (0.3,))
    recipe = Recipe(partial(sgd, lr=0.2, momentum=0.9), constant())
    found = []
    taught = stream(data, (0, 0), 20, lessons=[rotation()])
    member = Member(toys.start(_norm_net(4)), None, taught, lambda progress: found.append(progress.sums.take()))
    state = train(_norm_net(4), [member], recipe, 120)[0].state
    assert all(0 < loss < 10 for loss, _ in found)
    assert sum(error for _, error in found[-10:]) / 10 < 0.2
    begin = replace(new_head(state, toys.start(_norm_net(3), 1)), step=0)
    after = train(_norm_net(3), [Member(begin, None, batches.stream(data, (0, 0), 20))], recipe, 3)[0]
    assert after.last_finite is None and after.state.params["body.fc.weight"].shape == (3, 8)


def test_stopping_and_going_on_gives_the_bits_of_a_straight_run():
    recipe = Recipe(partial(sgd, lr=0.1, momentum=0.9), constant())

    def go(begin: State, until: int) -> State:
        taught = stream(toys.dataset(), (0, 0), 6, **CROPPED, lessons=[blur(2), rotation()])
        return train(_norm_net(4), [Member(begin, None, taught)], recipe, until)[0].state

    begin = toys.start(_norm_net(4))
    assert toys.same_state(go(go(begin, 4), 7), go(begin, 7))
