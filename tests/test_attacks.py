"""Attacks: the worst point of a linear model is known, and a foreign library must find as much."""

import copy
import functools
import importlib
import json
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from chapters import ROOT
from companion import borrow, datasets
from companion.attacks import fgsm, pgd, steps, withstood
from companion.attacks.ball import ball, in_unit_ball
from companion.decision import logit_gap
from companion.isometry import IsometricStack, isometry_penalty
from companion.models import MLP, LeNet
from companion.training import Recipe, accuracy, fit, initialised, reference
from plain import Plain
from plain import pgd as plain_pgd
from plain import withstood as plain_withstood


def linear(n_classes=3, dim=6, seed=0):
    model = initialised(lambda: nn.Linear(dim, n_classes).double(), seed)
    x = torch.randn(40, dim, generator=torch.Generator().manual_seed(seed + 1)).double()
    return model, x, model(x).argmax(dim=1).detach()


def margins(model, x, y, dual):
    """min_j (f_y - f_j) / |w_y - w_j| in the dual norm: exact for a linear model."""
    f, w = model(x).detach(), model.weight.detach()
    gap = f.gather(1, y[:, None]) - f
    length = torch.linalg.vector_norm(w[y][:, None] - w, ord=dual, dim=2)
    return (gap / length).scatter(1, y[:, None], torch.inf).amin(dim=1)


@functools.cache
def disc():
    x = torch.rand(60, 2, generator=torch.Generator().manual_seed(0))
    y = ((x - 0.5).square().sum(dim=1) < 0.1).long()
    model = initialised(lambda: MLP((2, 16, 16, 2)), 0)
    fit(model, x, y, Recipe(epochs=200, lr=1e-2))
    return model, x, y


def curved():
    """A network whose boundary is a circle; a copy, since some tests change it."""
    return copy.deepcopy(disc())


def inside(moved, x, eps, norm):
    """Whether all points lie within eps: to the last digit for "linf", else in float64."""
    if norm == "l2":
        return lengths(moved.double() - x.double(), norm).max() <= eps
    a, b = (t.flatten().tolist() for t in (moved, x))
    return all(abs(Fraction(p) - Fraction(q)) <= Fraction(eps) for p, q in zip(a, b, strict=True))


def lengths(delta, norm):
    order = {"l2": 2, "linf": torch.inf}[norm]
    return torch.linalg.vector_norm(delta.flatten(1), ord=order, dim=1)


# --- closed forms --------------------------------------------------------------------------------


@pytest.mark.parametrize(("norm", "dual"), [("l2", 2), ("linf", 1)])
def test_two_classes_of_a_linear_model_fall_exactly_at_their_margin(norm, dual):
    model, x, y = linear(n_classes=2)
    far = margins(model, x, y, dual)
    for eps in (0.3, 0.8):
        for attack in (fgsm, pgd):
            moved = attack(model, x, y, eps=eps, norm=norm)
            fallen = model(moved).argmax(dim=1) != y
            # A budget within 1 % of a margin may go either way: steps end beside the corner.
            clear = (far / eps - 1).abs() > 0.01
            assert torch.equal(fallen[clear], (far < eps)[clear])
            assert fallen.any() and not fallen.all()


