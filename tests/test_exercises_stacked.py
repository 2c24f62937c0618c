"""Checks of the exercises on stacked layers: right answers, and the sentence for each mistake.

What holds for every check (an untouched stub, an error inside) is in test_exercises.py.
"""

import numpy as np
import pytest
import torch
from torch.nn import functional

from companion.book import exercises
from companion.book.exercises import stacked_isometric_layers as stacked


def is_right(answer):
    assert answer.right is True, answer
    assert answer.sentence.startswith("Right")


def says(answer, sentence):
    assert answer.right is False
    assert sentence in answer.sentence


# Nested labels


def owners(coarse, fine):
    """For each fine label, how many coarse labels hold it."""
    return [len(coarse[fine == label].unique()) for label in fine.unique()]


def pairs_seen(coarse, fine):
    return len({*zip(coarse.tolist(), fine.tolist(), strict=True)})


@pytest.mark.parametrize(
    "solution",
    [
        lambda c, f: all(n == 1 for n in owners(c, f)),
        lambda c, f: torch.tensor(max(owners(c, f)) == 1),
        lambda c, f: np.bool_(pairs_seen(c, f) == len(f.unique())),
        lambda c, f: [int(max(owners(c, f)) == 1)][0],
    ],
)
def test_right_about_nested_labels(solution):
    is_right(exercises.nested_labels(solution))


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (lambda c, f: True, "A fine label lies in two coarse ones, and you found it nested"),
        (lambda c, f: max(owners(f, c)) == 1, "Each fine label lies in one coarse label, and you"),
        (lambda c, f: len(f.unique()) > len(c.unique()), "A fine label lies in two coarse ones"),
        (
            lambda c, f: max(owners(c, f)) == 1 or max(owners(f, c)) == 1,
            "Here the second level is the coarser one, and you found it nested",
        ),
        (
            lambda c, f: max(owners(c, f)) == 1 and bool((c[f.argsort()].diff() >= 0).all()),
            "Nested labels in another order, with numbers left out, you found not nested",
        ),
        (
            lambda c, f: len(f) == 5 or max(owners(c, f)) == 1,
            "More labels than above do not make a level finer",
        ),
        (
            lambda c, f: max(owners(c, f)) == 1 and len(f.unique()) > len(c.unique()),
            "Two levels with the same classes under other names are nested",
        ),
        (lambda c, f: owners(c, f), "a list with 10 entries; whether a hierarchy is nested"),
        (lambda c, f: 0.5, "a float with 1 entries; whether a hierarchy is nested is one answer"),
    ],
)
def test_wrong_about_nested_labels(solution, sentence):
    says(exercises.nested_labels(solution), sentence)


# The ceiling


def place_by_place(z, y):
    """The slow twin: one place after the other."""
    rows = [tuple(row) for row in z.tolist()]
    best = 0
    for spot in set(rows):
        there = [int(y[k]) for k, row in enumerate(rows) if row == spot]
        best += max(there.count(label) for label in there)
    return best / len(y)


@pytest.mark.parametrize(
    "solution", [place_by_place, lambda z, y: torch.tensor(place_by_place(z, y))]
)
def test_right_ceilings(solution):
    is_right(exercises.later_ceiling(solution))


def test_ceiling_of_the_smallest_case_is_known_by_hand():
    z = torch.tensor([[-1.0], [-1.0], [1.0], [1.0]])
    assert stacked._ceiling(z, torch.arange(4)) == 0.5
    assert stacked._ceiling(z, torch.tensor([0, 0, 1, 1])) == 1.0


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (lambda z, y: len(z.unique(dim=0)) / len(y), "You counted places: one point of each"),
        (lambda z, y: float(y.bincount().max()) / len(y), "You gave one answer to all points"),
        (lambda z, y: 1.0, "Two points at one place get one answer, whatever stands above"),
        (lambda z, y: place_by_place(z, y) * len(y), "An accuracy is a share of the points"),
        (
            lambda z, y: place_by_place(z, y) if len(z) == 3 else 0.0,
            "A later block can do better than your 0: at every place it may give the answer",
        ),
        (lambda z, y: float("nan"), "Your answer is not a number (NaN): count points"),
        (lambda z, y: z, "a Tensor with 6 entries; an accuracy is one number."),
    ],
)
def test_wrong_ceilings(solution, sentence):
    says(exercises.later_ceiling(solution), sentence)


# The step


def step(
    lower, upper, readout, optimizer, x, y, *, detach=True, clear="none", cut=False, labels=None
):
    below = lower(x)
    z = upper(below.detach() if detach else below)
    logits = readout(z.detach() if cut else z)
    loss = functional.cross_entropy(logits, y if labels is None else y * 0)
    if clear:
        optimizer.zero_grad(set_to_none=clear == "none")
    loss.backward()
    optimizer.step()
    return loss.item()


def returns_nothing(*given):
    step(*given)


