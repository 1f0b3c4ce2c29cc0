from __future__ import annotations

import pytest
import torch
import toys

from pipeline_lib.core.types import Split
from pipeline_lib.training.evaluation import Score, Tally, chunk_size, evaluate, part, subset

DATA = toys.dataset(num_train=25)


def test_a_tally_in_closed_form():
    tally = Tally()
    tally.add(torch.tensor([[9.0, 0.0], [0.0, 0.0]]), torch.tensor([1, 0]))
    tally.add(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    score, log2 = tally.score(), torch.log(torch.tensor(2.0)).item()
    assert score.error == pytest.approx(2 / 3)
    assert score.loss == pytest.approx((torch.log1p(torch.exp(torch.tensor(9.0))).item() + 2 * log2) / 3, rel=1e-6)


def test_a_partial_last_chunk_counts_by_its_examples(monkeypatch):
    network = toys.norm_net()
    state = toys.scrambled(network)
    whole = evaluate(network, state, DATA.train, DATA)
    monkeypatch.setattr("pipeline_lib.training.evaluation.chunk_size", lambda split: 7)
    chunked = evaluate(network, state, DATA.train, DATA)
    assert chunked.error == whole.error
    assert chunked.loss == pytest.approx(whole.loss, rel=1e-6)


def test_evaluation_changes_neither_state_nor_template():
    network = toys.norm_net()
    state, before = toys.scrambled(network), toys.scrambled(network)
    template = {n: t.clone() for n, t in network.state_dict().items()}
    network.train()
    evaluate(network, state, DATA.train, DATA)
    assert toys.same_state(state, before)
    assert toys.same(network.state_dict(), template)


def test_evaluation_uses_the_running_statistics():
    network = toys.norm_net()
    first, second = toys.start(network), toys.scrambled(network)
    assert evaluate(network, first, DATA.train, DATA) != evaluate(network, second, DATA.train, DATA)


def test_part_takes_the_names_under_a_prefix():
    tensors = {"stem.fc.weight": torch.zeros(1), "stemless": torch.zeros(2), "body.fc.weight": torch.zeros(3)}
    assert {name: len(t) for name, t in part(tensors, "stem").items()} == {"fc.weight": 1}
    assert list(part({"encoder.fc.weight": torch.zeros(1)}, "encoder")) == ["fc.weight"], "a prefix of any length"


def test_a_subset_is_the_same_each_time_in_order_and_everything_if_there_is_not_so_much():
    numbered = Split(DATA.train.x, torch.arange(25))
    chosen = subset(numbered, 7, "one").y
    assert torch.equal(chosen, subset(numbered, 7, "one").y)
    assert len(chosen) == 7
    assert chosen.tolist() == sorted(set(chosen.tolist())) != list(range(7))
    assert torch.equal(subset(numbered, 7, "one").x[:], DATA.train.x[:][chosen])
    assert not torch.equal(chosen, subset(numbered, 7, "another").y)
    assert torch.equal(subset(numbered, 1000, "one").y, numbered.y)


def test_scores_are_compared_by_value():
    assert Score(0.1, 2.0) == Score(0.1, 2.0)


@pytest.mark.parametrize(("shape", "size"), [((3, 32, 32), 130), ((1, 28, 28), 510), ((1, 8, 8), 4000), ((3, 224, 224), 16)])
def test_chunks_fit_the_caches_of_a_cpu(shape, size):
    assert chunk_size(Split(torch.zeros((2, *shape), dtype=torch.uint8), torch.zeros(2, dtype=torch.int64))) == size
