"""The isometric losses: closed forms, the definition, both derivatives, two ways to compute."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from clouds import points, rotation
from companion.distances import metric
from companion.isometry import (
    isometry_loss,
    isometry_penalty,
    loss,
    normalised_isometry_loss_2022,
    scale_loss,
)
from companion.models import MLP, representations
from companion.training import Recipe, fit, initialised

LOSSES = {
    "isometry, matrix": isometry_loss,
    "isometry, pairs": lambda x, z, y, **k: isometry_loss(x, z, y, reduction="pairs", **k),
    "scale, matrix": scale_loss,
    "scale, pairs": lambda x, z, y, **k: scale_loss(x, z, y, reduction="pairs", **k),
    "normalised, 2022": normalised_isometry_loss_2022,
}
each_loss = pytest.mark.parametrize("name", LOSSES)


def slow(name, x, z, y, scale=1.0):
    """The definitions, over all n^2 entries, one pair after another."""
    n = len(x)
    x, z = x.double().flatten(1), z.double().flatten(1)
    before, after = torch.zeros(n, n).double(), torch.zeros(n, n).double()
    for i in range(n):
        for j in range(n):
            if y[i] == y[j] and i != j:
                before[i, j], after[i, j] = (x[i] - x[j]).norm(), (z[i] - z[j]).norm()
    pairs = int((y[:, None] == y).sum()) - n
    if name == "normalised, 2022":
        relative = after / (scale * after.max()) - before / before.max()
        return relative.square().mean().square()
    if name.startswith("scale"):
        error = (scale * after.sum() / pairs - before.sum() / pairs).square() * pairs
    else:
        error = (scale * after - before).square().sum()
    return error / (pairs if name.endswith("pairs") else n**2)


@pytest.fixture
def elsewhere(monkeypatch):
    """As on a device whose values the host does not see."""
    for module in (loss, metric):
        monkeypatch.setattr(module, "at_hand", lambda x: False)


def test_a_triangle_that_is_stretched_along_one_side():
    x = torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0], [90.0, 9.0]])
    z = x * torch.tensor([2.0, 1.0])  # sides 3, 4, 5 become 6, 4, root of 52
    y = torch.tensor([1, 1, 1, 0])
    total = 9 + 0 + (52**0.5 - 5) ** 2
    torch.testing.assert_close(isometry_loss(x, z, y).item(), 2 * total / 16, rtol=1e-6, atol=0)
    by_pair = isometry_loss(x, z, y, reduction="pairs").item()
    torch.testing.assert_close(by_pair, total / 3, rtol=1e-6, atol=0)
    size = ((10 + 52**0.5) / 3 - 4) ** 2
    torch.testing.assert_close(scale_loss(x, z, y).item(), 6 / 16 * size, rtol=1e-6, atol=0)
    relative = (6 / 52**0.5 - 0.6) ** 2 + (4 / 52**0.5 - 0.8) ** 2
    earlier = normalised_isometry_loss_2022(x, z, y).item()
    torch.testing.assert_close(earlier, (2 * relative / 16) ** 2, rtol=1e-5, atol=0)


@each_loss
@settings(max_examples=20)
@given(
    seed=st.integers(0, 10**6), n=st.integers(4, 12), dim=st.integers(1, 6),
    classes=st.integers(1, 3), scale=st.sampled_from([0.1, 1, 10]),
)  # fmt: skip
def test_the_definition_in_float64(name, seed, n, dim, classes, scale):
    x, z, y = points(seed, n, dim), points(seed + 1, n, 3), torch.arange(n) % classes
    value = LOSSES[name](x, z, y, scale=scale)
    torch.testing.assert_close(value, slow(name, x, z, y, scale), rtol=1e-9, atol=1e-15)
    # The order of the samples and the names of the classes mean nothing.
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    shuffled = LOSSES[name](x[order], z[order], 7 - y[order], scale=scale)
    torch.testing.assert_close(shuffled, value, rtol=1e-9, atol=1e-15)


def test_images_are_flattened_on_both_sides():
    x, z, y = points(0, 6, 12).view(6, 3, 2, 2), points(1, 6, 4).view(6, 2, 2), torch.arange(6) % 2
    assert torch.equal(isometry_loss(x, z, y), isometry_loss(x.flatten(1), z.flatten(1), y))


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), dim=st.integers(1, 5), scale=st.sampled_from([0.5, 1.0, 10.0]))
def test_zero_for_a_rigid_motion_of_each_class_and_for_no_stretch(seed, dim, scale):
    x, y = points(seed, 12, dim), torch.arange(12) % 2
    moved = torch.where(
        (y == 0)[:, None], x @ rotation(seed + 1, dim) + 5, x @ rotation(seed + 2, dim)
    )
    for name in LOSSES:
        if name != "normalised, 2022" or scale == 1:
            # A squared difference of numbers rounded at 1e-14.
            assert LOSSES[name](x, moved / scale, y, scale=scale) < 1e-25
    stretched = x * torch.linspace(1, 3, dim, dtype=torch.float64).add(1)
    assert isometry_loss(x, stretched, y) > 0.1


def test_matrix_is_pairs_times_their_share():
    x, z, y = points(0, 12, 4), points(1, 12, 5), torch.tensor([0] * 6 + [1] * 4 + [2, 3])
    for function in (isometry_loss, scale_loss):
        by_pair = function(x, z, y, reduction="pairs")
        torch.testing.assert_close(function(x, z, y), by_pair * 2 * (15 + 6) / 144)


@pytest.mark.parametrize("reduction", ["pairs", "matrix"])
def test_scale_loss_is_isometry_loss_without_the_variance(reduction):
    x, z, y = points(0, 20, 4), points(1, 20, 5), torch.arange(20) % 3
    i, j = torch.triu_indices(20, 20, 1)
    i, j = i[y[i] == y[j]], j[y[i] == y[j]]
    residual = 2 * (z[i] - z[j]).norm(dim=1) - (x[i] - x[j]).norm(dim=1)
    whole, size = (
        function(x, z, y, scale=2, reduction=reduction) for function in (isometry_loss, scale_loss)
    )
    share = {"pairs": 1, "matrix": 2 * len(residual) / 20**2}[reduction]
    torch.testing.assert_close(whole - size, share * residual.var(correction=0))


def test_the_earlier_form_knows_no_size():
    x, z, y = points(0, 9, 4), points(1, 9, 3), torch.arange(9) % 2
    one, seven = (normalised_isometry_loss_2022(x, factor * z, y) for factor in (1, 7))
    torch.testing.assert_close(one, seven)
    assert isometry_loss(x, 7 * z, y) > 10 * isometry_loss(x, z, y)


def test_the_gradient_is_that_of_metric_scaling():
    x, z, y = points(0, 10, 4), points(1, 10, 3), torch.arange(10) % 2
    scale, n = 3, 10
    gradient = torch.zeros_like(z)
    for i in range(n):
        for j in range(n):
            if y[i] == y[j] and i != j:
                d, e = (x[i] - x[j]).norm(), (z[i] - z[j]).norm()
                gradient[i] += 4 * scale / n**2 * (scale * e - d) * (z[i] - z[j]) / e
    z.requires_grad_()
    (found,) = torch.autograd.grad(isometry_loss(x, z, y, scale=scale), z)
    torch.testing.assert_close(found, gradient)


@each_loss
@pytest.mark.parametrize("where", ["on the CPU", "elsewhere"])
def test_both_derivatives(name, where, request):
    if where == "elsewhere":
        request.getfixturevalue("elsewhere")
    # One class of one member, whose row must have no derivative.
    x, z, y = (
        points(0, 7, 3),
        points(1, 7, 2).requires_grad_(),
        torch.tensor([0, 1, 0, 1, 0, 2, 1]),
    )

    def function(z):
        return LOSSES[name](x, z, y, scale=2)

    assert gradcheck(function, (z,))
    assert gradgradcheck(function, (z,))


@each_loss
def test_both_forms_give_the_same(name, request):
    x, z, y = points(0, 60, 30) + 10, points(1, 60, 8), torch.arange(60) % 4
    x[1], z[4] = x[5] + 1e-3, z[8]
    y[-1] = 9
    found = []
    for _ in range(2):
        leaf = z.clone().requires_grad_()
        value = LOSSES[name](x, leaf, y, scale=2)
        (first,) = torch.autograd.grad(value, leaf, create_graph=True)
        (second,) = torch.autograd.grad(first.sin().sum(), leaf)
        found.append((value, first, second))
        request.getfixturevalue("elsewhere")
    for here, there in zip(*found, strict=True):
        # Sums of a few hundred float64 terms in another order.
        torch.testing.assert_close(here, there, rtol=1e-9, atol=1e-14)


@each_loss
@pytest.mark.parametrize("where", ["on the CPU", "elsewhere"])
@pytest.mark.parametrize("members", [2, 30])
def test_near_points_far_from_the_origin_come_out_right(name, members, where, request):
    if where == "elsewhere":
        request.getfixturevalue("elsewhere")
    y = torch.arange(60) // members
    x, z = (
        points(seed, 60, dim, torch.float32)[y] + 10 + points(9, 60, dim, torch.float32) * apart
        for seed, dim, apart in ((0, 784, 1e-3 / 28), (1, 128, 2e-3 / 11))
    )
    value = LOSSES[name](x, z, y).double()
    # Two float32 distances and their difference: tens of eps (6e-8), more where a mean hides one.
    torch.testing.assert_close(value, slow(name, x, z, y), rtol=1e-4, atol=0)
    masked = (torch.cdist(z, z) - torch.cdist(x, x)) * (y[:, None] == y)
    if name == "isometry, matrix":
        assert masked.square().mean() > 10 * value  # what the expansion of the square makes of it


@each_loss
@pytest.mark.parametrize("where", ["on the CPU", "elsewhere"])
def test_coinciding_representations_feel_no_force_and_no_nan(name, where, request):
    if where == "elsewhere":
        request.getfixturevalue("elsewhere")
    x, y = points(0, 6, 3), torch.tensor([0, 0, 0, 1, 1, 1])
    z = points(1, 6, 2)
    z[1], z[3:] = z[0], 0
    z.requires_grad_()
    (first,) = torch.autograd.grad(LOSSES[name](x, z, y), z, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), z)
    assert first.isfinite().all() and second.isfinite().all()
    assert (first[3:] == 0).all()
    assert (first[:3].abs().sum(1) > 0).all()


@each_loss
@pytest.mark.parametrize("where", ["on the CPU", "elsewhere"])
def test_nothing_but_coinciding_points_is_finite_too(name, where, request):
    if where == "elsewhere":
        request.getfixturevalue("elsewhere")
    x, z, y = torch.ones(4, 3), torch.zeros(4, 2, requires_grad=True), torch.zeros(4).long()
    value = LOSSES[name](x, z, y)
    value.backward()
    assert value == 0 and (z.grad == 0).all()


@each_loss
@pytest.mark.parametrize("where", ["on the CPU", "elsewhere"])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_without_a_pair_exactly_zero(name, where, n, request):
    if where == "elsewhere":
        request.getfixturevalue("elsewhere")
    x, z, y = points(0, n, 3), points(1, n, 2).requires_grad_(), torch.arange(n)
    value = LOSSES[name](x, z, y)
    value.backward()
    assert value == 0
    assert torch.equal(z.grad, torch.zeros_like(z))


@each_loss
def test_a_class_of_one_member_contributes_nothing(name):
    x, z, y = points(0, 5, 3), points(1, 5, 2), torch.tensor([0, 0, 0, 1, 2])
    far = z.clone()
    far[3:] *= 100
    assert torch.equal(LOSSES[name](x, z, y), LOSSES[name](x, far, y))


@each_loss
def test_distances_of_x_are_a_target_without_a_gradient(name):
    x, y = points(0, 6, 3).requires_grad_(), torch.arange(6) % 2
    z = 2 * x
    through, alone = (
        torch.autograd.grad(LOSSES[name](given, z, y, scale=3), x, retain_graph=True)[0]
        for given in (x, x.detach())
    )
    assert torch.equal(through, alone)


@each_loss
def test_the_result_has_the_dtype_of_z(name):
    x, z, y = points(0, 8, 3), points(1, 8, 2), torch.arange(8) % 2
    for of_x, of_z in ((torch.float32, torch.float64), (torch.float64, torch.float32)):
        value = LOSSES[name](x.to(of_x), z.to(of_z), y)
        assert value.dtype == of_z
        torch.testing.assert_close(value.double(), LOSSES[name](x, z, y), rtol=1e-5, atol=0)
    for short in (torch.float16, torch.bfloat16):
        value = LOSSES[name](x.to(short), z.to(short), y)
        assert torch.equal(
            value, LOSSES[name](x.to(short).float(), z.to(short).float(), y).to(short)
        )


@each_loss
@pytest.mark.gpu
def test_the_gpu_gives_the_same(name):
    x, z, y = (
        points(0, 90, 20, torch.float32),
        points(1, 90, 8, torch.float32),
        torch.arange(90) % 4,
    )
    found = []
    for device in ("cpu", "cuda"):
        leaf = z.to(device).requires_grad_()
        value = LOSSES[name](x.to(device), leaf, y.to(device))
        (gradient,) = torch.autograd.grad(value, leaf)
        found.append((value.cpu(), gradient.cpu()))
    for here, there in zip(*found, strict=True):
        # Float32 sums in another order.
        torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-6)


# ---- the penalty -----------------------------------------------------------------------------


def network():
    return initialised(lambda: MLP((3, 5, 4, 2), "tanh", dtype=torch.float64), 0)


@pytest.mark.parametrize("function", [isometry_loss, scale_loss])
def test_the_penalty_is_the_loss_of_the_layer_times_beta(function):
    model, x, y = network(), points(0, 8, 3), torch.arange(8) % 2
    penalty = isometry_penalty(7, "act2", scale=2, reduction="pairs", loss=function)
    z = representations(model, x)["act2"]
    torch.testing.assert_close(
        penalty(model, x, y), 7 * function(x, z, y, scale=2, reduction="pairs")
    )
    penalty(model, x, y).backward()
    assert model.linear1.weight.grad.abs().sum() > 0
    assert model.logits.weight.grad is None
    assert not any(module._forward_hooks for module in model.modules())


def test_a_fit_with_it_keeps_distances_that_training_destroys():
    x = 0.2 * torch.cat([points(0, 30, 3), points(1, 30, 3) + 3])
    y = torch.arange(60) // 30
    rest = {}
    for beta in (0, 10):
        model = network()
        penalty = isometry_penalty(beta, "act2")
        history = fit(model, x, y, Recipe(epochs=150, lr=0.02), penalty=penalty)
        rest[beta] = isometry_loss(x, representations(model, x)["act2"], y)
        assert history.accuracy[-1] > 0.9
    assert rest[10] < rest[0] / 3


@pytest.mark.parametrize("function", [isometry_loss, scale_loss])
def test_a_fit_gives_it_the_layer_of_its_own_pass(function):
    x, y = points(0, 24, 3), torch.arange(24) % 2
    recipe, passes, weights = Recipe(epochs=4, lr=0.02, batch_size=10), [], []
    penalty = isometry_penalty(3, "act2", reduction="pairs", loss=function)
    for way in (penalty, lambda *given: penalty(*given)):
        model = network()
        model.register_forward_pre_hook(lambda *_: passes.append(len(weights)))
        fit(model, x, y, recipe, penalty=way)
        weights.append(list(model.parameters()))
    assert (passes.count(0), passes.count(1)) == (12, 24)
    for one, other in zip(*weights, strict=True):
        # Twelve float64 steps; the gradients meet before the layers below or in them.
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def test_beta_zero_is_the_plain_training():
    x, y = points(0, 12, 3), torch.arange(12) % 2
    with_it, without = network(), network()
    # No second pass: the layer is not even looked for.
    fit(with_it, x, y, Recipe(epochs=3, lr=0.1), penalty=isometry_penalty(0, "no such layer"))
    fit(without, x, y, Recipe(epochs=3, lr=0.1))
    for one, other in zip(with_it.parameters(), without.parameters(), strict=True):
        assert torch.equal(one, other)


# ---- sentences -------------------------------------------------------------------------------


@each_loss
@pytest.mark.parametrize("sizes", [(4, 5, 5), (5, 4, 5), (5, 5, 4)])
def test_the_sentence_for_lengths_that_differ(name, sizes):
    n, m, labels = sizes
    with pytest.raises(
        ValueError,
        match=rf"x has {n} samples, z has {m} and y has shape \({labels},\): .* one label per row",
    ):
        LOSSES[name](points(0, n, 3), points(0, m, 2), torch.zeros(labels).long())


def test_the_sentence_for_labels_that_are_no_vector(as_a_user):
    with pytest.raises(ValueError, match=r"y has shape \(4, 1\): all three must hold the same"):
        isometry_loss(points(0, 4, 3), points(0, 4, 2), torch.zeros(4, 1).long())


@each_loss
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("which", ["x", "z"])
def test_the_sentence_for_nan(name, value, which):
    given = {"x": points(0, 4, 3), "z": points(1, 4, 2)}
    given[which][3, 0] = value
    # The sample is alone in its class, so that its distances would not have shown it.
    with pytest.raises(ValueError, match=f"{which} holds values that are NaN, infinite"):
        LOSSES[name](given["x"], given["z"], torch.tensor([0, 0, 1, 2]))


def test_nan_is_noticed_in_a_fit():
    model, x, y = network(), points(0, 8, 3), torch.arange(8) % 2
    nn.init.constant_(model.linear2.bias, torch.nan)
    with pytest.raises(
        ValueError, match="z holds values that are NaN, infinite .* the layer they"
    ):
        fit(model, x, y, Recipe(epochs=1, lr=0.1), penalty=isometry_penalty(1, "act2"))


@pytest.mark.parametrize("scale", [0, -1.0, torch.nan, torch.inf])
def test_the_sentence_for_a_scale(scale):
    x, y = points(0, 4, 3), torch.zeros(4).long()
    for function in LOSSES.values():
        with pytest.raises(ValueError, match=f"scale = {scale}: .* pass a positive number"):
            function(x, x, y, scale=scale)
    with pytest.raises(ValueError, match=f"scale = {scale}: .* pass a positive number"):
        isometry_penalty(1, "act1", scale=scale)


@pytest.mark.parametrize("function", [isometry_loss, scale_loss])
def test_the_sentence_for_a_reduction(function):
    x, y = points(0, 4, 3), torch.zeros(4).long()
    with pytest.raises(
        ValueError, match="There is no reduction 'mean': choose 'matrix'.* 'pairs'"
    ):
        function(x, x, y, reduction="mean")


@pytest.mark.parametrize("beta", [-1, -1e-9, torch.nan, torch.inf])
def test_the_sentence_for_beta(beta):
    with pytest.raises(ValueError, match=f"beta = {beta}: .* not negative; choose 0 or more"):
        isometry_penalty(beta, "act1")


def test_the_sentence_for_a_layer_that_is_not_called():
    penalty = isometry_penalty(1, "act9")
    with pytest.raises(
        ValueError, match="no layer named 'act9': it calls linear1, act1, .*choose"
    ):
        penalty(network(), points(0, 4, 3), torch.zeros(4).long())
