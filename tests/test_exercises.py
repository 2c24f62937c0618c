"""Checks of the exercises: right answers, stubs, and the sentence for each likely mistake."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity as cosine

from companion import distances, exercises

CANCELLED = "the large norms cancelled; move the origin or subtract first."
SQUARES = "Twice as far must be twice as large; yours is four times."
ITSELF = "Every point has distance 0 to itself in any network: those pairs agree for free."
PREDICTED = (
    "Within a class means the label's class; a mistake of the network would hide its own tearing."
)
CHECKS = [exercises.pairwise_distances, exercises.within_class_correlation]


def not_implemented(*args):
    raise NotImplementedError


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("stub", [lambda *_: None, lambda *_: ..., not_implemented, None])
def test_an_untouched_stub_is_not_attempted_yet(check, stub):
    answer = check(stub)
    assert repr(answer) == "not attempted yet"
    assert answer.right is None


@pytest.mark.parametrize("check", CHECKS)
def test_what_is_no_function_is_named(check, as_a_user):
    assert check(...) == exercises.NOT_YET
    assert check(3.0).sentence.startswith("The check needs your function itself, not a float")


@pytest.mark.parametrize("check", CHECKS)
def test_an_error_of_the_reader_does_not_stop_the_page(check):
    answer = check(lambda *given: given[7])
    assert answer.right is False
    assert answer.sentence.startswith("Your function stopped with IndexError (tuple index out")


# Pairwise distances


def direct(x):
    return (x[:, None] - x[None]).norm(dim=-1)


def gram(x, *, clamp=True):
    s = x.square().sum(1)
    q = s[:, None] + s[None] - 2 * x @ x.T
    return (q.clamp(min=0) if clamp else q).sqrt()


def loop(x):
    return torch.stack([torch.stack([(a - b).norm() for b in x]) for a in x])


def in_numpy(x):
    x = x.numpy()
    return np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))


def changes_its_input(x):
    d = direct(x)
    x.zero_()
    return d


@pytest.mark.parametrize(
    "solution",
    [
        direct,
        in_numpy,
        changes_its_input,
        distances.pairwise,
        lambda x: torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist"),
        lambda x: gram(x.double() - x.double().mean(0)),
        lambda x: direct(x.requires_grad_()),
    ],
)
def test_right_distances(solution):
    answer = exercises.pairwise_distances(solution)
    assert answer.right is True
    assert repr(answer).startswith("Right")


def nan_for_twins(x):
    d = direct(x)
    return torch.where((0 < d) & (d < 0.01), torch.nan, d)


def nothing_for_twins(x):
    d = direct(x)
    return torch.where(d < 0.01, 0, d)


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (gram, f"Two points a thousandth apart came out farther apart than they are: {CANCELLED}"),
        (lambda x: gram(x, clamp=False), f"came out farther apart than they are: {CANCELLED}"),
        (lambda x: torch.cdist(x, x), f"came out farther apart than they are: {CANCELLED}"),
        (nothing_for_twins, f"came out closer together than they are: {CANCELLED}"),
        (nan_for_twins, f"came out at a distance that is not a number: {CANCELLED}"),
        (lambda x: gram(x - x.mean(0)), "from no origin are the norms of both groups small."),
        (lambda x: direct(x).square(), SQUARES),
        (lambda x: (x[:, None] - x[None]).square().sum(-1), SQUARES),
        (lambda x: (x[:, None] - x[None]).abs().sum(-1), "long side is 7: Pythagoras disagrees."),
        (lambda x: (x[:, None] - x[None]).abs().amax(-1), "long side is 4: Pythagoras disagrees."),
        (lambda x: direct(x).triu(), "The way back is as long as the way there; your matrix is"),
        (lambda x: direct(x) + torch.eye(len(x)), "A point is at distance 0 from itself; the"),
        (lambda x: direct(x) / x.shape[1] ** 0.5, "A step of length 3 along one axis came out as"),
        (lambda x: -direct(x), "A distance came out negative: walking from one point to another"),
        (lambda x: direct(x) / 0, "A distance came out as NaN or infinite for three points"),
        (lambda x: direct(x[:, [1, 0]] * torch.tensor([0.5, 1])), "One leg of a triangle is 3"),
        (torch.pdist, "but your answer has shape (3,): one row and one column per point."),
        (lambda x: x[:, None] - x[None], "but your answer has shape (3, 3, 2): one row and one"),
        (lambda x: direct(x).tolist(), "Your function returned a list; the distances of all"),
        (loop, "4 points take 48 calls of torch and 16 points 564: ask for all differences at"),
    ],
)
def test_wrong_distances_get_their_sentence(solution, sentence):
    answer = exercises.pairwise_distances(solution)
    assert answer.right is False
    assert sentence in answer.sentence
    assert not answer.sentence.startswith("Right")


# Within-class correlation


def pearson(d, e, where):
    return torch.corrcoef(torch.stack([d[where], e[where]]))[0, 1]


def rulers(x, z):
    return direct(x.double()), direct(z.double())


def by_pairs(x, z, y):
    """The slow twin: one pair after the other."""
    pairs = [(i, j) for i, j in itertools.combinations(range(len(y)), 2) if y[i] == y[j]]
    d = np.array([np.linalg.norm(x[i] - x[j]) for i, j in pairs])
    e = np.array([np.linalg.norm(z[i] - z[j]) for i, j in pairs])
    return np.corrcoef(d, e)[0, 1]


def same(y):
    return y[:, None] == y[None, :]


def half(y):
    return torch.ones(len(y), len(y), dtype=torch.bool).triu(1)


def everyone(x, z, y, keep):
    return pearson(*rulers(x, z), keep)


@pytest.mark.parametrize(
    "solution",
    [
        by_pairs,
        lambda x, z, y: everyone(x, z, y, same(y) & half(y)),
        # Each pair twice is no mistake: it changes neither mean nor spread.
        lambda x, z, y: everyone(x, z, y, same(y) & (half(y) | half(y).T)),
        lambda x, z, y: distances.correlation(
            distances.pairwise(x), distances.pairwise(z), where=distances.within_class(y)
        ),
        lambda x, z, y: float(everyone(x, z, y, same(y) & half(y))),
    ],
)
def test_right_correlations(solution):
    answer = exercises.within_class_correlation(solution)
    assert answer.right is True
    assert repr(answer).startswith("Right")


def ranked(x, z, y):
    d, e = (d[same(y) & half(y)].argsort().argsort().double() for d in rulers(x, z))
    return torch.corrcoef(torch.stack([d, e]))[0, 1]


def with_diagonal(y):
    return half(y) | torch.eye(len(y), dtype=torch.bool)


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (lambda x, z, y: everyone(x, z, y, same(y)), ITSELF),
        (lambda x, z, y: everyone(x, z, y, same(y) & with_diagonal(y)), ITSELF),
        (lambda x, z, y: everyone(x, z, y, same(z.argmax(1)) & half(y)), PREDICTED),
        (lambda x, z, y: everyone(x, z, y, same(z.argmax(1))), PREDICTED),
        (lambda x, z, y: everyone(x, z, y, half(y)), "Pairs of two different classes are in it"),
        (lambda x, z, y: everyone(x, z, y, half(y) | True), "Pairs of two different classes are"),
        (lambda x, z, y: everyone(x, z, y, ~same(y)), "These are the pairs between the classes;"),
        (
            lambda x, z, y: cosine(*(d[same(y) & half(y)] for d in rulers(x, z)), dim=0),
            "Distances are never negative, so any two lists of them point the same way: compare",
        ),
        (
            lambda x, z, y: pearson(*(d.square() for d in rulers(x, z)), same(y) & half(y)),
            "A squared distance gives the far pairs most of the say: compare the lengths.",
        ),
        (ranked, "Only the order of the distances entered: compare how long they are."),
        (lambda x, z, y: 17.5, "A correlation lies between -1 and 1; yours is 17.5: divide by"),
        (lambda x, z, y: -0.125, "Your -0.125 is not how the distances of one class agree: list"),
        (lambda x, z, y: float("nan"), "Your answer is not a number (NaN): one of your two lists"),
        (lambda x, z, y: same(y), "a Tensor with 2304 entries; how well two lists of distances"),
        (lambda x, z, y: [0.5, 0.5], "a list with 2 entries; how well two lists of distances"),
        (lambda x, z, y: "0.5 or so", "a str with 1 entries; how well two lists of distances"),
    ],
)
def test_wrong_correlations_get_their_sentence(solution, sentence):
    answer = exercises.within_class_correlation(solution)
    assert answer.right is False
    assert sentence in answer.sentence


def test_the_mistakes_can_be_told_from_the_answer_and_from_each_other():
    x, z, y = exercises._scores()
    d, e = distances.pairwise(x), distances.pairwise(z)
    named = dict.fromkeys(exercises._correlation_mistakes(d, e, z, y))
    values = sorted([by_pairs(x, z, y), *(value for value, _ in named)])
    # The check looks within 1e-3, so 2e-3 keeps any two apart.
    assert np.diff(values).min() > 2e-3
    assert 0.05 < (z.argmax(1) != y).double().mean() < 0.5
