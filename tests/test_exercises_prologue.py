"""Checks of the prologue's exercises: right answers, and the sentence for each likely mistake.

What holds for every check (an untouched stub, an error inside) is in test_exercises.py.
"""

import numpy as np
import pytest
import torch

from companion.book import exercises
from companion.book.exercises import prologue

SCORE = "You measured the score; doubling w and b moves no wall, but doubled your distance."
UNIT = "has the unit of a step along w, not of a length: try w twice as long."
EQUAL = "The wall between two classes is where their scores are equal; its normal is the"
RUNNER_UP = "The second highest score need not belong to the nearest wall: a wall with a steep"
CORNER = "A cube reaches the wall with a corner: every coordinate helps, so the norm that divides"
BOTH = "Half of your lines look away from the wall: walk both ways."


def is_right(answer):
    assert answer.right is True, answer
    assert answer.sentence.startswith("Right")


def says(answer, sentence):
    assert answer.right is False
    assert sentence in answer.sentence


def score(x, w, b):
    return x @ w + b


# One wall


@pytest.mark.parametrize(
    "solution",
    [
        lambda x, w, b: score(x, w, b).abs() / w.norm(),
        lambda x, w, b: np.abs(x.numpy() @ w.numpy() + b) / np.linalg.norm(w.numpy()),
        lambda x, w, b: (score(x, w, b)[:, None] * w / (w @ w)).norm(dim=1).float(),
    ],
)
def test_right_margins_of_one_wall(solution):
    is_right(exercises.linear_margin(solution))


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (lambda x, w, b: score(x, w, b).abs(), SCORE),
        (lambda x, w, b: score(x, w, b).abs() / (w @ w), UNIT),
        (lambda x, w, b: score(x, w, b) / w.norm(), "A distance is never negative, on whichever"),
        (lambda x, w, b: (x @ w).abs() / w.norm(), "The first point came out at"),
        (lambda x, w, b: 1.0, "Your function returned a float; one distance for each point"),
        (lambda x, w, b: x, "one distance for each; your answer has shape (20, 3)."),
    ],
)
def test_wrong_margins_of_one_wall_get_their_sentence(solution, sentence):
    says(exercises.linear_margin(solution), sentence)


# Three classes


def walls(x, weights, b):
    f = x @ weights.T + b
    own = f.argmax(1)
    gap = f.amax(1, keepdim=True) - f
    return gap, (weights[own][:, None] - weights).norm(dim=2), own


def nearest(x, weights, b):
    gap, length, own = walls(x, weights, b)
    return (gap / length).scatter(1, own[:, None], torch.inf).amin(1)


def by_search(x, weights, b):
    """The slow twin: all directions of the plane, and how far each wall is along them."""
    angle = torch.linspace(0, 2 * torch.pi, 20_001, dtype=x.dtype)
    u = torch.stack([angle.cos(), angle.sin()])
    f = x @ weights.T + b
    own = f.argmax(1)
    gap = f.amax(1, keepdim=True) - f
    slope = (weights - weights[own][:, None]) @ u
    t = torch.where(slope > 1e-9, gap[:, :, None] / slope, torch.inf)
    return t.amin(dim=(1, 2))


@pytest.mark.parametrize("solution", [nearest, by_search])
def test_right_margins_of_three_classes(solution):
    is_right(exercises.classifier_margin(solution))


def runner_up(x, weights, b):
    gap, length, own = walls(x, weights, b)
    second = gap.scatter(1, own[:, None], torch.inf).argmin(1, keepdim=True)
    return (gap / length).gather(1, second)[:, 0]


def top_two(x, weights, b):
    top = (x @ weights.T + b).topk(2).values
    return top[:, 0] - top[:, 1]


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (runner_up, RUNNER_UP),
        (lambda x, w, b: top_two(x, w, b) / w.norm(dim=1)[(x @ w.T + b).argmax(1)], EQUAL),
        (top_two, SCORE),
        (
            lambda x, w, b: (x @ w.T + b).amax(1).abs() / w.norm(dim=1)[(x @ w.T + b).argmax(1)],
            EQUAL,
        ),
        (lambda x, w, b: -nearest(x, w, b), "A distance is never negative"),
        (
            lambda x, w, b: (walls(x, w, b)[0] / walls(x, w, b)[1]).amin(1),
            "between a class and itself there is no wall.",
        ),
        (
            lambda x, w, b: (walls(x, w, b)[0] / walls(x, w, b)[1]).nan_to_num().amin(1),
            "Between a class and itself there is no wall.",
        ),
        (lambda x, w, b: 2 * nearest(x, w, b), "The first point came out at"),
    ],
)
def test_wrong_margins_of_three_classes_get_their_sentence(solution, sentence):
    says(exercises.classifier_margin(solution), sentence)