@pytest.mark.parametrize(("norm", "dual"), [("l2", 2), ("linf", 1)])
def test_no_point_of_the_ball_has_a_higher_loss_on_a_linear_model(norm, dual):
    model, x, y = linear(n_classes=2)
    gap = logit_gap
    w = model.weight.detach()
    worst = gap(model(x), y) + 0.7 * torch.linalg.vector_norm(w[0] - w[1], ord=dual)
    reached = gap(model(fgsm(model, x, y, eps=0.7, norm=norm)), y)
    torch.testing.assert_close(reached, worst)
    # A step of eps at least halves the angle to the worst point, and the loss sees its square.
    moved = pgd(model, x, y, eps=0.7, norm=norm, step_size=0.7, loss="logit_gap")
    torch.testing.assert_close(gap(model(moved), y), worst, rtol=1e-9, atol=1e-9)
    # The default's steps are finer, for surfaces that bend: 40 of them leave a few degrees,
    # and a start on the far side some more.
    reached = gap(model(pgd(model, x, y, eps=0.7, norm=norm, loss="logit_gap")), y)
    assert (worst - reached < 0.05 * (worst - gap(model(x), y))).all()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_far_side_of_the_ball_is_the_highest_point_of_a_bowl(norm):
    x = torch.randn(40, 5, generator=torch.Generator().manual_seed(2)).double()
    y = torch.zeros(40, dtype=torch.int64)
    bowl = lambda x: torch.stack([-x.square().sum(dim=1), 0 * x[:, 0]], dim=1)  # noqa: E731
    eps = 0.4 * x.norm(dim=1).min().item()
    radial = x / x.norm(dim=1, keepdim=True) if norm == "l2" else x.sign()
    highest = (x + eps * radial).square().sum(dim=1)
    assert torch.allclose(fgsm(bowl, x, y, eps=eps, norm=norm), x + eps * radial)
    moved = pgd(bowl, x, y, eps=eps, norm=norm, loss="logit_gap", step_size=eps)
    if norm == "l2":
        torch.testing.assert_close(moved, x + eps * radial, rtol=0, atol=1e-6)
    # A cube has other corners that are highest among their neighbours, where x_i is small.
    clear = x.abs() > eps
    torch.testing.assert_close(moved[clear], (x + eps * radial)[clear], rtol=0, atol=1e-6)
    assert (moved.square().sum(dim=1) <= highest * (1 + 1e-9)).all()


def test_one_step_goes_as_far_as_it_may_against_the_weights():
    model, x, y = linear(n_classes=2)
    w = model.weight.detach()
    normal = torch.where(y[:, None] == 0, w[1] - w[0], w[0] - w[1])
    torch.testing.assert_close(fgsm(model, x, y, eps=0.5), x + 0.5 * normal.sign())
    expected = x + 0.5 * normal / normal.norm(dim=1, keepdim=True)
    torch.testing.assert_close(fgsm(model, x, y, eps=0.5, norm="l2"), expected)


def test_a_step_and_a_start_of_ones_own():
    model, x, y = linear(n_classes=2)
    away = {"eps": 9, "steps": 3, "step_size": 0.2, "random_start": False}
    once = fgsm(model, x, y, eps=0.6, norm="l2")
    torch.testing.assert_close(pgd(model, x, y, **away), once)  # three steps of 0.2 in one line


# --- what every attack keeps ---------------------------------------------------------------------


