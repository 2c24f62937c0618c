"""The exercises on isometric regularization: other right solutions, and what only one has.

What holds for all is in test_exercises.py.
"""

import itertools

import numpy as np
import pytest
import torch

from companion import distances, isometry
from companion.book.exercises import isometric_regularization as room
from companion.book.exercises.isometric_regularization import attack, penalty


def is_right(answer):
    assert answer.right is True, answer


def says(answer, sentence):
    assert answer.right is False, answer
    assert sentence in answer.sentence


def apart(x):
    return (x[:, None] - x).norm(dim=2)


def same(y):
    return y[:, None] == y


# The penalty


def by_hand(x, z, y):
    return (same(y) * (apart(z) - apart(x)).square()).mean()


def by_pairs(x, z, y):
    """The slow twin: one entry of the matrix after the other."""
    total = z.new_zeros(())
    for i, j in itertools.product(range(len(y)), repeat=2):
        if i != j and y[i] == y[j]:
            total = total + ((z[i] - z[j]).norm() - (x[i] - x[j]).norm()) ** 2
    return total / len(y) ** 2


def by_class(x, z, y):
    groups = [(x[y == c], z[y == c]) for c in y.unique()]
    error = torch.cat([torch.pdist(b) - torch.pdist(a) for a, b in groups])
    return 2 * error.square().sum() / len(y) ** 2


def moves_its_input(x, z, y):
    x -= x.mean(0)
    z -= z.mean(0)
    return by_hand(x, z, y)


def numbers_for_the_inputs(x, z, y):
    d = np.linalg.norm(x.numpy()[:, None] - x.numpy(), axis=2)
    return (same(y) * (torch.cdist(z, z) - torch.from_numpy(d)) ** 2).mean()


def guarded(x, z, y):
    square = (z[:, None] - z).square().sum(2)
    root = torch.where(square > 0, square, 1).sqrt()
    return (same(y) * (torch.where(square > 0, root, 0) - apart(x)).square()).mean()


@pytest.mark.parametrize(
    "solution",
    [
        by_hand,
        by_pairs,
        by_class,
        moves_its_input,
        numbers_for_the_inputs,
        guarded,
        lambda x, z, y: by_hand(x.float(), z.float(), y),
        lambda x, z, y: by_hand(x, z, y)[None],
    ],
)
def test_right_penalties(solution):
    is_right(room.isometry_penalty_by_hand(solution))


def test_the_twins_agree():
    ((x, z, y),) = penalty.classes()
    torch.testing.assert_close(by_pairs(x, z, y), isometry.isometry_loss(x, z, y))


def in_numpy(x, z, y):
    x, z, y = x.numpy(), z.numpy(), y.numpy()
    d, e = (np.linalg.norm(a[:, None] - a, axis=2) for a in (x, z))
    return ((y[:, None] == y) * (e - d) ** 2).mean()


def overwrites(x, z, y):
    after = apart(z)
    found = (same(y) * (after - apart(x)).square()).mean()
    after.zero_()
    return found


@pytest.mark.parametrize("solution", [in_numpy, overwrites])
def test_a_value_without_a_gradient_is_not_enough(solution):
    says(room.isometry_penalty_by_hand(solution), "The value is right, but no gradient reaches z")


def test_gradients_are_asked_for_where_a_page_has_switched_them_off():
    with torch.no_grad():
        is_right(room.isometry_penalty_by_hand(by_hand))


# The unit of the representation


def gauge(x, z, y, W, b):
    where = distances.within_class(y)
    q = (apart(z)[where] / apart(x)[where]).mean()
    return z / q, W * q, b


def turned_and_moved(x, z, y, W, b):
    """Also a gauge: a rigid motion that the readout undoes."""
    z, W, b = gauge(x, z, y, W, b)
    return z.flip(1) + 3, W.flip(1), b - 3 * W.sum(1)


def gauge_in_place(x, z, y, W, b):
    q = z[0, 0] / gauge(x, z, y, W, b)[0][0, 0]
    z /= q
    W *= q
    return z, W, b


def gauge_in_numpy(x, z, y, W, b):
    x, z, W, b = (part.numpy() for part in (x, z, W, b))
    ratios = [
        np.linalg.norm(z[i] - z[j]) / np.linalg.norm(x[i] - x[j])
        for i, j in itertools.combinations(range(len(y)), 2)
        if y[i] == y[j]
    ]
    return z / np.mean(ratios), W * np.mean(ratios), b


@pytest.mark.parametrize(
    "solution",
    [
        gauge,
        turned_and_moved,
        gauge_in_place,
        gauge_in_numpy,
        lambda *given: list(gauge(*given)),
        lambda *given: [part.float() for part in gauge(*given)],
    ],
)
def test_right_gauges(solution):
    is_right(room.scale_gauge(solution))


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (lambda x, z, y, W, b: (z * 2.8, W, b), "the old unit: z is 2.8 times as long, and so is"),
        (lambda x, z, y, W, b: (z, W, b), "The mean ratio is what it was, 0.3566: the unit"),
        (lambda x, z, y, W, b: (5 * z, W / 5, b), "the mean ratio is 1.783 and not 1: by which"),
    ],
)
def test_sentences_on_gauges_have_the_readers_numbers(solution, sentence):
    says(room.scale_gauge(solution), sentence)


