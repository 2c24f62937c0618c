"""The stretch of directions: closed forms, the Jacobian, borrowed models."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from companion import borrow
from companion.isometry import stretch
from companion.models import MLP, LeNet, representations
from companion.training import initialised


def points(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(activation="tanh"):
    return initialised(lambda: MLP((6, 7, 5, 3), activation, dtype=torch.float64), 0)


def slow(model, x, v, layer):
    """The whole Jacobian of one sample after another."""
    lengths = []
    for at, along in zip(x, v, strict=True):
        jacobian = torch.autograd.functional.jacobian(
            lambda x: differentiable(model, x, layer), at[None]
        )
        lengths.append((jacobian.reshape(-1, along.numel()) @ along.flatten()).norm())
    return torch.stack(lengths)


def differentiable(model, x, layer):
    for name, module in model.named_children():
        x = module(x.flatten(1) if isinstance(module, nn.Linear) else x)
        if name == layer:
            break
    return x


def test_a_linear_map_stretches_by_its_singular_values():
    a = points(0, 4, 3)
    u, s, v = torch.linalg.svd(a)
    along = v[:3, None].expand(3, 5, 3)
    found = stretch(lambda x: x @ a.T, points(1, 5, 3), along)
    torch.testing.assert_close(found, s[:, None].expand(3, 5))


def test_an_isometry_stretches_nothing_and_the_length_of_v_counts():
    q = torch.linalg.qr(points(0, 4, 4))[0]
    x, v = points(1, 6, 4), points(2, 6, 4)
    torch.testing.assert_close(stretch(lambda x: x @ q + 9, x, v), v.norm(dim=1))
    torch.testing.assert_close(stretch(lambda x: x @ q, x, -3 * v), 3 * v.norm(dim=1))


def test_a_tanh_is_flat_where_it_is_saturated():
    x = torch.tensor([[0.0], [1.0], [40.0]])
    found = stretch(torch.tanh, x, torch.ones(3, 1))
    expected = 1 - torch.tanh(x[:, 0]).square()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("layer", [None, "linear1", "act2", "logits"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "softplus"])
def test_the_jacobian_of_every_layer(layer, activation):
    model, x, v = network(activation), points(0, 4, 6), points(1, 4, 6)
    # Products in float64 in another order.
    expected = slow(model, x, v, layer)
    torch.testing.assert_close(stretch(model, x, v, layer=layer), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layer", [None, "pool1", "act3"])
def test_images_and_convolutions(layer):
    model = initialised(lambda: LeNet((1, 8, 8), 3), 0).double()
    x, v = points(0, 3, 1, 8, 8), points(1, 3, 1, 8, 8)
    expected = slow(model, x, v, layer)
    torch.testing.assert_close(stretch(model, x, v, layer=layer), expected, rtol=1e-10, atol=1e-12)


def test_finite_differences_agree():
    model, x, v = network(), points(0, 5, 6), points(1, 5, 6)
    with torch.no_grad():
        # Central differences of step 1e-5: error of order 1e-10 times the third derivative.
        secant = (model(x + 1e-5 * v) - model(x - 1e-5 * v)).norm(dim=1) / 2e-5
    torch.testing.assert_close(stretch(model, x, v), secant, rtol=1e-7, atol=0)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 4), n=st.integers(1, 5))
def test_several_directions_are_each_direction_alone(seed, k, n):
    model, x, v = network(), points(seed, n, 6), points(seed + 1, k, n, 6)
    together = stretch(model, x, v, layer="act2")
    assert together.shape == (k, n)
    for row, direction in zip(together, v, strict=True):
        torch.testing.assert_close(row, stretch(model, x, direction, layer="act2"))


def test_one_direction_for_all_samples_is_expanded():
    model, x, v = network(), points(0, 5, 6), points(1, 6)
    found = stretch(model, x, v.expand(5, 6))
    assert torch.equal(found, stretch(model, x, v.repeat(5, 1)))


def test_chunks_are_bounded_and_change_nothing(monkeypatch):
    model, x, v = network(), points(0, 7, 6), points(1, 3, 7, 6)
    whole, seen = stretch(model, x, v), []
    model.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    monkeypatch.setattr(borrow, "BUDGET", 4 * 2 * 16 * 6)
    torch.testing.assert_close(stretch(model, x, v), whole)
    # Two passes of at most eight samples are the question whether the model is a fixed map.
    assert seen[2:] == [4, 4, 4, 4, 4, 1]


def test_the_model_is_given_back_as_it_was_found():
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout()).double()
    model(points(0, 9, 6)).sum().backward()
    model[0].weight.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    gradients = [parameter.grad for parameter in model.parameters()]
    x = points(1, 5, 6).requires_grad_()
    found = stretch(model, x, points(2, 5, 6), layer="1")
    assert not found.requires_grad and x.grad is None
    assert model.training and model[1].training
    assert not any(module._forward_hooks for module in model.modules())
    assert [parameter.requires_grad for parameter in model.parameters()] == [
        False,
        True,
        True,
        True,
    ]
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert parameter.grad is gradient
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_dtype_of_x_decides_and_gradients_may_be_off():
    model, x, v = network().float(), points(0, 4, 6).float(), points(1, 4, 6)
    with torch.no_grad():
        found = stretch(model, x, v)
    assert found.dtype == torch.float32
    assert torch.equal(found, stretch(model, x, v.float()))


def test_a_map_to_one_number():
    found = stretch(lambda x: x.square().sum(1), torch.tensor([[3.0, 4.0]]), torch.ones(1, 2))
    assert found.tolist() == [14.0]


def test_nothing_leaves_the_device():
    model = network().to("meta")
    x = torch.zeros(4, 6, device="meta", dtype=torch.float64)
    assert stretch(model, x, x.expand(2, 4, 6), layer="act1").is_meta


@pytest.mark.gpu
def test_the_gpu_gives_the_same():
    model, x, v = network(), points(0, 5, 6), points(1, 2, 5, 6)
    here = stretch(model, x, v, layer="act2")
    there = stretch(model.cuda(), x.cuda(), v.cuda(), layer="act2")
    # Products in float64 in another order.
    torch.testing.assert_close(there.cpu(), here, rtol=1e-9, atol=1e-12)


# ---- sentences -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 6), (4, 5), (6,), (2, 3, 4, 6), (4, 1, 6)])
def test_the_sentence_for_a_direction_of_another_shape(shape):
    with pytest.raises(
        ValueError, match=r"v has shape .* and x \(4, 6\): one direction per sample"
    ):
        stretch(network(), points(0, 4, 6), torch.zeros(shape))


def test_the_sentence_for_no_sample():
    with pytest.raises(ValueError, match="x holds no sample: pass at least one row"):
        stretch(network(), points(0, 0, 6), points(0, 0, 6))


def test_the_sentence_for_a_layer_that_is_not_called():
    x = points(0, 4, 6)
    with pytest.raises(ValueError, match="no layer named 'act9': it calls linear1, act1"):
        stretch(network(), x, x, layer="act9")


def test_the_sentence_for_a_layer_of_a_function():
    x = points(0, 4, 6)
    with pytest.raises(TypeError, match="layer = 'act1' was asked of a function: only a torch.nn"):
        stretch(lambda x: x, x, x, layer="act1")


def test_the_sentences_for_nan_and_chance():
    x = points(0, 4, 6)
    with pytest.raises(ValueError, match="The model answers NaN for 4 of 4 samples"):
        stretch(lambda x: x * torch.nan, x, x)
    with pytest.raises(ValueError, match="two different answers to the same input"):
        stretch(lambda x: x + torch.rand(4, 6), x, x)
    late = torch.cat([x, x, x])
    late[-1] = torch.nan
    with pytest.raises(ValueError, match="The model answers NaN for 1 of 12 samples"):
        stretch(network(), late, late.clone())


def test_the_answers_stay_those_of_the_model():
    model, x = network(), points(0, 4, 6)
    before = representations(model, x)["act1"]
    stretch(model, x, x, layer="act1")
    assert torch.equal(before, representations(model, x)["act1"])