@given(
    st.integers(0, 50),
    st.floats(0, 3),
    st.sampled_from(["l2", "linf"]),
    st.sampled_from([None, (0, 1)]),
    st.sampled_from(["cross_entropy", "logit_gap"]),
)
def test_the_answer_lies_in_the_ball_and_within_the_bounds(seed, eps, norm, bounds, loss):
    model = initialised(lambda: MLP((4, 8, 3)), seed)
    x = torch.rand(9, 2, 2, generator=torch.Generator().manual_seed(seed))
    y = torch.arange(9) % 3
    given = {"eps": eps, "norm": norm, "bounds": bounds, "loss": loss}
    for moved in (fgsm(model, x, y, **given), pgd(model, x, y, steps=4, seed=seed, **given)):
        assert inside(moved, x, eps, norm)
        if bounds:
            assert moved.min() >= 0 and moved.max() <= 1
        assert moved.shape == x.shape and not moved.requires_grad


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("eps", [8 / 255, 0.3, 1e-5])
def test_no_dtype_leaves_the_ball(dtype, norm, eps):
    # Of all sizes, so that x + eps is rounded by all that it can be, on both sides of 0.
    x = torch.randn(60, 20, generator=torch.Generator().manual_seed(0)).to(dtype)
    x = torch.cat([x, x * 1e-4, torch.zeros_like(x), -torch.full_like(x, eps)])
    y = torch.arange(len(x)) % 2
    model = lambda x: torch.stack([x.sum(dim=1), (x**2).sum(dim=1)], dim=1)  # noqa: E731
    for bounds in (None, (-9, 9)):
        given = {"eps": eps, "norm": norm, "bounds": bounds}
        for moved in (fgsm(model, x, y, **given), pgd(model, x, y, steps=5, **given)):
            assert moved.dtype == dtype and inside(moved, x, eps, norm)
            assert not torch.equal(moved, x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_cube_is_as_wide_as_the_dtype_allows(dtype):
    x = torch.randn(500, generator=torch.Generator().manual_seed(1)).to(dtype)[:, None]
    x = torch.cat([x, -x, x * 1e-3, 0 * x, torch.full_like(x, 0.3)])
    end = ball(x, 0.3, "linf")(x + 9)
    nextone = end.nextafter(torch.full_like(end, torch.inf))
    for value, beyond, at in zip(end.tolist(), nextone.tolist(), x.tolist(), strict=True):
        t = Fraction(at[0]) + Fraction(0.3)
        # In float32 and shorter the budget is the largest float32 below 0.3.
        assert Fraction(value[0]) <= t < Fraction(beyond[0]) + Fraction(3e-8)
    # The largest number there is has no room above.
    top = torch.full((1, 1), torch.finfo(dtype).max, dtype=dtype)
    assert torch.equal(ball(top, torch.finfo(dtype).max, "linf")(top), top)
    assert torch.equal(ball(x, 0, "linf")(x + 1), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_ball_is_no_smaller_than_rounding_asks(dtype):
    x = torch.rand(2000, 30, generator=torch.Generator().manual_seed(2), dtype=dtype)
    far = torch.randn(2000, 30, generator=torch.Generator().manual_seed(3), dtype=dtype)
    # At 0 the sum x + delta is exact, and only the length itself is rounded.
    x[1000:] = 0
    for eps in (0.01, 0.7):
        within = ball(x, eps, "l2")
        length = lengths(within(x + far).double() - x.double(), "l2")
        assert (length <= eps).all()
        assert (length >= eps * (1 - 500 * torch.finfo(dtype).eps)).all()
    # And what lies inside stays.
    near = x + far * 0.01
    torch.testing.assert_close(within(near), near)


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_no_budget_gives_the_clean_input(attack):
    model, x, y = curved()
    assert torch.equal(attack(model, x, y, eps=0), x)


def test_no_gradient_moves_nothing_and_gives_no_nan():
    x, y = torch.rand(5, 3), torch.zeros(5, dtype=torch.int64)
    flat = lambda x: 0 * x[:, :2]  # noqa: E731
    for norm in ("l2", "linf"):
        assert torch.equal(fgsm(flat, x, y, eps=1, norm=norm), x)
        assert torch.equal(pgd(flat, x, y, eps=1, norm=norm, steps=3), x)


def test_a_larger_budget_and_more_restarts_are_never_weaker():
    model, x, y = curved()
    shares = [accuracy(model, pgd(model, x, y, eps=eps, norm="linf"), y) for eps in (0, 0.1, 0.3)]
    assert shares[0] > shares[1] > shares[2]
    gap = logit_gap
    few, more = (
        gap(model(pgd(model, x, y, eps=0.1, steps=5, restarts=n, loss="logit_gap")), y)
        for n in (1, 4)
    )
    wrong = few > 0
    assert (more[wrong] > 0).all() and (more >= few - 1e-6)[~wrong].all() and (more > few).any()


def test_a_point_with_another_label_is_kept_before_one_with_a_higher_loss():
    # The loss points away from the wall at 0, the start beyond it does not matter to it.
    model = lambda x: torch.cat([x, -x], dim=1)  # noqa: E731
    x, y = torch.full((20, 1), 0.5), torch.zeros(20, dtype=torch.int64)
    climb = lambda logits, y: logits[:, 0]  # noqa: E731
    moved = pgd(model, x, y, eps=1, norm="linf", loss=climb, steps=3, seed=1)
    start = pgd(model, x, y, eps=1, norm="linf", loss=climb, steps=1, step_size=0, seed=1)
    assert torch.equal(moved < 0, start < 0) and (start < 0).any()


def test_the_better_of_all_iterates_is_kept():
    # The logit is the height of a bowl: steps of four budgets jump across, the start lay lower.
    bowl = lambda x: torch.stack([x.square().sum(dim=1), 0 * x[:, 0]], dim=1)  # noqa: E731
    x, y = torch.tensor([[0.9, 0.0]]).repeat(30, 1), torch.zeros(30, dtype=torch.int64)
    moved = pgd(bowl, x, y, eps=1.0, step_size=4.0, steps=7, loss="logit_gap")
    start = pgd(bowl, x, y, eps=1.0, step_size=0.0, steps=1, loss="logit_gap")
    assert (moved.norm(dim=1) <= start.norm(dim=1) + 1e-6).all()
    assert (start.norm(dim=1) < 0.9).any()


def test_starts_fill_the_ball_evenly():
    dice = torch.Generator().manual_seed(0)
    x = torch.zeros(4000, 3)
    points = in_unit_ball(x, "l2", dice)
    # P(r < t) = t^3: half of the points lie within 0.5^(1/3); 4,000 points tell it to 0.01.
    assert points.norm(dim=1).median() == pytest.approx(0.5 ** (1 / 3), abs=0.01)
    cube = in_unit_ball(x, "linf", dice)
    assert cube.abs().max() <= 1 and cube.abs().mean() == pytest.approx(0.5, abs=0.01)


def test_the_seed_decides_and_a_generator_goes_on():
    model, x, y = curved()
    run = lambda seed: pgd(model, x, y, eps=0.2, steps=1, seed=seed)  # noqa: E731
    assert torch.equal(run(3), run(3)) and not torch.equal(run(3), run(4))
    dice = torch.Generator().manual_seed(3)
    assert torch.equal(run(dice), run(3)) and not torch.equal(run(dice), run(3))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_answer_for_a_row_does_not_depend_on_the_rows_after_it(norm):
    model, x, y = curved()
    for dtype in (torch.float32, torch.float64):
        starts = (
            in_unit_ball(x[:n].to(dtype), norm, torch.Generator().manual_seed(0))
            for n in (7, 16, 60)
        )
        few, some, all_ = starts
        assert torch.equal(few, all_[:7]) and torch.equal(some, all_[:16])
    model, x = model.double(), x.double()
    given = {"eps": 0.1, "norm": norm, "restarts": 2, "steps": 10}
    # Matrix products of other sizes differ in the last digit of float64.
    torch.testing.assert_close(
        pgd(model, x[:7], y[:7], **given), pgd(model, x, y, **given)[:7], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_images_are_attacked_as_their_pixels(norm):
    model = initialised(lambda: MLP((64, 8, 3)), 0)
    x, y = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3
    given = {"eps": 0.3, "norm": norm, "bounds": (0, 1)}
    for attack in (fgsm, pgd):
        assert torch.equal(
            attack(model, x, y, **given).flatten(1), attack(model, x.flatten(1), y, **given)
        )


def test_images_and_channels_with_bounds_of_their_own():
    model = initialised(lambda: LeNet((1, 8, 8), 3), 0)
    x, y = torch.rand(6, 1, 8, 8), torch.arange(6) % 3
    moved = pgd(model, x, y, eps=0.5, steps=3, bounds=(0, 1))
    assert moved.shape == x.shape and moved.min() >= 0 and moved.max() <= 1
    low, high = torch.tensor([0.0, -1.0]).view(2, 1, 1), torch.tensor([1.0, 0.0]).view(2, 1, 1)
    x = torch.cat([x, x - 1], dim=1)
    wide = initialised(lambda: MLP((128, 8, 3)), 0)
    moved = pgd(wide, x, y, eps=5, norm="linf", steps=3, bounds=(low, high))
    assert moved[:, 0].min() >= 0 and moved[:, 1].max() <= 0 and moved[:, 1].min() < -0.99
    rows = (low.flatten(), high.flatten())
    assert torch.equal(moved, pgd(wide, x, y, eps=5, norm="linf", steps=3, bounds=rows))
    each = (low.expand_as(x), high.expand_as(x))
    assert torch.equal(moved, pgd(wide, x, y, eps=5, norm="linf", steps=3, bounds=each))


def test_chunks_change_nothing(monkeypatch):
    # In float64: a product rounds by the number of its rows, and forty steps multiply that.
    model, x, y = curved()
    model, x = model.double(), x.double()
    ways = (
        lambda: pgd(model, x, y, eps=0.1, restarts=2),
        lambda: fgsm(model, x, y, eps=0.1),
        # Pairs of samples from two chunks count too.
        lambda: fgsm(model, x, y, eps=0.1, norm="l2", penalty=isometry_penalty(1, "act2")),
    )
    whole = [way() for way in ways]
    monkeypatch.setattr(borrow, "BUDGET", 2 * 16 * 2 * 7)
    for way, expected in zip(ways, whole, strict=True):
        torch.testing.assert_close(way(), expected)


def test_the_model_comes_back_as_it_was():
    model, x, y = curved()
    model.train()
    model(x).sum().backward()
    before = [p.grad.clone() for p in model.parameters()]
    pgd(model, x, y, eps=0.1, steps=2)
    assert model.training and all(p.requires_grad for p in model.parameters())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), before, strict=True))