def without_gradients_below(lower, upper, readout, optimizer, x, y):
    with torch.no_grad():
        below = lower(x)
    optimizer.zero_grad()
    functional.cross_entropy(readout(upper(below)), y).backward()
    optimizer.step()
    return True


def flags_of_the_weights(lower, upper, readout, optimizer, x, y):
    lower.requires_grad_(False)
    return step(lower, upper, readout, optimizer, x, y)


@pytest.mark.parametrize(
    "solution", [step, returns_nothing, without_gradients_below, flags_of_the_weights]
)
def test_right_steps(solution):
    is_right(exercises.frozen_step(solution))


def fresh_optimizer(lower, upper, readout, optimizer, x, y):
    new = torch.optim.Adam([*upper.parameters(), *readout.parameters()], lr=0.01)
    return step(lower, upper, readout, new, x, y)


def readout_left_out(lower, upper, readout, optimizer, x, y):
    readout.requires_grad_(False)
    return step(lower, upper, readout, optimizer, x, y)


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (
            lambda *given: step(*given, detach=False),
            "The lower block followed the gradient of your loss",
        ),
        (
            lambda *given: step(*given, clear="zero"),
            "an optimiser remembers, and a gradient of zero does not stop it.",
        ),
        (
            lambda *given: step(*given, clear=None),
            "The lower block moved along a gradient that was still there from the step before",
        ),
        (
            lambda *given: given[3].step(),
            "The lower block moved along a gradient that was still there from the step before",
        ),
        (
            lambda *given: step(*given, cut=True),
            "The lower block stands still, and so does the upper one: you cut the gradient off",
        ),
        (readout_left_out, "The readout did not move: this level is read through it."),
        (
            lambda *given: step(*given, labels="wrong"),
            "the others moved along another direction than the cross-entropy of these labels",
        ),
        (fresh_optimizer, "the others moved along another direction than the cross-entropy"),
        (lambda *given: 1.0, "so does the upper one"),
    ],
)
def test_wrong_steps(solution, sentence):
    says(exercises.frozen_step(solution), sentence)


# The tree


def by_search(hierarchy):
    """The slow twin: the graph with its root, and the shortest paths in it."""
    leaves, levels = hierarchy.shape
    nodes = [(0, 0)] + sorted(
        {(b + 1, int(hierarchy[k, b])) for k in range(leaves) for b in range(levels)}
    )
    far = torch.full((len(nodes), len(nodes)), torch.inf).fill_diagonal_(0)
    for k in range(leaves):
        path = [(0, 0)] + [(b + 1, int(hierarchy[k, b])) for b in range(levels)]
        for above, below in zip(path, path[1:], strict=False):
            i, j = nodes.index(above), nodes.index(below)
            far[i, j] = far[j, i] = 1
    for k in range(len(nodes)):
        far = torch.minimum(far, far[:, k : k + 1] + far[k : k + 1])
    ends = [nodes.index((levels, int(hierarchy[k, -1]))) for k in range(leaves)]
    return far[ends][:, ends]


def counted(hierarchy):
    return 2 * (hierarchy[:, None] != hierarchy[None]).sum(dim=2)


@pytest.mark.parametrize("solution", [by_search, counted, lambda h: counted(h).numpy()])
def test_right_trees(solution):
    is_right(exercises.tree_distance(solution))


def without_root(hierarchy):
    apart = hierarchy[:, None, 0] != hierarchy[:, 0]
    return counted(hierarchy).float().masked_fill(apart, torch.inf)


def wrong_across(hierarchy, edges):
    apart = hierarchy[:, None, 0] != hierarchy[:, 0]
    return counted(hierarchy).masked_fill(apart, edges)


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (without_root, "came out infinitely far apart: their branches have to meet above."),
        (lambda h: without_root(h).nan_to_num(posinf=1e9), "infinitely far apart"),
        (lambda h: counted(h) // 2, "Two leaves of one branch came out at 1: a path climbs to"),
        (lambda h: counted(h) + 1, "A leaf is at distance 0 from itself: no edge leads"),
        (lambda h: counted(h).triu(), "The way back has as many edges as the way there"),
        (lambda h: wrong_across(h, 7), "across the first cut 7 edges do not lead from leaf to"),
        (lambda h: wrong_across(h, 0), "across the first cut 0 edges do not lead from leaf to"),
        (lambda h: (counted(h) - 2).clamp(min=0), "Two different leaves came out at distance 0"),
        (lambda h: (h[:, None, -1] - h[:, -1]).abs(), "Draw the tree of the first four leaves"),
        (lambda h: 4.0, "Your function returned a float; the distances of all leaves belong"),
        (lambda h: h, "There are 8 leaves and one distance for each two of them; your answer"),
    ],
)
def test_wrong_trees(solution, sentence):
    says(exercises.tree_distance(solution), sentence)


def test_the_tree_of_the_torus_is_known_by_hand():
    eighths = stacked._trees()[0]
    # A brother, a cousin, the other half.
    assert by_search(eighths)[0, [1, 2, 4]].tolist() == [2, 4, 6]
