"""Many stacks at once are the same stacks one after another; what they keep, and tubes."""

import math

import pytest
import torch
from torch import nn

from companion.datasets import torus
from companion.isometry import (
    IsometricStack,
    around_tube,
    fit_stack,
    fit_stacks,
    isometry_loss,
    kept_at_taps,
    level_accuracies,
    own_stretch,
    scale_loss,
)
from companion.training import Recipe, initialised

SEEDS = (3, 1)


def build(**form):
    form = {"dtype": torch.float64, **form}
    return IsometricStack(3, [(6, 6), (6,), (6, 6)], (2, 4, 8), **form)


def drawn(**form):
    return {seed: initialised(lambda: build(**form), seed) for seed in SEEDS}


def data(dtype=torch.float64):
    ring = torus(side=8, bands=8, noise=1e-3, dtype=dtype)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    return ring.x_train[order], ring.hierarchy[order]


def other_loss(x, z, y):
    return 2 * isometry_loss(x, z, y)


@pytest.mark.parametrize("form", [{}, {"shared": False}, {"skip": True}], ids=str)
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("loss", [isometry_loss, scale_loss, other_loss])
@pytest.mark.parametrize("batch_size", [None, 20])
def test_equal_to_one_after_another(form, frozen, loss, batch_size):
    x, y = data()
    how = {"beta": (3, 0, 2), "loss": loss, "frozen": frozen}
    start = drawn(**form)
    many = fit_stacks(start, x, y, Recipe(5, 0.01, batch_size=batch_size), lengths=[2], **how)
    assert list(many) == [2, 5]
    for length, stacks in many.items():
        for seed, stack in zip(SEEDS, stacks, strict=True):
            one = initialised(lambda: build(**form), seed)
            recipe = Recipe(length, 0.01, batch_size=batch_size)
            fit_stack(one, x, y, recipe, seed=seed, **how)
            assert not stack.training
            torch.testing.assert_close(stack.state_dict(), one.state_dict(), rtol=0, atol=1e-9)
    for seed, stack in start.items():
        untouched = initialised(lambda: build(**form), seed).state_dict()
        assert all(map(torch.equal, stack.state_dict().values(), untouched.values()))


@pytest.mark.parametrize(
    "options", [dict(clip_norm=0.05), dict(weight_decay=0.1, schedule="cosine")], ids=str
)
def test_every_option_stacks(options):
    x, y = data()
    recipe = Recipe(4, 0.05, **options)
    stacks = fit_stacks(drawn(), x, y, recipe, beta=1, frozen=False)[4]
    for seed, stack in zip(SEEDS, stacks, strict=True):
        one = initialised(build, seed)
        fit_stack(one, x, y, recipe, seed=seed, beta=1, frozen=False)
        torch.testing.assert_close(stack.state_dict(), one.state_dict(), rtol=0, atol=1e-9)


def test_a_block_that_is_frozen_does_not_move():
    x, y = data()
    for levels in ([1], [2]):
        made = fit_stacks(drawn(), x, y, Recipe(6, 0.05), levels=levels, lengths=[0])
        for before, after in zip(made[0], made[6], strict=True):
            for b in range(3):
                pairs = zip(
                    getattr(before, f"block{b + 1}").parameters(),
                    getattr(after, f"block{b + 1}").parameters(),
                    strict=True,
                )
                assert all(torch.equal(*pair) for pair in pairs) == (b not in levels)


def test_the_first_block_learns_alone_whatever_is_trained_above_it():
    x, y = data()
    separate, recipe = drawn(shared=False), Recipe(8, 0.05)
    alone, all_three = (
        fit_stacks(separate, x, y, recipe, beta=2, levels=levels) for levels in ([0], None)
    )
    moved = fit_stacks(separate, x, y, recipe, beta=2, frozen=False)
    for one, other, free in zip(alone[8], all_three[8], moved[8], strict=True):
        torch.testing.assert_close(one.block1.state_dict(), other.block1.state_dict())
        assert not torch.allclose(one.block1.linear1.weight, free.block1.linear1.weight, atol=1e-3)