def test_training_against_the_attack_helps():
    x, y = (t[:400] for t in (datasets.load("digits").x_train, datasets.load("digits").y_train))
    kept = []
    for budget in (None, 1.0):
        model = initialised(lambda: MLP((64, 32, 10)), 0)
        dice = torch.Generator().manual_seed(0)

        def perturb(model, x, y, dice=dice, budget=budget):
            return pgd(model, x, y, eps=budget, steps=5, bounds=(0, 1), seed=dice)

        recipe = Recipe(epochs=30, batch_size=100, lr=3e-3)
        fit(model, x, y, recipe, perturb=perturb if budget else None)
        kept.append(accuracy(model, pgd(model, x, y, eps=0.7, bounds=(0, 1)), y))
    assert kept[1] > kept[0] + 0.1


# --- as in the published code of the isometric penalty -------------------------------------------


def published(model, x, y, penalty, *, step, steps, radius):
    """Its "PGD": the gradient of the full loss at x, over and over; with one step its FGSM."""
    z = x.clone().requires_grad_()
    loss = nn.functional.cross_entropy(model(z), y) + penalty(model, z, y)
    (gradient,) = torch.autograd.grad(loss, z)
    at = x
    for _ in range(steps):
        at = x + (at + step * gradient.sign() - x).clamp(-radius, radius)
        at = at.clamp(0, 1)
    return at


