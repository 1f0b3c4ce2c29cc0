from __future__ import annotations

import pytest
import torch
import toys
from scipy import stats
from torch import nn

from pipeline_lib.core import registry
from pipeline_lib.core.rng import torch_generator
from pipeline_lib.networks.mlp import mlp
from pipeline_lib.networks.resnet import resnet_cifar
from pipeline_lib.training.initialisers.kaiming import kaiming_uniform

DRAWS = {name: entry.load() for name, entry in registry.entries("initialisers").items()}
FAN_IN, FAN_OUT = 784, 300  # of the first layer of LeNet-300-100
CONV_IN, CONV_OUT = 64 * 9, 32 * 9  # of the layer below
CONV = "1.weight"


def _conv_net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 64, 3), nn.Conv2d(64, 32, 3))


@pytest.fixture(params=list(DRAWS))
def draw(request):
    return DRAWS[request.param]


@pytest.fixture(params=sorted(set(DRAWS) - {"own_reset"}))
def formula(request):
    """An initialisation that draws by a formula of its own, not the modules'."""
    return DRAWS[request.param]


def test_the_schemes_are_these():
    assert set(DRAWS) == {"kaiming_normal", "glorot_normal", "glorot_truncated", "kaiming_uniform", "own_reset"}


def test_every_tensor_has_the_templates_name_shape_and_place(draw):
    network = toys.norm_net()
    state = draw(network, torch_generator("x"))
    assert [(n, t.shape) for n, t in state.params.items()] == [(n, t.shape) for n, t in network.named_parameters()]
    assert [(n, t.shape) for n, t in state.buffers.items()] == [(n, t.shape) for n, t in network.named_buffers()]
    assert (state.step, state.slots) == (0, {})


def test_weights_are_kaiming_normal_and_biases_uniform():
    params = toys.start(mlp((1, 28, 28), 10)).params
    for name, fan_in in (("stem.fc1", 784), ("body.fc2", 300), ("body.fc3", 100)):
        weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
        tolerance = 5 / (2 * weight.numel()) ** 0.5
        assert weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=tolerance)
        assert abs(weight.mean().item()) < 5 * weight.std().item() / weight.numel() ** 0.5
        assert 0.5 * fan_in**-0.5 < bias.abs().max().item() <= fan_in**-0.5


@pytest.mark.parametrize(
    ("name", "linear", "conv"),
    [
        ("kaiming_normal", (2 / FAN_IN) ** 0.5, (2 / CONV_IN) ** 0.5),
        ("glorot_normal", (2 / (FAN_IN + FAN_OUT)) ** 0.5, (2 / (CONV_IN + CONV_OUT)) ** 0.5),
        ("glorot_truncated", (2 / (FAN_IN + FAN_OUT)) ** 0.5, (2 / (CONV_IN + CONV_OUT)) ** 0.5),
        ("kaiming_uniform", (3 * FAN_IN) ** -0.5, (3 * CONV_IN) ** -0.5),
    ],
)
def test_the_standard_deviation_is_the_formula(name, linear, conv):
    weights = (
        (DRAWS[name](mlp((1, 28, 28), 10), torch_generator("x")).params["stem.fc1.weight"], linear),
        (DRAWS[name](_conv_net(), torch_generator("x")).params[CONV], conv),
    )
    for weight, expected in weights:
        tolerance = 4 / (2 * weight.numel()) ** 0.5
        assert weight.std().item() == pytest.approx(expected, rel=tolerance)
        assert abs(weight.mean().item()) < 4 * expected / weight.numel() ** 0.5


def test_truncated_glorot_is_cut_off_at_two_deviations_and_has_no_biases():
    params = DRAWS["glorot_truncated"](mlp((1, 28, 28), 10), torch_generator("x")).params
    weight, wanted = params["stem.fc1.weight"].double().flatten(), (2 / (FAN_IN + FAN_OUT)) ** 0.5
    whole = wanted / stats.truncnorm.std(-2, 2)
    assert 1.99 < weight.abs().max() / whole <= 2
    assert stats.kstest((weight / whole).numpy(), stats.truncnorm(-2, 2).cdf).pvalue > 0.01
    assert all(not tensor.any() for name, tensor in params.items() if name.endswith(".bias"))


@pytest.mark.parametrize("name", ["kaiming_normal", "glorot_normal"])
def test_the_distribution_is_normal(name):
    weight = DRAWS[name](_conv_net(), torch_generator("x")).params[CONV].double()
    assert stats.kstest((weight / weight.std()).flatten().numpy(), "norm").pvalue > 0.01


@pytest.mark.parametrize(
    ("name", "torchs"), [("kaiming_normal", nn.init.kaiming_normal_), ("glorot_normal", nn.init.xavier_normal_)]
)
def test_normal_weights_have_the_distribution_of_torchs_scheme(name, torchs):
    weight = DRAWS[name](_conv_net(), torch_generator("x")).params[CONV]
    theirs = torchs(torch.empty_like(weight), generator=torch_generator("y"))
    assert stats.ks_2samp(weight.flatten().numpy(), theirs.flatten().numpy()).pvalue > 0.01