def test_length_zero_is_the_untrained_stack():
    x, y = data()
    start = fit_stacks(drawn(), x, y, Recipe(1, 0.05), lengths=[0, 1])[0]
    for seed, stack in zip(SEEDS, start, strict=True):
        torch.testing.assert_close(stack.state_dict(), initialised(build, seed).state_dict())


@pytest.mark.parametrize(
    "how, words",
    [
        (dict(stacks={}), "one stack for each seed"),
        (dict(stacks={0: build(), 1: build(skip=True)}), "not of one form"),
        (dict(lengths=[3]), "keep the stacks after 0 to that many"),
        (dict(lengths=[-1]), "keep the stacks after 0 to that many"),
        (dict(beta=-1), "beta"),
        (dict(levels=[5]), "name at least one"),
    ],
)
def test_what_cannot_be_trained_is_refused(how, words):
    x, y = data()
    with pytest.raises(ValueError, match=words):
        fit_stacks(**{"stacks": drawn(), "x": x, "y": y, "recipe": Recipe(2, 0.05), **how})


def test_labels_that_are_not_nested_are_refused():
    x, y = data()
    with pytest.raises(ValueError, match="not nested"):
        fit_stacks(drawn(), x, y.clone().index_fill_(0, torch.arange(3), 1), Recipe(1, 0.1))


def test_accuracy_counts_at_each_level():
    x, y = data()
    stacks = fit_stacks(drawn(), x, y, Recipe(60, 0.02))[60]
    found = level_accuracies(stacks, x, y)
    for k, stack in enumerate(stacks):
        for b in range(3):
            with torch.no_grad():
                right = stack.level(b)(x).argmax(dim=1) == y[:, b]
            assert float(found[k, b]) == pytest.approx(float(right.double().mean()), abs=1e-6)
    assert found[:, 0].min() > found[:, 2].max()


def test_what_a_tap_keeps_is_counted_within_the_classes_of_its_own_level():
    x, y = data()
    stack = initialised(build, 0)
    found = kept_at_taps(stack, x, y)
    for b in range(3):
        with torch.no_grad():
            z = stack.tap(b, x)
        pairs = [(i, j) for i in range(64) for j in range(i) if y[i, b] == y[j, b]]
        d, e = (
            torch.tensor([math.dist(v[i].tolist(), v[j].tolist()) for i, j in pairs]).double()
            for v in (x, z)
        )
        d, e = d - d.mean(), e - e.mean()
        r = float((d * e).sum() / (d.square().sum() * e.square().sum()).sqrt())
        assert float(found[b]) == pytest.approx(r, abs=1e-6)


def test_the_direction_round_the_tube_is_the_derivative_of_the_torus():
    t = torch.linspace(0.1, 6.2, 12).double()
    p = torch.linspace(0.3, 6.0, 12).double()

    def surface(t):
        ring = 2 + 0.7 * t.cos()
        return torch.stack([ring * p.cos(), ring * p.sin(), 0.7 * t.sin()], dim=1)

    exact = (surface(t + 1e-6) - surface(t - 1e-6)) / (2e-6 * 0.7)
    torch.testing.assert_close(around_tube(surface(t), radius=2), exact, rtol=0, atol=1e-8)
    with pytest.raises(ValueError, match="three coordinates"):
        around_tube(torch.zeros(4, 2), radius=2)


def test_the_own_unit_takes_out_the_size_and_leaves_the_directions():
    x, y = data()
    v = around_tube(x, radius=1.0)
    small, large = (nn.Sequential(nn.Linear(3, 4, bias=False)).double() for _ in range(2))
    large[0].weight.data = 50 * small[0].weight.data
    one, other = (own_stretch(net, x, y[:, 0], v, layer="0") for net in (small, large))
    torch.testing.assert_close(one, other)
    weight = small[0].weight.detach()
    same = (y[:, None, 0] == y[:, 0]).triu(diagonal=1).nonzero(as_tuple=True)
    apart = x[same[0]] - x[same[1]]
    unit = ((apart @ weight.T).norm(dim=1) / apart.norm(dim=1)).mean()
    torch.testing.assert_close(one, (v @ weight.T).norm(dim=1) / unit)
