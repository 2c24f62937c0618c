"""The cells of the chapter on stacks that measure, and its headline numbers, computed otherwise.

What stands in a cell is no function of a room, so it is cut out here and tried where it is known.
"""

import functools
import itertools
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional

from cells import claimed, cut, same_claims
from companion import datasets, distances, isometry, run, training

CUT = ["new_stack", "one_round", "on_torus", "level", "gains", "interaction", "plane", "kind",
       "on_images", "digit_gain"]  # fmt: skip


@pytest.fixture(scope="module")
def chapter():
    """The functions of the chapter that measure, on a small torus and few digits."""
    ring = datasets.torus(side=8, bands=8, radii=(0.67, 0.33), noise=1e-3, test_side=16)
    digits = datasets.load("digits")
    fine = ring.y_test
    given = {
        "torch": torch, "nn": nn, "functools": functools, "functional": functional, "run": run,
        "distances": distances, "isometry": isometry, "training": training, "ring": ring,
        "x_ring": ring.x_train, "y_ring": ring.hierarchy, "torus": {}, "SEEDS": range(3),
        "SIZE": {"lr": 1e-2, "lengths": (10, 40)}, "LONG": 40, "data": digits,
        "test_levels": torch.stack([fine // 4, fine // 2, fine], dim=1),
        "x_train": digits.x_train[:200].flatten(1), "y_train": digits.y_train[:200],
        "PLAN": {"lr": 3e-3, "beta": 10}, "END": 4, "HALF_WAY": 2,
        "STRAIGHT": torch.tensor([1, 0, 1, 1, 0, 1, 1, 0, 1, 1]), "images": {},
    }  # fmt: skip
    return cut("distances/stacked_isometric_layers", CUT, given)


def by_hand(stack, x, b):
    """Answers of a stack at a level, from its weights alone; in double."""
    weights = {name: value.double() for name, value in stack.state_dict().items()}
    z = x.double()
    for number in range(1, b + 2):
        below = z
        for name in weights:
            if name.startswith(f"block{number}.") and name.endswith("weight"):
                z = torch.tanh(z @ weights[name].T + weights[name.replace("weight", "bias")])
        if stack.skip:
            carry = weights.get(f"skip{number}.weight")
            z = z + (below if carry is None else below @ carry.T)
    logits = z @ weights["readout.weight"].T + weights["readout.bias"]
    return logits[:, : stack.classes[b]].argmax(dim=1)


def test_accuracies_of_the_torus_are_those_of_the_weights(chapter):
    ring = chapter["ring"]
    chapter["torus"] |= {
        "penalty": chapter["on_torus"](beta=10),
        "skip, plain": chapter["on_torus"](range(2), {"skip": True}),
        "shallow, penalty": chapter["on_torus"](range(2), {"layers": (2, 2, 3)}, beta=10),
    }
    bands = torch.arange(16).repeat_interleave(16) // 2
    for name, length in itertools.product(chapter["torus"], (10, 40)):
        seen, stacks = chapter["level"](name, length), chapter["torus"][name][length]
        assert len(seen) == len(stacks) == (3 if name == "penalty" else 2)
        for row, stack in zip(seen, stacks, strict=True):
            for b in range(3):
                right = by_hand(stack, ring.x_test, b) == bands // 2 ** (2 - b)
                assert float(row[b]) == pytest.approx(float(right.double().mean()), abs=1e-6)
    assert chapter["level"]("penalty")[:, 0].min() > 0.9


def test_what_lies_below_an_untrained_block_did_not_move(chapter):
    for b in range(3):
        made = chapter["on_torus"](levels=[b])[40]
        for seed, stack in enumerate(made):
            fresh = training.initialised(chapter["new_stack"], seed)
            for k in range(3):
                name = f"block{k + 1}.linear1.weight"
                same = torch.equal(stack.state_dict()[name], fresh.state_dict()[name])
                assert same == (k != b)


def test_the_interaction_is_the_gain_with_freezing_minus_the_gain_without(chapter):
    known = {"plain": 0.3, "penalty": 0.9, "not frozen, plain": 0.7, "not frozen, penalty": 0.8}

    def level(name, length):
        rows = torch.zeros(2, 3)
        rows[:, 2] = torch.tensor([known[name], known[name] + 0.01 * length])
        return rows

    names = {**chapter, "level": level}
    for part in ("gains", "interaction"):
        function = chapter[part]
        names[part] = type(function)(function.__code__, names)
    with_freezing, without = names["gains"](1)
    torch.testing.assert_close(with_freezing, torch.full((2,), 0.6))
    torch.testing.assert_close(without, torch.full((2,), 0.1))
    torch.testing.assert_close(names["interaction"](1), torch.full((2,), 0.5))


def test_accuracies_of_the_images_are_those_of_the_weights(chapter):
    halves = torch.arange(10) // 5
    x, y = chapter["data"].x_test.flatten(1), chapter["data"].y_test
    trained = []

    class Watched:
        scale_loss, level_accuracies = isometry.scale_loss, staticmethod(isometry.level_accuracies)
        IsometricStack = isometry.IsometricStack

        @staticmethod
        def fit_stacks(stacks, x, labels, recipe, **how):
            assert torch.equal(labels[:, 1], chapter["y_train"])
            made = isometry.fit_stacks(stacks, x, labels, recipe, **how)
            trained.append((labels, made))
            return made

    on_images = chapter["on_images"]
    names = {**chapter, "isometry": Watched}
    copy = type(on_images)(on_images.__code__, names, "on_images", on_images.__defaults__)
    seen = copy(halves, beta=1)
    ((labels, made),) = trained
    assert torch.equal(labels[:, 0], chapter["y_train"] // 5)
    assert list(seen) == [2, 4] and seen[4].shape == (3, 2)
    for length, rows in seen.items():
        for stack, row in zip(made[length], rows, strict=True):
            for b, truth in enumerate((y // 5, y)):
                right = float((by_hand(stack, x, b) == truth).double().mean())
                assert float(row[b]) == pytest.approx(right, abs=1e-6)


def test_a_gain_at_the_digits_is_the_difference_at_the_fine_level(chapter):
    chapter["images"].update(
        a={4: torch.tensor([[0.0, 0.9], [0.0, 0.8]]), 2: torch.ones(2, 2)},
        b={4: torch.tensor([[0.9, 0.5], [0.9, 0.7]]), 2: torch.zeros(2, 2)},
    )
    torch.testing.assert_close(chapter["digit_gain"]("a", "b"), torch.tensor([0.4, 0.1]))
    torch.testing.assert_close(chapter["digit_gain"]("a", "b", 2), torch.ones(2))


def test_the_plane_of_the_living_figure_is_that_of_the_largest_variance(chapter):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(300, 5, generator=generator) * torch.tensor([1.0, 9, 2, 5, 0.5]) + 4
    flat, share = chapter["plane"](z)
    values, vectors = torch.linalg.eigh(z.T.cov())
    assert share == pytest.approx(float(values[-2:].sum() / values.sum()), abs=1e-5)
    for k in range(2):
        along = (z - z.mean(dim=0)) @ vectors[:, -1 - k]
        both = torch.stack([flat[:, k], along])
        assert abs(float(torch.corrcoef(both)[0, 1])) == pytest.approx(1, abs=1e-4)
    # Near means near: both components in one unit.
    ratio = flat[:, 0].std() / flat[:, 1].std()
    assert float(ratio) == pytest.approx(float((values[-1] / values[-2]).sqrt()), abs=1e-3)
    assert chapter["kind"]("with", "not frozen") == "not frozen, penalty"
    assert chapter["kind"]("without", "frozen") == "plain"


def test_one_round_by_hand_leaves_what_lies_below_alone(chapter):
    stack = training.initialised(chapter["new_stack"], 0)
    blocks = [stack.block1, stack.block2, stack.block3]
    x, y = chapter["x_ring"], chapter["y_ring"]
    twin = training.initialised(chapter["new_stack"], 0)
    adam = torch.optim.Adam(stack.parameters(), lr=1e-2)
    chapter["one_round"](blocks, stack.readout, x, y, adam, 3)
    isometry.fit_stack(twin, x, y, training.Recipe(1, 1e-2), beta=3)
    for name, value in stack.state_dict().items():
        torch.testing.assert_close(value, twin.state_dict()[name], rtol=0, atol=1e-5)


def test_the_claims_are_judged_by_what_is_made_of_the_tables():
    """Of each stack the accuracies at the finest cut, seed by seed, after 30 rounds."""
    finest = {
        "plain": [0.3, 0.4, 0.2, 0.5], "penalty": [0.9, 0.8, 0.7, 0.6],
        "scale-only": [0.5, 0.3, 0.4, 0.7], "untrained below 3": [0.6, 0.9, 0.5, 0.4],
        "not frozen, plain": [0.8, 0.9, 0.3, 0.6], "not frozen, penalty": [0.9, 0.7, 0.8, 0.9],
        "skip, plain": [0.7, 0.9], "shallow, plain": [0.6, 0.5], "shallow, penalty": [0.7, 0.9],
    }  # fmt: skip
    earlier = {10: [0.5, 0.2, 0.3, 0.1], 20: [0.1, 0.6, 0.3, 0.2]}
    fine = {
        "plain": [0.5, 0.6, 0.4], "penalty": [0.8, 0.7, 0.9], "scale-only": [0.6, 0.5, 0.6],
        "not frozen, plain": [0.7, 0.8, 0.6], "not frozen, penalty": [0.8, 0.7, 0.7],
        "0–4 / 5–9, plain": [0.3, 0.2, 0.5], "0–4 / 5–9, penalty": [0.4, 0.5, 0.6],
    }  # fmt: skip

    def level(name, length=30):
        last = finest.get(name, [7.0] * 4) if length == 30 else earlier[length]
        assert length == 30 or name == "plain"
        return torch.tensor([[5.0 + one, 6.0 - one, one] for one in last])

    given = {
        "SEEDS": range(4), "FEW": range(2), "LONG": 30, "SHORT": 20, "END": 4, "HALF_WAY": 2,
        "SIZE": {"lengths": (10, 20, 30)}, "level": level, "data": SimpleNamespace(name="digits"),
        "images": {name: {4: torch.tensor([[9.0, one] for one in values]), 2: torch.ones(3, 2)}
                   for name, values in fine.items()},
    }  # fmt: skip
    known = {
        "finest": {"effect": [0.9, 0.8, 0.7, 0.6], "control": [0.3, -0.1, 0.2, 0.2]},
        "metric": {"effect": [0.6, 0.4, 0.5, 0.1], "rival": [0.4, 0.5, 0.3, -0.1]},
        # Not frozen the penalty gains 0.1, -0.2, 0.5, 0.3.
        "interaction": {"effect": [0.5, 0.6, 0.0, -0.2]},
        "depth": {"effect": [0.5, 0.0]},
        "images": {
            "effect": [0.3, 0.1, 0.5], "control": [0.2, -0.2, 0.4], "rival": [0.2, 0.2, 0.3],
        },
        # Plain, at its best round: 0.5, 0.6, 0.3, 0.5.
        "stopped": {"effect": [0.4, 0.2, 0.4, 0.1]},
        "not_frozen": {"effect": [-0.1, 0.1, -0.4, 0.0]},
        "skip": {"effect": [-0.2, 0.1]},
        "images_interaction": {"effect": [0.2, 0.2, 0.4]},
    }  # fmt: skip
    found = claimed("distances/stacked_isometric_layers", given)
    same_claims(found, {f"stacked_isometric_layers/{key}": one for key, one in known.items()})