def test_the_runner_up_is_the_wrong_wall_for_some_points():
    x, weights, b = prologue._three_classes()
    wrong = runner_up(x, weights, b) > 1.01 * nearest(x, weights, b)
    assert 0.1 < wrong.double().mean() < 0.9


# The maximum norm


def corner(x, w, b):
    return -score(x, w, b)[:, None] * w.sign() / w.abs().sum()


def test_right_steps_in_the_maximum_norm():
    is_right(exercises.cube_step(corner))
    is_right(exercises.cube_step(lambda x, w, b: corner(x, w, b).numpy()))


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (lambda x, w, b: -score(x, w, b)[:, None] * w.sign() / w.norm(), CORNER),
        (lambda x, w, b: -score(x, w, b)[:, None] * w.sign() / w.abs().max(), CORNER),
        (lambda x, w, b: -corner(x, w, b), "You walked away from the wall."),
        (
            lambda x, w, b: -score(x, w, b).abs()[:, None] * w.sign() / w.abs().sum(),
            "You walked away from the wall.",
        ),
        (
            lambda x, w, b: -score(x, w, b)[:, None] * w / (w @ w),
            "Your step stands on the wall, but needs a cube of half-width",
        ),
        (lambda x, w, b: corner(x, w, b) * torch.tensor([1.0, 0.5, 1.0]), "has the score"),
        (lambda x, w, b: corner(x, w, b)[0], "A step changes every coordinate of every point"),
    ],
)
def test_wrong_steps_in_the_maximum_norm_get_their_sentence(solution, sentence):
    says(exercises.cube_step(solution), sentence)


# A step of DeepFool


def slope(F, x):
    z = x.clone().requires_grad_()
    return torch.autograd.grad(F(z), z)[0]


def one_step(F, x):
    w = slope(F, x)
    return -F(x) * w / (w @ w)


@pytest.mark.parametrize(
    "solution", [one_step, lambda F, x: one_step(F, x.requires_grad_()).detach()]
)
def test_right_steps_of_deepfool(solution):
    is_right(exercises.linearised_step(solution))


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (lambda F, x: -one_step(F, x), "The score grew: you went deeper into the region."),
        (
            lambda F, x: -F(x).sign() * slope(F, x) / slope(F, x).norm(),
            "The length of the step must solve the linearised equation; a step of length one",
        ),
        (
            lambda F, x: -F(x) * slope(F, x) / slope(F, x).norm(),
            "You walked as far as the score is high; doubling F moves no wall, but doubled",
        ),
        (
            lambda F, x: torch.stack([-F(x) / slope(F, x)[0], torch.zeros(()).double()]),
            "Your step reaches the wall, but not by the shortest way: walk along the gradient.",
        ),
        (lambda F, x: one_step(F, x) / 2, "The linear approximation of F is"),
        (lambda F, x: one_step(F, x)[:1], "A step changes each of the 2 coordinates; yours has"),
    ],
)
def test_wrong_steps_of_deepfool_get_their_sentence(solution, sentence):
    says(exercises.linearised_step(solution), sentence)


# Random lines


def ways(x, w, b, u):
    """Signed ways along each line, from the equation of the wall."""
    return -score(x, w, b) / (u @ w)


def margin(x, w, b):
    return score(x, w, b).abs() / w.norm()


@pytest.mark.parametrize(
    "solution",
    [
        lambda x, w, b, u: (ways(x, w, b, u).abs() / margin(x, w, b)).median(),
        lambda x, w, b, u: np.median((w.norm() / (u @ w).abs()).numpy()),
    ],
)
def test_right_median_lines(solution):
    is_right(exercises.median_line(solution))


def one_way(x, w, b, u):
    t = ways(x, w, b, u)
    return torch.where(t > 0, t, torch.inf) / margin(x, w, b)


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (
            lambda x, w, b, u: (ways(x, w, b, u).abs() / margin(x, w, b)).mean(),
            "A line almost parallel to the wall is almost infinitely long: the mean does not",
        ),
        (lambda x, w, b, u: one_way(x, w, b, u).median(), BOTH),
        (lambda x, w, b, u: one_way(x, w, b, u).mean(), BOTH),
        (lambda x, w, b, u: (ways(x, w, b, u) / margin(x, w, b)).median(), BOTH),
        (
            lambda x, w, b, u: one_way(x, w, b, u)[one_way(x, w, b, u).isfinite()].median(),
            BOTH,
        ),
        (lambda x, w, b, u: ways(x, w, b, u).abs().median(), "how many margins it has."),
        (lambda x, w, b, u: len(w) ** 0.5, "Your 8 is not the median: take one line, and the"),
        (lambda x, w, b, u: float("nan"), "a line that never meets the wall has an infinite"),
        (lambda x, w, b, u: one_way(x, w, b, u), "a Tensor with 999 entries; a median is one"),
    ],
)
def test_wrong_median_lines_get_their_sentence(solution, sentence):
    says(exercises.median_line(solution), sentence)