@pytest.mark.parametrize("eps", [0.01, 0.05, 0.2])
def test_the_published_attacks_are_one_step_of_the_full_loss(trained, eps):
    model, x, y = (trained[0], trained[1][:100], trained[2][:100])
    penalty = isometry_penalty(1, "act2")
    step = fgsm(model, x, y, eps=eps, bounds=(0, 1), penalty=penalty)
    by_hand = published(model, x, y, penalty, step=eps, steps=1, radius=eps)
    # A coordinate whose gradient is a rounding error may go either way.
    assert ((step - by_hand).abs() < 1e-6).float().mean() > 0.999
    frozen = fgsm(model, x, y, eps=min(10 * eps, 0.5), bounds=(0, 1), penalty=penalty)
    by_hand = published(model, x, y, penalty, step=eps, steps=10, radius=0.5)
    assert ((frozen - by_hand).abs() < 1e-6).float().mean() > 0.999
    # The penalty leads astray: another step than that of the answer, and a weaker one.
    plain = fgsm(model, x, y, eps=eps, bounds=(0, 1))
    assert not torch.equal(step, plain)
    assert accuracy(model, step, y) >= accuracy(model, plain, y)


# --- against others ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    data = datasets.load("digits")
    return reference(data), data.x_test, data.y_test


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("eps", [0.05, 0.1, 0.5, 1.0])
def test_foolbox_finds_as_many(trained, norm, eps):
    with warnings.catch_warnings():
        # It takes a blur from where scipy kept it in the past.
        warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
        foolbox = importlib.import_module("foolbox")
    model, x, y = trained
    theirs = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    attack = {
        "l2": foolbox.attacks.L2PGD, "linf": foolbox.attacks.LinfPGD,
    }[norm](steps=40, abs_stepsize=2.5 * eps / 40, random_start=True)  # fmt: skip
    torch.manual_seed(0)
    _, clipped, _ = attack(theirs, x, y, epsilons=eps)
    ours = pgd(model, x, y, eps=eps, norm=norm, bounds=(0, 1))
    assert abs(accuracy(model, ours, y) - accuracy(model, clipped, y)) <= 0.02
    one = {"l2": foolbox.attacks.FGM, "linf": foolbox.attacks.FGSM}[norm](random_start=False)
    _, clipped, _ = one(theirs, x, y, epsilons=eps)
    torch.testing.assert_close(fgsm(model, x, y, eps=eps, norm=norm, bounds=(0, 1)), clipped)