@pytest.mark.parametrize("make", [lambda: mlp((1, 28, 28), 10), _conv_net])
def test_kaiming_uniform_has_the_distribution_of_torchs_default(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = dict(make().named_parameters())
    ours = kaiming_uniform(make(), torch_generator("x")).params
    for name, tensor in theirs.items():
        pair = ours[name].flatten().numpy(), tensor.detach().flatten().numpy()
        assert stats.ks_2samp(*pair).pvalue > 0.001


def test_kaiming_uniform_keeps_and_nearly_reaches_its_bound():
    weight = kaiming_uniform(_conv_net(), torch_generator("x")).params[CONV]
    assert 0.999 < weight.abs().max() * CONV_IN**0.5 <= 1


def test_kaiming_uniform_is_torchs_default_draw_for_draw():
    with torch.random.fork_rng():
        torch.manual_seed(17)
        theirs = dict(mlp((1, 28, 28), 10).named_parameters())
    ours = kaiming_uniform(mlp((1, 28, 28), 10), torch.Generator().manual_seed(17)).params
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor.detach(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", sorted(set(DRAWS) - {"glorot_truncated"}))
def test_biases_are_uniform_within_the_root_of_the_fan_in(name):
    bias = DRAWS[name](mlp((1, 7, 7), 3, (2000,)), torch_generator("x")).params["stem.fc1.bias"]
    assert bias.abs().max() <= 1 / 7
    assert stats.kstest((bias.double().numpy() * 7 + 1) / 2, "uniform").pvalue > 0.01


def _norms(draw, **options):
    """Scales, shifts and statistics of all BatchNorm layers of ResNet-20."""
    state = draw(resnet_cifar((3, 32, 32), 10), torch_generator("x"), **options)
    norms = {n: t for n, t in state.params.items() if "bn" in n.split(".")[-2]}
    scales, shifts = (torch.cat([t for n, t in norms.items() if n.endswith(kind)]) for kind in ("weight", "bias"))
    return scales, shifts, state.buffers


def test_norm_scales_are_uniform_on_the_unit_interval(formula):
    scales, _, _ = _norms(formula, batchnorm_scale="uniform")
    assert len(scales) == 784
    assert 0 <= scales.min() < 0.02
    assert 0.98 < scales.max() <= 1
    assert stats.kstest(scales.double().numpy(), "uniform").pvalue > 0.01


def test_norm_scales_are_one(formula):
    scales, _, _ = _norms(formula, batchnorm_scale="one")
    assert (scales == 1).all()


@pytest.mark.parametrize(("name", "constant"), [("kaiming_normal", False), ("glorot_normal", False), ("kaiming_uniform", True)])
def test_the_scales_of_no_options(name, constant):
    assert bool((_norms(DRAWS[name])[0] == 1).all()) is constant


@pytest.mark.parametrize("scale", ["uniform", "one"])
def test_norms_start_without_shift_and_with_trivial_statistics(formula, scale):
    _, shifts, buffers = _norms(formula, batchnorm_scale=scale)
    assert len(shifts) == 784
    assert not shifts.any()
    assert all((t == (1 if n.endswith("var") else 0)).all() for n, t in buffers.items())


def test_a_draw_depends_on_its_generator_alone(draw):
    first = draw(toys.norm_net(), torch_generator("a"))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        assert toys.same_state(draw(toys.norm_net(), torch_generator("a")), first)
    assert not toys.same(draw(toys.norm_net(), torch_generator("b")).params, first.params)


def test_neither_the_global_generator_nor_the_template_is_touched(draw):
    network = toys.norm_net()
    before, template = torch.get_rng_state(), {n: t.clone() for n, t in network.state_dict().items()}
    state = draw(network, torch_generator("x"))
    state.buffers["body.bn.running_mean"].fill_(7)
    for tensor in state.params.values():
        tensor.fill_(7)
    assert torch.equal(torch.get_rng_state(), before)
    assert toys.same(network.state_dict(), template)


def test_the_templates_values_are_not_read(draw):
    network = toys.norm_net()
    for parameter in network.parameters():
        nn.init.constant_(parameter, 9)
    assert toys.same_state(draw(network, torch_generator("x")), draw(toys.norm_net(), torch_generator("x")))


def test_drawn_tensors_carry_no_gradient(draw):
    assert not any(t.requires_grad for t in draw(toys.norm_net(), torch_generator("x")).params.values())


def test_a_layer_of_another_kind_is_refused(formula):
    with pytest.raises(
        ValueError, match=r"^module '1' must be a conv, linear or BatchNorm layer, got LayerNorm; set initialisation: "
    ):
        formula(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), torch_generator("x"))