# Off the data


def rest(x, *, rank=3):
    """Projector on the directions in which no two rows of x differ."""
    off = torch.linalg.svd(x - x.mean(0)).Vh[rank:]
    return off.T @ off


def bump(x):
    """No subspace: a push that grows with the distance to the nearest data point."""
    return lambda p: p + 500 * torch.cdist(p, x).amin(1, keepdim=True)


def bent(x):
    """A push that grows with the square of the way off the data: flat on them."""
    centre, P = x.mean(0), rest(x)
    return lambda p: p + 50 * ((p - centre) @ P).square().sum(1, keepdim=True)


def in_numpy_all(x):
    x = x.numpy()
    normal = np.linalg.svd(x - x[0])[2][-1]
    return lambda p: p.numpy() + 1e4 * np.outer((p.numpy() - x[0]) @ normal, np.ones(4))


def moves_its_data(x):
    centre, P = x.mean(0), rest(x)
    x.zero_()

    def moved(p):
        p += 1000 * (p - centre) @ P
        return p

    return moved


def layer(x):
    linear = torch.nn.Linear(4, 4, dtype=x.dtype)
    linear.weight.data = torch.eye(4, dtype=x.dtype) + 1000 * rest(x)
    linear.bias.data = -1000 * rest(x) @ x[0]
    return linear


@pytest.mark.parametrize("solution", [bump, bent, in_numpy_all, moves_its_data, layer])
def test_right_maps(solution):
    is_right(room.off_the_data(solution))


def test_the_data_are_flat_and_off_the_origin():
    x, normal = attack._flat_data()
    height = x @ normal
    torch.testing.assert_close(height, height[:1].expand(len(x)))
    assert float(height[0]) > 1
    assert int(torch.linalg.matrix_rank(x)) == 4
    assert int(torch.linalg.matrix_rank(x - x.mean(0))) == 3


def no_direction_left(x):
    off = torch.linalg.svd(x).Vh[int(torch.linalg.matrix_rank(x)) :]
    return lambda p: p + 1000 * p @ off.T @ off


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (no_direction_left, "from the origin the data point in all directions and leave none"),
        (lambda x: lambda p: p + 1000 * p @ rest(x), "moved by the same vector, of length 2000: "),
        (lambda x: rest(x), "Your function returned a Tensor: return a map, which is a function"),
        (lambda x: lambda p: p[0], "took 30 points with 4 coordinates and returned the shape (4,"),
        (lambda x: lambda p: p / 0, "Your map sends a point to NaN or infinity: look for a"),
        (lambda x: lambda p: p @ p, "Your function stopped with RuntimeError"),
        (lambda x: lambda p: [p], "Your function returned a list; the points it moved belong"),
    ],
)
def test_wrong_maps_get_their_sentence(solution, sentence):
    says(room.off_the_data(solution), sentence)


def test_a_map_that_returns_nothing_is_not_attempted_yet():
    assert room.off_the_data(lambda x: lambda p: ...).right is None


# The flattering attack


def by_coordinates(g_ce, g_pen, beta):
    """The slow twin: one coordinate after the other gains or loses its slope."""
    found = []
    for honest, other in zip(g_ce.tolist(), g_pen.tolist(), strict=True):
        pairs = zip(honest, other, strict=True)
        gain = sum(abs(a) if (a + beta * b) * a > 0 else -abs(a) for a, b in pairs)
        found.append(gain / sum(map(abs, honest)))
    return torch.tensor(found)


def share_in_numpy(g_ce, g_pen, beta):
    g_ce, g_pen = g_ce.numpy(), g_pen.numpy()
    return (g_ce * np.sign(g_ce + beta * g_pen)).sum(1) / np.abs(g_ce).sum(1)


def share_in_place(g_ce, g_pen, beta):
    honest = g_ce.clone()
    g_ce += beta * g_pen
    return (honest * g_ce.sign_()).sum(1) / honest.abs().sum(1)


@pytest.mark.parametrize(
    "solution",
    [
        by_coordinates,
        share_in_numpy,
        share_in_place,
        lambda g, h, beta: attack._share(g.float(), h.float(), beta),
    ],
)
def test_right_shares(solution):
    is_right(room.flattering_attack(solution))


def test_some_published_steps_lead_downhill():
    ((g_ce, g_pen, beta),) = attack._gradients()
    assert 0 < int((by_coordinates(g_ce, g_pen, beta) < 0).sum()) < len(g_ce)


def test_the_quotient_of_two_signs_is_told_what_to_add_first():
    answer = room.flattering_attack(lambda g, h, b: ((g + b * h).sign() / g.sign()).mean(1))
    says(answer, "A share came out as NaN or infinite: where no gradient reaches a coordinate")