@pytest.fixture(scope="module")
def two(trained):
    """A network of ReLUs and one of tanh layers on digits, in float64."""
    data = datasets.load("digits")
    x, y = data.x_train[:400].flatten(1).double(), data.y_train[:400]
    stack = initialised(
        lambda: IsometricStack(64, [(60,) * 5], (10,), dtype=torch.float64), 0)  # fmt: skip
    fit(stack, x, y, Recipe(8, 3e-3, batch_size=100), penalty=isometry_penalty(1, "tap1"))
    nets = {"ReLU": copy.deepcopy(trained[0]).double(), "tanh": stack}
    return nets, data.x_test[:150].flatten(1).double(), data.y_test[:150]


@pytest.mark.parametrize("name", ["ReLU", "tanh"])
@pytest.mark.parametrize("steps", [5, 15])
def test_who_withstands_is_what_numpy_finds_image_by_image(two, name, steps):
    (nets, x, y), how = two, {"eps": 0.1, "steps": steps, "bounds": (0, 1)}
    left = withstood(nets[name], x, y, **how).numpy()
    assert np.array_equal(left, plain_withstood(Plain(nets[name]), x.numpy(), y.numpy(), **how))
    assert 0.05 < left.mean() < 0.95
    for loss in ("cross_entropy", "logit_gap"):
        found = pgd(nets[name], x, y, norm="linf", loss=loss, **how).numpy()
        known = plain_pgd(Plain(nets[name]), x.numpy(), y.numpy(), loss=loss, **how)
        # A coordinate whose gradient is a rounding error may go either way.
        assert (abs(found - known) < 1e-9).mean() > 0.999


