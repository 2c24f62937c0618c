"""The exercises on metric structure: other right solutions, and what only one exercise says.

What holds for all is in test_exercises.py.
"""

import itertools
import re

import numpy as np
import pytest
import torch

from companion import distances
from companion.book.exercises import metric_structure
from companion.book.exercises.metric_structure import pairs


def direct(x):
    return (x[:, None] - x[None]).norm(dim=-1)


def gram(x):
    s = x.square().sum(1)
    return (s[:, None] + s[None] - 2 * x @ x.T).clamp(min=0).sqrt()


def in_numpy(x):
    x = x.numpy()
    return np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))


@pytest.mark.parametrize(
    "solution",
    [
        in_numpy,
        distances.pairwise,
        lambda x: torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist"),
        lambda x: gram(x.double() - x.double().mean(0)),
        lambda x: direct(x.requires_grad_()),
    ],
)
def test_right_distances(solution):
    assert metric_structure.pairwise_distances(solution).right is True


@pytest.mark.parametrize(
    "apart, words",
    [
        (0.0, "closer together than they are"),
        (1.0, "farther apart than they are"),
        (torch.nan, "at a distance that is not a number"),
    ],
)
def test_the_sentence_on_twins_says_how_far_they_came_out(apart, words):
    answer = metric_structure.pairwise_distances(lambda x: pairs._twins_at(x, apart))
    assert f"a thousandth apart came out {words}: the large norms" in answer.sentence


def test_calls_of_torch_are_counted():
    answer = metric_structure.pairwise_distances(pairs._loop)
    assert "4 points take 48 calls of torch and 16 points 564: ask for all" in answer.sentence


def by_pairs(x, z, y):
    """The slow twin: one pair after the other."""
    same = [(i, j) for i, j in itertools.combinations(range(len(y)), 2) if y[i] == y[j]]
    d = np.array([np.linalg.norm(x[i] - x[j]) for i, j in same])
    e = np.array([np.linalg.norm(z[i] - z[j]) for i, j in same])
    return np.corrcoef(d, e)[0, 1]


def over_each_pair_twice(x, z, y):
    # No mistake: it changes neither mean nor spread.
    where = (y[:, None] == y) & ~torch.eye(len(y), dtype=torch.bool)
    return torch.corrcoef(torch.stack([direct(x)[where], direct(z)[where]]))[0, 1]


@pytest.mark.parametrize(
    "solution",
    [
        by_pairs,
        over_each_pair_twice,
        lambda *case: float(over_each_pair_twice(*case)),
        lambda x, z, y: distances.correlation(
            distances.pairwise(x), distances.pairwise(z), where=distances.within_class(y)
        ),
    ],
)
def test_right_correlations(solution):
    assert metric_structure.within_class_correlation(solution).right is True


def test_the_network_of_the_correlations_takes_some_points_for_another_class():
    ((_, z, y),) = pairs._scores()
    assert 0.05 < (z.argmax(1) != y).double().mean() < 0.5


def by_discriminants(x, y):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis().fit(x.numpy(), y.numpy()).transform(x.numpy())


@pytest.mark.parametrize(
    "solution", [by_discriminants, lambda x, y: x @ x.new_tensor([[9.0], [1], [0], [0]])]
)
def test_right_maps(solution):
    assert metric_structure.tear_untrained(solution).right is True


def test_an_untrained_map_is_told_how_far_it_tears():
    answer = metric_structure.tear_untrained(lambda x, y: x * x.new_tensor([1.0, 9, 1, 0.1]))
    assert re.match(r"Torn, but the classes are 0\.\d\d times as far apart", answer.sentence)
