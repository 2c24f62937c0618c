"""Stacked levels: what is read where, what a step moves, which hierarchies are refused."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from companion.datasets import torus
from companion.isometry import (
    IsometricStack,
    fit_stack,
    isometry_loss,
    isometry_penalty,
    scale_loss,
    stretch,
)
from companion.models import representations
from companion.training import Recipe, accuracy, fit, initialised, loop

BLOCKS = [(6, 6), (6,), (6, 6)]


def build(seed=0, **options):
    options = {"dtype": torch.float64, **options}
    return initialised(lambda: IsometricStack(3, BLOCKS, (2, 4, 8), **options), seed)


def data(n=32):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fine = torch.arange(n) % 8
    return x + fine[:, None] % 3, torch.stack([fine // 4, fine // 2, fine], dim=1)


def state(stack):
    return {name: value.clone() for name, value in stack.state_dict().items()}


def moved(before, stack):
    """The parts of the stack whose weights are not what they were."""
    return {
        name.partition(".")[0]
        for name, value in stack.state_dict().items()
        if not torch.equal(before[name], value)
    }


SLOW = {
    "adam": partial(torch.optim.Adam, fused=False),
    "sgd": partial(torch.optim.SGD, momentum=0.9, fused=False),
}


def slow_fit(stack, x, y, *, epochs, batch_size, lr, seed, betas, scales, frozen, optimizer):
    """Section 3.2 of the fact sheet, written down: `requires_grad` set and taken back."""
    optimizer = SLOW[optimizer](stack.parameters(), lr)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for index in torch.randperm(len(x), generator=generator).split(batch_size):
            for b, (beta, scale) in enumerate(zip(betas, scales, strict=True)):
                optimizer.zero_grad()
                z = stack.tap(b, x[index])
                logits = stack.read(b, z)
                labels = y[index, b]
                loss = functional.cross_entropy(logits, labels)
                same = (labels[:, None] == labels).fill_diagonal_(False)
                i, j = same.nonzero(as_tuple=True)
                error = scale * (z[i] - z[j]).norm(dim=1) - (x[index][i] - x[index][j]).norm(dim=1)
                loss = loss + beta * error.square().sum() / len(index) ** 2
                loss.backward()
                for below in range(b) if frozen else ():
                    for parameter in getattr(stack, f"block{below + 1}").parameters():
                        parameter.grad = None
                optimizer.step()


def test_taps_have_stable_names_with_and_without_a_skip():
    x, _ = data()
    for options in ({}, {"skip": True}, {"shared": False}, {"skip": True, "shared": False}):
        stack = build(**options)
        seen = representations(stack, x)
        for level in range(3):
            torch.testing.assert_close(seen[f"tap{level + 1}"], stack.tap(level, x).detach())
        assert [name for name in seen if name.startswith("block1")] == [
            "block1.linear1", "block1.act1", "block1.linear2", "block1.act2", "block1",
        ]  # fmt: skip
    outside = [name for name in representations(build(), x) if "." not in name]
    assert outside == ["block1", "tap1", "block2", "tap2", "block3", "tap3", "readout"]


def test_a_level_is_the_network_up_to_its_tap():
    x, _ = data()
    for stack in (build(), build(shared=False), build(skip=True)):
        z = stack.block1(x) + (stack.skip1(x) if stack.skip else 0)
        for level, readout in ((0, "readout1"), (1, "readout2")):
            expected = getattr(stack, "readout" if stack.shared else readout)(z)
            torch.testing.assert_close(stack.level(level)(x), expected[:, : (2, 4)[level]])
            z = stack.block2(z) + (z if stack.skip else 0)
        torch.testing.assert_close(stack.level(-1)(x), stack(x))
        assert [stack.level(level)(x).shape[1] for level in range(3)] == [2, 4, 8]


def test_images_are_flattened():
    stack = initialised(lambda: IsometricStack(64, [(9,), (9,)], (2, 10), skip=True), 0)
    x = torch.randn(5, 1, 8, 8)
    torch.testing.assert_close(stack(x), stack(x.flatten(1)))


def test_the_matrices_between_hidden_layers_start_orthogonal():
    stack = build(skip=True)
    for layer in (stack.block1.linear2, stack.block2.linear1, stack.block3.linear2):
        torch.testing.assert_close(layer.weight @ layer.weight.T, torch.eye(6).double())
    # From three values to six and nothing lost: distances are carried as they are.
    carried = stack.skip1.weight
    torch.testing.assert_close(carried.T @ carried, torch.eye(3).double())
    assert isinstance(stack.skip2, nn.Identity)
    first = stack.block1.linear1.weight
    assert not torch.allclose(first.T @ first, torch.eye(3).double(), atol=0.1)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("optimizer", SLOW)
def test_it_is_the_plain_loop(shared, frozen, skip, optimizer):
    x, y = data()
    one, other = (build(shared=shared, skip=skip) for _ in range(2))
    settings = dict(epochs=3, batch_size=12, lr=0.01, optimizer=optimizer)
    slow_fit(one, x, y, seed=4, betas=(1, 0, 3), scales=(1, 1, 0.5), frozen=frozen, **settings)
    losses = [partial(isometry_loss, scale=scale) for scale in (1, 1, 0.5)]
    fit_stack(other, x, y, Recipe(**settings), seed=4, beta=(1, 0, 3), loss=losses, frozen=frozen)
    for (name, a), b in zip(one.named_parameters(), other.parameters(), strict=True):
        # Twenty-seven float64 steps in fused and unfused form.
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9, msg=name)


def test_one_level_is_the_isometric_penalty_of_a_fit():
    x, y = data()
    one, other = (
        initialised(lambda: IsometricStack(3, [(6, 6)], (8,), dtype=torch.float64), 0)
        for _ in range(2)
    )
    recipe = Recipe(epochs=3, batch_size=12, lr=0.01, schedule="cosine", clip_norm=0.5)
    loss = partial(isometry_loss, scale=3, reduction="pairs")
    a = fit_stack(one, x, y[:, 2:], recipe, beta=2, loss=loss, seed=4)
    penalty = isometry_penalty(2, "tap1", scale=3, reduction="pairs")
    b = fit(other, x, y[:, 2], recipe, penalty=penalty, seed=4)
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(a.loss[:, 0], b.loss)
    torch.testing.assert_close(a.cross_entropy[:, 0], b.cross_entropy)
    torch.testing.assert_close(a.accuracy[:, 0].double(), b.accuracy.double())
    assert a.steps_per_epoch == b.steps_per_epoch == 3


# ---- frozen means untouched ------------------------------------------------------------------


def test_frozen_blocks_have_no_gradient_and_get_no_step_not_even_momentum(monkeypatch):
    """In one run every block gets momentum in its own turn; no later turn may spend it."""
    x, y = data()
    turns = []
    plain = loop.optimizer_for

    def watched(parameters, *arguments, **options):
        optimizer = plain(parameters, *arguments, **options)
        step = optimizer.step

        def noted():
            before = state(stack)
            momentum = {
                name.partition(".")[0]
                for name, parameter in stack.named_parameters()
                if optimizer.state.get(parameter, {}).get("exp_avg", torch.zeros(1)).any()
            }
            graded = {
                name.partition(".")[0]
                for name, parameter in stack.named_parameters()
                if parameter.grad is not None
            }
            step()
            turns.append((graded, momentum, moved(before, stack)))

        optimizer.step = noted
        return optimizer

    monkeypatch.setattr(loop, "optimizer_for", watched)
    for shared in (True, False):
        turns.clear()
        stack = build(shared=shared)
        fit_stack(stack, x, y, Recipe(epochs=3, lr=0.1), beta=1)
        assert len(turns) == 9
        for turn, (graded, momentum, stepped) in enumerate(turns):
            level = turn % 3 + 1
            own = {f"block{level}", "readout" if shared else f"readout{level}"}
            assert graded == stepped == own
            if turn >= 3:
                # Without this the test could not see momentum being spent.
                assert {"block1", "block2", "block3"} <= momentum
    turns.clear()
    stack = build()
    fit_stack(stack, x, y, Recipe(epochs=1, lr=0.1), frozen=False)
    assert [stepped for _, _, stepped in turns] == [
        {"block1", "readout"},
        {"block1", "block2", "readout"},
        {"block1", "block2", "block3", "readout"},
    ]


def test_adam_would_spend_momentum_on_gradients_of_zero():
    # Why frozen must mean no gradient at all.
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.Adam([weight], lr=0.1)
    weight.grad = torch.ones(1)
    optimizer.step()
    before, weight.grad = weight.item(), torch.zeros(1)
    optimizer.step()
    assert before - weight.item() > 0.05


def test_a_curriculum_trains_one_level_and_leaves_the_others():
    x, y = data()
    stack = build(shared=False)
    first = fit_stack(stack, x, y, Recipe(epochs=4, lr=0.05), levels=[0])
    assert first.levels == (0,) and first.loss.shape == (4, 1)
    before = state(stack)
    second = fit_stack(stack, x, y, Recipe(epochs=4, lr=0.05), levels=[2, 1])
    assert second.levels == (1, 2) and second.accuracy.shape == (4, 2)
    assert moved(before, stack) == {"block2", "block3", "readout2", "readout3"}


def test_a_fixed_skip_is_never_trained():
    x, y = data()
    stack = build(skip=True)
    before = state(stack)
    fit_stack(stack, x, y, Recipe(epochs=2, lr=0.1), frozen=False)
    assert moved(before, stack) == {"block1", "block2", "block3", "readout"}


def test_gradients_and_stretch_pass_through_all_blocks_after_a_frozen_fit():
    x, y = data()
    stack = build()
    fit_stack(stack, x, y, Recipe(epochs=2, lr=0.01))
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(stack.level(1)(x).sum(), x)
    assert gradient.abs().sum() > 0
    assert (stretch(stack, x, torch.ones_like(x), layer="tap3") > 0).all()


# ---- what it is for --------------------------------------------------------------------------


def test_a_frozen_front_end_that_kept_distances_can_be_cut_again():
    toy = torus(side=8, bands=4, radii=(0.67, 0.33), test_side=8)
    end = {}
    for beta in (0, 10):
        stack = initialised(lambda: IsometricStack(3, [(12,) * 3, (12,) * 3], (2, 4)), 0)
        fit_stack(stack, toy.x_train, toy.hierarchy, Recipe(epochs=400, lr=4e-3), beta=beta)
        end[beta] = accuracy(stack.level(1), toy.x_train, toy.hierarchy[:, 1])
        assert accuracy(stack.level(0), toy.x_train, toy.hierarchy[:, 0]) == 1
    assert end[10] > 0.95 and end[10] - end[0] > 0.1


# ---- history, seeds, devices -----------------------------------------------------------------


def test_the_history_is_what_each_level_was_trained_on():
    x, y = data()
    stack = build(shared=False)
    expected = [
        functional.cross_entropy(stack.level(b)(x), y[:, b])
        + 2 * isometry_loss(x, stack.tap(b, x), y[:, b])
        for b in range(3)
    ]
    right = [accuracy(stack.level(b), x, y[:, b]) for b in range(3)]
    history = fit_stack(stack, x, y, Recipe(epochs=2, lr=1e-13), beta=2)
    torch.testing.assert_close(history.loss[1], torch.stack(expected).detach(), rtol=1e-8, atol=0)
    plain = fit_stack(build(shared=False), x, y, Recipe(epochs=2, lr=1e-13))
    torch.testing.assert_close(history.cross_entropy, plain.loss, rtol=1e-8, atol=0)
    assert history.accuracy[0].tolist() == pytest.approx(right)
    assert repr(history).startswith(
        "StackHistory: 2 epochs, levels (0, 1, 2), at the end accuracy"
    )
    assert not stack.training
    # Batches of 20 and 12 of 32 samples: a mean over samples, not over batches.
    cut = fit_stack(build(shared=False), x, y, Recipe(epochs=1, batch_size=20, lr=1e-13))
    whole = fit_stack(build(shared=False), x, y, Recipe(epochs=1, lr=1e-13))
    torch.testing.assert_close(cut.loss, whole.loss, rtol=1e-8, atol=0)
    assert (cut.steps_per_epoch, whole.steps_per_epoch) == (2, 1)


def test_no_epoch_leaves_the_stack_as_it_was():
    x, y = data()
    stack = build()
    before = state(stack)
    history = fit_stack(stack, x, y, Recipe(epochs=0, lr=0.1))
    assert history.loss.shape == (0, 3) and not moved(before, stack)
    assert repr(history) == "StackHistory: 0 epochs, levels (0, 1, 2)"


def test_the_seed_draws_the_batches_and_nothing_global():
    x, y = data()
    before = torch.random.get_rng_state()
    runs = []
    for seed in (0, 0, 1):
        runs.append(build())
        fit_stack(runs[-1], x, y, Recipe(epochs=2, batch_size=10, lr=0.01), seed=seed)
    assert not moved(state(runs[0]), runs[1])
    assert moved(state(runs[0]), runs[2])
    assert torch.equal(before, torch.random.get_rng_state())


def test_another_loss_is_an_argument():
    x, y = data()
    one, other = build(), build()
    a = fit_stack(one, x, y, Recipe(epochs=1, lr=1e-12), beta=5, loss=scale_loss)
    b = fit_stack(other, x, y, Recipe(epochs=1, lr=1e-12), beta=5)
    assert (a.loss < b.loss).all()


def test_nothing_leaves_the_device():
    x, y = data()
    for frozen in (True, False):
        stack = build(skip=True).to("meta")
        recipe = Recipe(epochs=2, batch_size=20, lr=0.1)
        history = fit_stack(stack, x.to("meta"), y.to("meta"), recipe, beta=1, frozen=frozen)
        assert history.loss.is_meta and history.accuracy.is_meta


@pytest.mark.gpu
def test_the_gpu_gives_the_same():
    x, y = data()
    here, there = build(), build().cuda()
    recipe = Recipe(epochs=2, batch_size=12, lr=0.01)
    fit_stack(here, x, y, recipe, beta=1)
    fit_stack(there, x.cuda(), y.cuda(), recipe, beta=1)
    for one, other in zip(here.parameters(), there.parameters(), strict=True):
        # Eighteen float64 steps, sums in another order.
        torch.testing.assert_close(one, other.cpu(), rtol=1e-6, atol=1e-7)


# ---- sentences -------------------------------------------------------------------------------


def test_a_hierarchy_that_is_not_nested_names_the_label_and_the_two_that_hold_it():
    digit = torch.arange(10)
    y = torch.stack([(digit >= 5).long(), digit // 2, digit], dim=1)
    stack = IsometricStack(3, BLOCKS, (2, 5, 10))
    sentence = (
        "The levels are not nested: label 2 of level 1 lies in the labels 0 and 1 of level 0, "
    )
    with pytest.raises(ValueError, match=sentence):
        fit_stack(stack, torch.zeros(10, 3), y, Recipe(epochs=1, lr=0.1))
    y[:, 0] = (digit >= 4).long()
    fit_stack(stack, torch.zeros(10, 3), y, Recipe(epochs=1, lr=0.1))
    y[9, 1] = 0
    with pytest.raises(
        ValueError, match="label 0 of level 1 lies in the labels 0 and 1 of level 0"
    ):
        fit_stack(stack, torch.zeros(10, 3), y, Recipe(epochs=1, lr=0.1))


@pytest.mark.parametrize(
    ("blocks", "classes", "options", "sentence"),
    [
        (
            [(4,), ()],
            (2, 4),
            {},
            "Level 1 is empty, with 0 layers and 4 labels: .* leave the level",
        ),
        ([(4,), (4,)], (1, 4), {}, "Level 0 is empty, with 1 layers and 1 labels: a level needs"),
        ([(4,)], (2, 4), {}, "There are 1 blocks and 2 numbers of classes: each level needs one"),
        ([], (), {}, "There are 0 blocks and 0 numbers of classes: .* there must be a level"),
        ([(4,), (5,)], (2, 4), {}, r"end with the widths \[4, 5\]: .* or pass shared=False"),
        ([(4,), (4,)], (4, 2), {}, r"classes = \(4, 2\): a shared readout .* sort them coarse"),
        ([(4, 0)], (2,), {}, r"sizes = \(3, 4, 0, 0\) describes no network"),
        ([(4,)], (2,), {"activation": "step"}, "There is no activation 'step': choose one of"),
    ],
)
def test_the_sentences_for_a_stack(blocks, classes, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        IsometricStack(3, blocks, classes, **options)


def test_without_sharing_the_widths_may_differ():
    stack = IsometricStack(3, [(4,), (5,)], (4, 2), shared=False, skip=True)
    assert stack(torch.zeros(2, 3)).shape == (2, 2)
    assert stack.level(0)(torch.zeros(2, 3)).shape == (2, 4)


@pytest.mark.parametrize(
    ("changed", "kind", "sentence"),
    [
        (dict(y=torch.zeros(32, 2).long()), ValueError, r"y has shape \(32, 2\) and .* 3 levels"),
        (dict(y=torch.zeros(31, 3).long()), ValueError, "x has 32 samples and y has 31 labels"),
        (dict(y=torch.full((32, 3), 2)), ValueError, "Level 0 of y holds labels from 2 to 2: "),
        (dict(y=torch.full((32, 3), -1)), ValueError, "Level 0 of y holds labels from -1 to -1"),
        (dict(beta=-1), ValueError, "beta = -1: .* not negative; choose 0 or more"),
        (dict(beta=(0, 0, -2)), ValueError, "beta = -2: "),
        (dict(beta=(1, 1)), ValueError, "beta holds 2 values and the stack has 3 levels"),
        (dict(loss=[isometry_loss] * 2), ValueError, "loss holds 2 values and the stack has 3"),
        (dict(levels=[3]), ValueError, r"levels = \[3\]: the stack has the levels 0 to 2; name"),
        (dict(levels=[]), ValueError, r"levels = \[\]: .* name at least one of these"),
        (
            dict(beta=1, loss=partial(isometry_loss, reduction="sum")),
            ValueError,
            "There is no reduction 'sum'",
        ),
        (dict(recipe=Recipe(2, 1e300)), ValueError, "The loss is NaN or infinite from epoch 1 on"),
    ],
)  # fmt: skip
def test_the_sentences_for_a_fit(changed, kind, sentence):
    x, y = data()
    settings = {"y": y, "recipe": Recipe(2, 0.1), **changed}
    before = state(stack := build())
    with pytest.raises(kind, match=sentence):
        fit_stack(stack, x, settings.pop("y"), settings.pop("recipe"), **settings)
    assert "The loss is NaN" in sentence or not moved(before, stack)


def test_the_sentence_for_labels_that_count_nothing(as_a_user):
    x, y = data()
    with pytest.raises(TypeError, match=r"y is torch.int32: labels must be int64"):
        fit_stack(build(), x, y.int(), Recipe(epochs=1, lr=0.1))
    with pytest.raises(
        ValueError, match=r"y has shape \(32,\) and the stack 3 levels: one column"
    ):
        fit_stack(build(), x, y[:, 2], Recipe(epochs=1, lr=0.1))


def test_nan_in_a_representation_is_noticed():
    x, y = data()
    x[3, 0] = torch.nan
    with pytest.raises(ValueError, match="x holds values that are NaN"):
        fit_stack(build(), x, y, Recipe(epochs=1, lr=0.1), beta=1)
    with pytest.raises(ValueError, match="The loss is NaN or infinite from epoch 1 on"):
        fit_stack(build(), x, y, Recipe(epochs=1, lr=0.1))