def test_of_a_linear_network_the_exact_worst_case_in_the_clipped_cube_is_nearly_found():
    """f_j - f_y + sum of max(dw low, dw high) over the coordinates, dw = w_j - w_y."""
    data, eps = datasets.load("digits"), 0.1
    net = initialised(lambda: nn.Linear(64, 10).double(), 0)
    fit(net, data.x_train.flatten(1).double(), data.y_train, Recipe(12, 5e-3, batch_size=200))
    x, y = data.x_test.flatten(1).double(), data.y_test
    w, rows, labels = net.weight.detach().numpy(), x.numpy(), y.numpy()
    low, high = np.maximum(-eps, -rows), np.minimum(eps, 1 - rows)
    f = Plain(net)(rows)
    exact = np.array([
        all(f[i, j] - f[i, k] + np.maximum((w[j] - w[k]) * low[i], (w[j] - w[k]) * high[i]).sum()
            < 0 for j in range(10) if j != k)
        for i, k in enumerate(labels)
    ])  # fmt: skip
    for count in (15, 40):
        left = withstood(net, x, y, eps=eps, steps=count, bounds=(0, 1)).numpy()
        assert not (exact & ~left).any()
        assert left.mean() <= exact.mean() + 0.01
    assert 0.05 < exact.mean() < 0.95


def test_the_prologues_attack_by_hand_is_this_one():
    cells = json.loads((ROOT / "book/prologue.ipynb").read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    (source,) = (text for text in sources if "def pgd(net, x, y, eps, dice)" in text)
    by_hand = {"torch": torch, "cross_entropy": nn.functional.cross_entropy}
    exec(source, by_hand)
    model, x, y = curved()
    for eps in (0.05, 0.2):
        one_step = x + eps * by_hand["uphill"](model, x, y)
        torch.testing.assert_close(fgsm(model, x, y, eps=eps), one_step)
        (dice,) = steps._generators(0, 1)
        last = by_hand["pgd"](model, x, y, eps, dice)
        best = pgd(model, x, y, eps=eps, norm="linf", step_size=eps / 8)
        # Theirs is the last of the points of which ours is the best.
        fallen, ours = (model(z).argmax(dim=1) != y for z in (last, best))
        assert (ours | ~fallen).all() and accuracy(model, best, y) <= accuracy(model, last, y)


def test_the_logit_gap_sees_where_cross_entropy_is_flat():
    model, x, y = linear()
    with torch.no_grad():
        model.weight *= 500
        model.bias *= 500
    model, x = model.float(), x.float()
    kept = {loss: accuracy(model, pgd(model, x, y, eps=0.5, random_start=False, loss=loss), y)
            for loss in steps.LOSSES}  # fmt: skip
    assert kept["logit_gap"] < kept["cross_entropy"]


# --- the sentences -------------------------------------------------------------------------------


def attempt(x=None, y=None, model=None, **given):
    x = torch.rand(4, 3) if x is None else x
    y = torch.zeros(len(x), dtype=torch.int64) if y is None else y
    return pgd(model or MLP((3, 4, 2)), x, y, **({"eps": 0.1} | given))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"eps": -1}, "eps = -1: a budget is a length, so pass a number, 0 or more."),
        ({"eps": float("inf")}, "eps = inf: a budget"),
        ({"eps": float("nan")}, "eps = nan: a budget"),
        ({"norm": "l1"}, "There is no norm 'l1' here: choose 'l2' or 'linf'."),
        ({"steps": 0}, "steps = 0: it counts, so pass a whole number, 1 or more."),
        ({"steps": 2.5}, "steps = 2.5: it counts"),
        ({"restarts": 0}, "restarts = 0: it counts"),
        ({"step_size": -0.1}, "step_size = -0.1: a step has a length, so pass a positive number"),
        ({"loss": "hinge"}, "There is no loss 'hinge' here: choose one of cross_entropy, logit"),
        ({"loss": lambda f, y: f.sum()}, r"The loss has shape \(\) for 4 samples"),
        ({"y": torch.tensor([0, 1])}, r"x has shape \(4, 3\) and y \(2,\): an attack"),
        ({"x": torch.rand(0, 3)}, r"x has shape \(0, 3\) and y \(0,\)"),
        ({"y": torch.tensor([0, 1, 2, 1])}, "y holds labels from 0 to 2 and the model gives 2"),
        ({"x": torch.full((2, 3), 1.5), "bounds": (0, 1)}, "6 of 6 values of x lie outside the"),
        ({"bounds": (0, torch.ones(4))}, r"Bounds of shape \(\) and \(4,\) do not fit x of shape"),
        ({"y": torch.zeros(4, 1).long()}, r"x has shape \(4, 3\) and y \(4, 1\)"),
        ({"model": lambda x: x[:, 0]}, r"The logits have shape \(4,\)"),
        ({"model": lambda x: x[:, :1]}, r"The logits have shape \(4, 1\)"),
        ({"model": lambda x: x[:, :, None]}, r"The logits have shape \(4, 3, 1\)"),
        ({"model": lambda x: x / 0 * 0}, "The model answers NaN for 4 of 4 samples"),
        ({"model": lambda x: torch.rand(len(x), 2)}, "two different answers to the same input"),
    ],
)
def test_the_sentences(as_a_user, given, sentence):
    with pytest.raises(ValueError, match=f"^.*{sentence}"):
        attempt(**given)


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_whole_numbers_are_refused_by_name(as_a_user, attack):
    model, y = MLP((3, 2)), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(TypeError, match=r"x is torch.uint8: .* pass x.float\(\)"):
        attack(model, torch.zeros(4, 3, dtype=torch.uint8), y, eps=0.1)
    for x, labels in ((torch.rand(4, 3).numpy(), y), (torch.rand(4, 3), [0, 0, 0, 0])):
        with pytest.raises(TypeError, match="[xy] is a (ndarray|list): pass a tensor"):
            attack(model, x, labels, eps=0.1)
    with pytest.raises(TypeError, match=r"y is torch.int32: .* pass y.long\(\)"):
        attack(model, torch.rand(4, 3), y.int(), eps=0.1)


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_nan_behind_the_first_samples_is_noticed(attack):
    x = torch.rand(20, 2)
    x[15] = torch.nan
    with pytest.raises(ValueError, match="NaN for 1 of 20 samples"):
        attack(lambda x: x, x, torch.zeros(20, dtype=torch.int64), eps=0.1)


