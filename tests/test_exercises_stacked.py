"""The exercises on stacked layers: other right solutions, and cases known by hand.

What holds for all is in test_exercises.py.
"""

import numpy as np
import pytest
import torch
from torch.nn import functional

from companion.book.exercises import stacked_isometric_layers as stacked
from companion.book.exercises.stacked_isometric_layers import labels


def owners(coarse, fine):
    """For each fine label, how many coarse labels hold it."""
    return [len(coarse[fine == label].unique()) for label in fine.unique()]


def pairs_seen(coarse, fine):
    return len({*zip(coarse.tolist(), fine.tolist(), strict=True)})


def place_by_place(z, y):
    """The slow twin: one place after the other."""
    rows = [tuple(row) for row in z.tolist()]
    best = 0
    for spot in set(rows):
        there = [int(y[k]) for k, row in enumerate(rows) if row == spot]
        best += max(there.count(label) for label in there)
    return best / len(y)


def step(lower, upper, readout, optimizer, x, y):
    loss = functional.cross_entropy(readout(upper(lower(x).detach())), y)
    optimizer.zero_grad()
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


@pytest.mark.parametrize(
    "exercise, solution",
    [
        (stacked.nested_labels, lambda c, f: torch.tensor(max(owners(c, f)) == 1)),
        (stacked.nested_labels, lambda c, f: np.bool_(pairs_seen(c, f) == len(f.unique()))),
        (stacked.nested_labels, lambda c, f: int(max(owners(c, f)) == 1)),
        (stacked.later_ceiling, place_by_place),
        (stacked.later_ceiling, lambda z, y: torch.tensor(place_by_place(z, y))),
        (stacked.frozen_step, step),
        (stacked.frozen_step, returns_nothing),
        (stacked.frozen_step, without_gradients_below),
        (stacked.frozen_step, flags_of_the_weights),
        (stacked.tree_distance, by_search),
        (stacked.tree_distance, counted),
        (stacked.tree_distance, lambda h: counted(h).numpy()),
    ],
)
def test_other_right_solutions(exercise, solution):
    answer = exercise(solution)
    assert answer.right is True, answer


def test_ceiling_of_the_smallest_case_is_known_by_hand():
    z = torch.tensor([[-1.0], [-1.0], [1.0], [1.0]])
    assert labels._ceiling(z, torch.arange(4)) == 0.5
    assert labels._ceiling(z, torch.tensor([0, 0, 1, 1])) == 1.0


def test_the_tree_of_the_torus_is_known_by_hand():
    ((eighths,), _) = labels._trees()
    # A brother, a cousin, the other half.
    assert by_search(eighths)[0, [1, 2, 4]].tolist() == [2, 4, 6]
