"""What others have saved, in the ways in which it is saved."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
import toys
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune as torchs_prune

import pipeline_lib


@pytest.fixture
def saved() -> nn.Module:
    network = toys.norm_net()
    with torch.no_grad():
        for i, parameter in enumerate(network.parameters()):
            parameter.fill_(i + 1)
    return network


WAYS = {
    "torch.pt": lambda net, file: torch.save(net.state_dict(), file),
    "plain.safetensors": lambda net, file: save_file(net.state_dict(), file),
    "lightning.ckpt": lambda net, file: torch.save(
        {"epoch": 3, "state_dict": {**{f"model.{n}": t for n, t in net.state_dict().items()}, "metric.total": torch.ones(1)}},
        file,
    ),
    "parallel.pt": lambda net, file: torch.save({f"module.{n}": t for n, t in net.state_dict().items()}, file),
    "with_optimiser.pt": lambda net, file: torch.save({"model_state_dict": net.state_dict(), "optimiser": {}, "step": 4}, file),
}


@pytest.mark.parametrize("name", WAYS)
def test_weights_come_back_in_a_copy(name, saved, tmp_path):
    WAYS[name](saved, tmp_path / name)
    template = toys.norm_net()
    before = copy.deepcopy(template.state_dict())
    found = pipeline_lib.checkpoint(template, tmp_path / name)
    assert toys.same(found.state_dict(), saved.state_dict())
    assert toys.same(template.state_dict(), before)
    assert not found.training


def test_what_torch_has_pruned_comes_as_it_was_used(tmp_path):
    network = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2))
    template = copy.deepcopy(network)
    torchs_prune.l1_unstructured(network[0], "weight", 0.5)
    torch.save(network.state_dict(), tmp_path / "pruned.pt")
    found, mask = pipeline_lib.checkpoint(template, tmp_path / "pruned.pt"), pipeline_lib.read_mask(tmp_path / "pruned.pt")
    assert torch.equal(found[0].weight, network[0].weight)
    assert list(mask) == ["0.weight"]
    assert pipeline_lib.density(mask) == 0.5
    assert np.array_equal(mask["0.weight"], (found[0].weight != 0).numpy())


def test_masks_of_ones_and_zeros_are_masks(tmp_path):
    torch.save({"fc.weight": torch.tensor([[1.0, 0.0]])}, tmp_path / "mask.pt")
    assert pipeline_lib.read_mask(tmp_path / "mask.pt")["fc.weight"].tolist() == [[True, False]]
    torch.save({"state_dict": {"fc.weight_mask": torch.tensor([[0.0, 1.0]])}, "epoch": 3}, tmp_path / "mask.pt")
    assert pipeline_lib.read_mask(tmp_path / "mask.pt")["fc.weight"].tolist() == [[False, True]]
    for other, told in {torch.ones(2): "tensors by name, got Tensor", (): "tensors by name, got tuple"}.items():
        torch.save(other, tmp_path / "mask.pt")
        with pytest.raises(ValueError, match=told):
            pipeline_lib.read_mask(tmp_path / "mask.pt")
    torch.save({}, tmp_path / "mask.pt")
    with pytest.raises(ValueError, match=r"mask .*mask.pt must have tensors by parameter, got none"):
        pipeline_lib.read_mask(tmp_path / "mask.pt")
    torch.save({"fc.weight": torch.tensor([[1.0, 0.5]])}, tmp_path / "mask.pt")
    with pytest.raises(ValueError, match=r"mask .*mask.pt must be true or false, 1 or 0, got another value in fc.weight; write"):
        pipeline_lib.read_mask(tmp_path / "mask.pt")


def test_what_does_not_fit_or_is_no_state_dict_is_said(saved, tmp_path):
    file = tmp_path / "a.pt"
    torch.save({**saved.state_dict(), "more": torch.ones(1)}, file)
    with pytest.raises(ValueError, match=r"checkpoint .*a.pt must fit the network, got more, which it lacks; build it"):
        pipeline_lib.checkpoint(toys.norm_net(), file)
    torch.save({n: t for n, t in saved.state_dict().items() if n != "stem.weight"}, file)
    with pytest.raises(
        ValueError, match=r"checkpoint .*a.pt must fit the network, got no stem.weight; build it as it was trained"
    ):
        pipeline_lib.checkpoint(toys.norm_net(), file)
    torch.save({name: tensor[:1] if tensor.dim() else tensor for name, tensor in saved.state_dict().items()}, file)
    with pytest.raises(
        ValueError, match=r"must fit the network, got stem.weight of \(1, 1, 3, 3\) for \(2, 1, 3, 3\), body.bn.weight of .* and "
    ):
        pipeline_lib.checkpoint(toys.norm_net(), file)
    torch.save(saved, file)
    with pytest.raises(
        ValueError, match=r"checkpoint .*a.pt must be a state dict, .*; save it as torch.save\(network.state_dict"
    ):
        pipeline_lib.checkpoint(toys.norm_net(), file)
    for value in (float("nan"), float("inf")):
        torch.save({name: tensor * value for name, tensor in saved.state_dict().items()}, file)
        with pytest.raises(ValueError, match=r"checkpoint .*a.pt must have finite floats .*, got others in stem.weight, "):
            pipeline_lib.checkpoint(toys.norm_net(), file)
    torch.save({name: tensor.long() for name, tensor in saved.state_dict().items()}, file)
    with pytest.raises(ValueError, match=r"must have finite floats where the network has, got others in stem.weight"):
        pipeline_lib.checkpoint(toys.norm_net(), file)
    with pytest.raises(ValueError, match=r"network must have tensors to read .*a.pt into, got none"):
        pipeline_lib.checkpoint(torch.nn.ReLU(), file)
    torch.save({"fc.weight_orig": torch.ones(2, 3), "fc.weight_mask": torch.ones(3, 2)}, file)
    with pytest.raises(ValueError, match=r"must have masks of their tensors' shapes, got \(3, 2\) for fc.weight_orig of"):
        pipeline_lib.checkpoint(toys.norm_net(), file)
    torch.save([1, 2], file)
    with pytest.raises(ValueError, match=r"checkpoint .*a.pt must hold tensors by name, got list; save it as"):
        pipeline_lib.checkpoint(toys.norm_net(), file)


class _Harm:
    def __reduce__(self):
        return (print, ("harm",))


def test_nothing_in_a_file_runs(tmp_path, capsys):
    (tmp_path / "harm.pt").write_bytes(pickle.dumps(_Harm(), protocol=2))
    (tmp_path / "b.safetensors").write_bytes(b"no")
    for name in ("harm.pt", "b.safetensors"):
        with pytest.raises(ValueError, match=r"must be a state dict, of torch's or in safetensors, got: "):
            pipeline_lib.checkpoint(toys.norm_net(), tmp_path / name)
    assert capsys.readouterr().out == ""