def test_nan_met_on_the_way_is_noticed():
    # The root is a number at x and none beyond 1: what is no answer must not pass for a success.
    model = lambda x: torch.cat([0 * x, (1 - x).sqrt() - 5], dim=1)  # noqa: E731
    x, y = torch.linspace(0, 0.9, 10)[:, None], torch.zeros(10, dtype=torch.int64)
    assert pgd(model, x, y, eps=0.05, norm="linf").isfinite().all()
    down = lambda logits, y: -logits[:, 1]  # noqa: E731
    with pytest.raises(ValueError, match="NaN for 1 of 10 samples, at x or within eps of it"):
        pgd(model, x, y, eps=0.15, norm="linf", loss=down, random_start=False)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_gradient_of_nan_is_noticed(norm):
    length = lambda x: torch.stack([x.norm(dim=1), (x * 0).sum(1).sqrt()], dim=1)  # noqa: E731
    with pytest.raises(ValueError, match="The loss or its gradient is NaN for 3 of 3 samples"):
        fgsm(length, torch.rand(3, 2), torch.zeros(3, dtype=torch.int64), eps=0.1, norm=norm)


def test_one_step_asks_for_a_fixed_map_too():
    with pytest.raises(ValueError, match="two different answers"):
        fgsm(lambda x: torch.rand(len(x), 2), torch.rand(4, 3), torch.zeros(4).long(), eps=0.1)


@pytest.mark.gpu
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_gpu_finds_as_much(norm):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here: the tests on device meta stand in for it")
    model, x, y = curved()
    here = accuracy(model, pgd(model, x, y, eps=0.1, norm=norm), y)
    model, x, y = model.cuda(), x.cuda(), y.cuda()
    there = accuracy(model, pgd(model, x, y, eps=0.1, norm=norm), y)
    assert abs(here - there) <= 0.02
