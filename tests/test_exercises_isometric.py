"""Checks of the exercises on isometric regularization: right answers, and a sentence per mistake.

What holds for every check (an untouched stub, an error inside) is in test_exercises.py.
"""

import itertools

import numpy as np
import pytest
import torch

from companion import distances, isometry
from companion.book import exercises
from companion.book.exercises.isometric_regularization import attack as attack_checks
from companion.book.exercises.isometric_regularization import margins as margin_checks
from companion.book.exercises.isometric_regularization import penalty as penalty_checks


def is_right(answer):
    assert answer.right is True, answer
    assert answer.sentence.startswith("Right")


def says(answer, sentence):
    assert answer.right is False, answer
    assert sentence in answer.sentence


def apart(x):
    return (x[:, None] - x).norm(dim=2)


def same(y):
    return y[:, None] == y


# The penalty


def penalty(x, z, y):
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
    return penalty(x, z, y)


def empties_its_input(x, z, y):
    found = penalty(x, z, y)
    x.zero_()
    z.zero_()
    return found


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
        penalty,
        by_pairs,
        by_class,
        moves_its_input,
        empties_its_input,
        numbers_for_the_inputs,
        guarded,
        isometry.isometry_loss,
        lambda x, z, y: penalty(x.float(), z.float(), y),
        lambda x, z, y: penalty(x, z, y)[None],
    ],
)
def test_right_penalties(solution):
    is_right(exercises.isometry_penalty_by_hand(solution))


def test_the_twins_agree():
    x, z, y = penalty_checks._classes()
    torch.testing.assert_close(by_pairs(x, z, y), isometry.isometry_loss(x, z, y))


def errors(x, z, y, power=1):
    """Errors of the entries of equal label, the diagonal left out."""
    where = same(y) & ~torch.eye(len(y), dtype=torch.bool)
    return (apart(z) ** power - apart(x) ** power)[where]


def roots(z):
    return (z[:, None] - z).square().sum(2).sqrt()


def naive_pairs(x, z, y):
    """Each pair once, so that the diagonal never meets the root."""
    i, j = torch.triu_indices(len(y), len(y), 1)
    i, j = i[y[i] == y[j]], j[y[i] == y[j]]
    after = (z[i] - z[j]).square().sum(1).sqrt()
    return 2 * (after - (x[i] - x[j]).norm(dim=1)).square().sum() / len(y) ** 2


def in_numpy(x, z, y):
    x, z, y = x.numpy(), z.numpy(), y.numpy()
    d, e = (np.linalg.norm(a[:, None] - a, axis=2) for a in (x, z))
    return ((y[:, None] == y) * (e - d) ** 2).mean()


def one_end(x, z, y):
    after = (z[:, None] - z.detach()).norm(dim=2)
    return (same(y) * (after - apart(x)).square()).mean()


def overwrites(x, z, y):
    after = apart(z)
    found = (same(y) * (after - apart(x)).square()).mean()
    after.zero_()
    return found


PAIRS = "You divided by the number of same-class pairs; the published mean runs over the whole"
SQUARED = "You compared squared distances, which gives the far pairs all the say."
EVERYONE = "Pairs of two different classes are in it: such a penalty would hold together"
HALF = "Yours is half: each pair has two entries in the matrix"
TOTAL = "Your penalty grows with the number of points"
BY_CLASS = "You averaged class by class: a class of three then counts as much as one of six"
DIAGONAL = "its gradient is NaN: each point is at distance 0 from itself, and at 0 a root has no"
NO_GRADIENT = "The value is right, but no gradient reaches z, and a penalty that cannot pull"


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (lambda x, z, y: errors(x, z, y).square().mean(), PAIRS),
        (lambda x, z, y: (apart(z) - apart(x))[same(y)].square().mean(), PAIRS),
        (lambda x, z, y: errors(x, z, y, 2).square().sum() / len(y) ** 2, SQUARED),
        (lambda x, z, y: errors(x, z, y, 2).square().mean(), SQUARED),
        (lambda x, z, y: (apart(z) - apart(x)).square().mean(), EVERYONE),
        (lambda x, z, y: (torch.pdist(z) - torch.pdist(x)).square().mean(), EVERYONE),
        (
            lambda x, z, y: (~same(y) * (apart(z) - apart(x)).square()).mean(),
            "These are the pairs between the classes; the penalty is about those inside one.",
        ),
        (lambda x, z, y: (same(y) * (apart(z) - apart(x)).square()).triu().mean(), HALF),
        (lambda x, z, y: errors(x, z, y).square().sum(), TOTAL),
        (lambda x, z, y: errors(x, z, y).square().sum() / 2, TOTAL),
        (
            lambda x, z, y: errors(x, z, y).square().sum() / (len(y) ** 2 - len(y)),
            "The entries of a point with itself are 0, but they are entries",
        ),
        (
            lambda x, z, y: sum(penalty(x[y == c], z[y == c], y[y == c]) for c in range(3)) / 3,
            BY_CLASS,
        ),
        (lambda x, z, y: penalty(x, z, y).sqrt(), "You took a root: in the mean the errors"),
        (
            lambda x, z, y: (same(y) * (apart(z) - apart(x)).abs()).mean(),
            "Your errors enter with their size; squared, one large error weighs more than two.",
        ),
        (lambda x, z, y: (same(y) * (apart(z) - apart(x))).mean(), "is never negative; yours is"),
        (lambda x, z, y: (same(y) * (roots(z) - roots(x)).square()).mean(), DIAGONAL),
        (lambda x, z, y: (same(y) * (roots(z) - apart(x))).square().mean(), DIAGONAL),
        (naive_pairs, "Right until two points of a class have one representation, as behind"),
        (in_numpy, NO_GRADIENT),
        (lambda x, z, y: penalty(x, z, y).detach(), NO_GRADIENT),
        (lambda x, z, y: float(penalty(x, z, y)), NO_GRADIENT),
        (overwrites, NO_GRADIENT),
        (one_end, "The value is right, its gradient is not: both ends of a pair feel its pull"),
        (lambda x, z, y: 1.0, "Your 1 is not the mean over the whole matrix: take three points"),
        (lambda x, z, y: torch.nan, "look for a mean over no pairs or the root of a negative"),
        (lambda x, z, y: apart(z), "a Tensor with 196 entries; a penalty is one number."),
    ],
)
def test_wrong_penalties_get_their_sentence(solution, sentence):
    says(exercises.isometry_penalty_by_hand(solution), sentence)


def test_gradients_are_asked_for_where_a_page_has_switched_them_off():
    with torch.no_grad():
        is_right(exercises.isometry_penalty_by_hand(penalty))


# The unit of the representation


def mean_ratio(x, z, y):
    where = distances.within_class(y)
    return (apart(z)[where] / apart(x)[where]).mean()


def gauge(x, z, y, W, b):
    q = mean_ratio(x, z, y)
    return z / q, W * q, b


def turned_and_moved(x, z, y, W, b):
    """Also a gauge: a rigid motion that the readout undoes."""
    z, W, b = gauge(x, z, y, W, b)
    return z.flip(1) + 3, W.flip(1), b - 3 * W.sum(1)


def gauge_in_place(x, z, y, W, b):
    q = mean_ratio(x, z, y)
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
    is_right(exercises.scale_gauge(solution))


def by(factor, *, readout=lambda a: 1 / a, bias=lambda a: 1):
    """z times a factor of x, z, y, and what it makes of the readout and of the bias."""

    def solution(x, z, y, W, b):
        a = factor(x, z, y)
        return a * z, readout(a) * W, bias(a) * b

    return solution


def inverse_ratio(x, z, y):
    return 1 / mean_ratio(x, z, y)


def within(x, y):
    return apart(x)[distances.within_class(y)]


def with_the_diagonal(x, z, y):
    return 1 / (apart(z) / apart(x)).nan_to_num()[same(y)].mean()


OLD = "Your readout still expects the old unit: z is 2.8 times as long, and so is its part"
BIAS = "A bias has the unit of a logit, not of z: changed with the unit of z, it moves the walls"
LOGITS = "times as large: the predicted classes are the same, but the softmax is another one."
ALL = "Pairs of two classes are in your mean: how far the classes stand apart is what training"
SUMS = "You divided one mean by the other, which lets the long pairs speak louder: within the"


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (by(inverse_ratio, readout=lambda a: 1), OLD),
        (by(inverse_ratio, readout=lambda a: a), "z and W went the same way: their product is"),
        (by(inverse_ratio, bias=lambda a: 1 / a), BIAS),
        (by(inverse_ratio, bias=lambda a: a), BIAS),
        (by(inverse_ratio, readout=lambda a: 1, bias=lambda a: a), LOGITS),
        (by(inverse_ratio, readout=lambda a: 1 / a**2, bias=lambda a: 1 / a), LOGITS),
        (by(mean_ratio), "You went the wrong way: the mean ratio is now 0.127"),
        (by(lambda x, z, y: torch.pdist(x).mean() / torch.pdist(z).mean()), ALL),
        (by(lambda x, z, y: 1 / (torch.pdist(z) / torch.pdist(x)).mean()), ALL),
        (by(lambda x, z, y: within(x, y).mean() / within(z, y).mean()), SUMS),
        (
            by(lambda x, z, y: (within(x, y) / within(z, y)).mean()),
            "The mean of the inverse ratios is not the inverse of their mean: the mean ratio is 3",
        ),
        (
            by(lambda x, z, y: within(x, y) @ within(z, y) / within(z, y).square().sum()),
            "That unit makes the penalty smallest, and those that do favour short representations",
        ),
        (by(with_the_diagonal), "A point and itself have no ratio, and yours counted as 0"),
        (by(lambda x, z, y: 1.0), "The mean ratio is what it was, 0.3566: the unit has not"),
        (by(lambda x, z, y: 5.0), "within the classes the mean ratio is 1.783 and not 1: by"),
        (
            by(lambda x, z, y: 1 / (apart(z) / apart(x))[same(y)].mean()),
            "z came out as NaN or infinite: a point and itself have no ratio of distances",
        ),
        (lambda x, z, y, W, b: (z / z.norm(dim=1, keepdim=True), W, b), "-fold: that is another"),
        (lambda x, z, y, W, b: (0 * z, W, b), "All points fell onto one: no readout can tell"),
        (lambda x, z, y, W, b: (z, W.flip(0), b), "this is another classifier."),
        (lambda x, z, y, W, b: (z, W), "A classifier is asked for: return z, W and b, in this"),
        (lambda x, z, y, W, b: z, "A classifier is asked for: return z, W and b, in this order."),
        (lambda x, z, y, W, b: (z, W.T, b), "W keeps its shape (3, 5); yours has (5, 3)."),
        (lambda x, z, y, W, b: (z, W, 0.0), "Your function returned a float; b belongs into"),
    ],
)
def test_wrong_gauges_get_their_sentence(solution, sentence):
    says(exercises.scale_gauge(solution), sentence)


# Two margins


def normals(f, W):
    return W[f.argmax(1)][:, None] - W


def gaps(f):
    return (f.amax(1, keepdim=True) - f).scatter(1, f.argmax(1)[:, None], torch.inf)


def margins(f, W, J):
    inside, outside = normals(f, W), normals(f, W) @ J
    return tuple((gaps(f) / normal.norm(dim=2)).amin(1) for normal in (inside, outside))


def by_shortest_steps(f, W, J):
    """The slow twin: for each wall the shortest step that closes the gap, by least squares."""
    m, r = [], []
    for logits, jacobian in zip(f, J, strict=True):
        c = int(logits.argmax())
        rivals = [j for j in range(len(logits)) if j != c]
        for found, slopes in ((m, W), (r, W @ jacobian)):
            steps = [
                torch.linalg.pinv((slopes[c] - slopes[j])[None])[:, 0] * (logits[c] - logits[j])
                for j in rivals
            ]
            found.append(min(step.norm() for step in steps))
    return torch.stack(m), torch.stack(r)


def margins_in_numpy(f, W, J):
    f, W, J = f.numpy(), W.numpy(), J.numpy()
    own = f.argmax(1)
    gap, normal = f.max(1, keepdims=True) - f, W[own][:, None] - W
    with np.errstate(invalid="ignore"):
        walls = [gap / np.linalg.norm(n, axis=2) for n in (normal, normal @ J)]
    return [np.nanmin(wall, axis=1) for wall in walls]


def margins_in_place(f, W, J):
    found = margins(f, W, J)
    for given in (f, W, J):
        given.zero_()
    return found


@pytest.mark.parametrize(
    "solution", [margins, by_shortest_steps, margins_in_numpy, margins_in_place]
)
def test_right_margins(solution):
    is_right(exercises.representation_margin(solution))


def test_the_walls_differ():
    # Otherwise the mistakes could not be told from the right answer.
    f, W, J = margin_checks._four_classes()
    inside, outside = (wall.argmin(1) for wall in margin_checks._walls(f, W, J))
    second = gaps(f).argmin(1)
    for one, other in itertools.combinations((inside, outside, second), 2):
        assert int((one != other).sum()) >= 3
    assert len(f.argmax(1).unique()) == 4


def with_m(m):
    return lambda f, W, J: (m(f, W), margins(f, W, J)[1])


def with_r(r):
    return lambda f, W, J: (margins(f, W, J)[0], r(f, W, J))


def second(wall, f):
    return wall.gather(1, gaps(f).argmin(1, keepdim=True))[:, 0]


def inner(f, W):
    return gaps(f) / normals(f, W).norm(dim=2)


def outer(f, W, J):
    return gaps(f) / (normals(f, W) @ J).norm(dim=2)


def spectral(J):
    return torch.linalg.matrix_norm(J, 2)


def foot(f, W, J):
    """The shortest input step to the foot of the perpendicular in the representation."""
    nearest, rows = inner(f, W).argmin(1), torch.arange(len(f))
    normal = normals(f, W)[rows, nearest]
    step = normal / normal.norm(dim=1, keepdim=True) * inner(f, W).amin(1)[:, None]
    return (torch.linalg.pinv(J) @ step[:, :, None])[:, :, 0].norm(dim=1)


def by_own(f, W):
    return gaps(f).amin(1) / W.norm(dim=1)[f.argmax(1)]


RUNNER_UP = "In the representation: the second highest logit need not belong to the nearest wall"
SCORE = "In the representation: this is a gap of logits and not a length: a readout twice as long"
EQUAL = "In the representation: on the wall two logits are equal; its normal is made of both rows"
SAFE = "In the input: you divided by the largest stretch, which gives a radius that is safe and"
NEAREST = "In the input: the wall that is nearest in the representation need not be nearest here"
RANDOM = "In the input: that is the stretch of a random direction, and an attack does not walk at"
ITSELF = "the predicted class has no wall to itself"


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (with_m(lambda f, W: second(inner(f, W), f)), RUNNER_UP),
        (with_m(lambda f, W: gaps(f).amin(1)), SCORE),
        (with_m(by_own), EQUAL),
        (with_m(lambda f, W: (gaps(f) / W.norm(dim=1)).amin(1)), EQUAL),
        (
            with_m(lambda f, W: (gaps(f) / normals(f, W).square().sum(2)).amin(1)),
            "In the representation: this has the unit of a step along the weights",
        ),
        (with_m(lambda f, W: (gaps(f).nan_to_num(0, 0, 0) / 3).amin(1)), ITSELF),
        (
            with_m(lambda f, W: ((f.amax(1)[:, None] - f) / normals(f, W).norm(dim=2)).amin(1)),
            "In the representation a distance came out as NaN or infinite: the predicted class",
        ),
        (with_m(lambda f, W: -inner(f, W).amin(1)), "a distance came out negative: the predicted"),
        (with_m(lambda f, W: 2 * inner(f, W).amin(1)), "In the representation the first point"),
        (with_m(lambda f, W: inner(f, W)), "each of 24 points has one distance; your answer has"),
        (
            with_r(
                lambda f, W, J: outer(f, W, J).gather(1, inner(f, W).argmin(1)[:, None])[:, 0]
            ),
            NEAREST,
        ),
        (with_r(lambda f, W, J: inner(f, W).amin(1) / spectral(J)), SAFE),
        (with_r(lambda f, W, J: inner(f, W).amin(1) / J.flatten(1).norm(dim=1)), RANDOM),
        (with_r(lambda f, W, J: 5**0.5 * inner(f, W).amin(1) / J.flatten(1).norm(dim=1)), RANDOM),
        (with_r(lambda f, W, J: inner(f, W).amin(1)), "once more."),
        (with_r(foot), "In the input: you looked for the way to the foot of the perpendicular in"),
        (
            with_r(lambda f, W, J: (gaps(f) / (W @ J).norm(dim=2)).amin(1)),
            "In the input: the normal of the wall is made of both rows of W, not of one alone.",
        ),
        (
            with_r(lambda f, W, J: (inner(f, W) / (normals(f, W) @ J).norm(dim=2)).amin(1)),
            "In the input: you divided by the length of the weights twice, once on the way to m.",
        ),
        (
            with_r(lambda f, W, J: second(outer(f, W, J), f)),
            "In the input: the second highest logit need not belong to the nearest wall.",
        ),
        (
            with_r(lambda f, W, J: (gaps(f) / (normals(f, W) @ J).square().sum(2)).amin(1)),
            "In the input: this has the unit of a step along a gradient, not of a length",
        ),
        (with_r(lambda f, W, J: 0 * f[:, 0]), ITSELF),
        (with_r(lambda f, W, J: 2 * outer(f, W, J).amin(1)), "In the input the first point came"),
        (lambda f, W, J: margins(f, W, J)[0], "Two distances are asked for: return both, the one"),
        (lambda f, W, J: (1.0, 2.0), "Your function returned a float; one distance for each"),
    ],
)
def test_wrong_margins_get_their_sentence(solution, sentence):
    says(exercises.representation_margin(solution), sentence)


# Off the data


def rest(x, *, rank=3):
    """Projector on the directions in which no two rows of x differ."""
    off = torch.linalg.svd(x - x.mean(0)).Vh[rank:]
    return off.T @ off


def stretched(x, *, factor=1000):
    centre, P = x.mean(0), rest(x)
    return lambda p: p + factor * (p - centre) @ P


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


@pytest.mark.parametrize(
    "solution", [stretched, bump, bent, in_numpy_all, moves_its_data, layer]
)
def test_right_maps(solution):
    is_right(exercises.off_the_data(solution))


def test_the_data_are_flat_and_off_the_origin():
    x, normal = attack_checks._flat_data()
    height = x @ normal
    torch.testing.assert_close(height, height[:1].expand(len(x)))
    assert float(height[0]) > 1
    assert int(torch.linalg.matrix_rank(x)) == 4
    assert int(torch.linalg.matrix_rank(x - x.mean(0))) == 3


def through_the_origin(x, *, off_origin=True):
    """Directions as seen from the origin, all but the three longest."""
    off = torch.linalg.svd(x).Vh[3:]
    centre = x.mean(0) if off_origin else 0
    return lambda p: p + 1000 * (p - centre) @ off.T @ off


def no_direction_left(x):
    off = torch.linalg.svd(x).Vh[int(torch.linalg.matrix_rank(x)) :]
    return lambda p: p + 1000 * p @ off.T @ off


def along_the_data(x, *, centre=True):
    P = torch.eye(4, dtype=x.dtype) - rest(x)
    return lambda p: p + 1000 * (p - (x.mean(0) if centre else 0)) @ P


THIN = "You pushed along the direction in which the data are thinnest as seen from the origin"
SAME = "All data points moved by the same vector, of length 2000: the data do not pass through"
NOTHING = "from the origin the data point in all directions and leave none over"
ALONG = "You stretched the directions in which the data differ from each other: those are the"


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (lambda x: lambda p: p + 1000 * p @ rest(x), SAME),
        (through_the_origin, THIN),
        (lambda x: through_the_origin(x, off_origin=False), THIN),
        (no_direction_left, NOTHING),
        (lambda x: lambda p: p, NOTHING),
        (along_the_data, ALONG),
        (lambda x: along_the_data(x, centre=False), ALONG),
        (lambda x: lambda p: 1000 * (p - x.mean(0)) @ rest(x), "All data went to 0: you returned"),
        (lambda x: lambda p: 100 * p, "what does your push make of the difference of two data"),
        (
            lambda x: lambda p: p + 1000 * (p - p.mean(0)) @ rest(x),
            "The data stay as long as they are among themselves, and move in other company: your",
        ),
        (lambda x: stretched(x, factor=10), "found at right angles to them is 11: a hundred is"),
        (lambda x: rest(x), "Your function returned a Tensor: return a map, which is a function"),
        (lambda x: lambda p: p[0], "took 30 points with 4 coordinates and returned the shape"),
        (lambda x: lambda p: p / 0, "Your map sends a point to NaN or infinity: look for a"),
        (lambda x: lambda p: p @ p, "Your function stopped with RuntimeError"),
        (lambda x: lambda p: [p], "Your function returned a list; the points it moved belong"),
    ],
)
def test_wrong_maps_get_their_sentence(solution, sentence):
    says(exercises.off_the_data(solution), sentence)


def test_a_map_that_returns_nothing_is_not_attempted_yet():
    assert exercises.off_the_data(lambda x: lambda p: ...).right is None


# The flattering attack


def kept(g, s):
    return (g * s).sum(1) / g.abs().sum(1)


def share(g_ce, g_pen, beta):
    return kept(g_ce, (g_ce + beta * g_pen).sign())


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
    return kept(honest, g_ce.sign_())


@pytest.mark.parametrize(
    "solution",
    [
        share,
        by_coordinates,
        share_in_numpy,
        share_in_place,
        lambda g_ce, g_pen, beta: share(g_ce.float(), g_pen.float(), beta),
    ],
)
def test_right_shares(solution):
    is_right(exercises.flattering_attack(solution))


def test_some_published_steps_lead_downhill():
    g_ce, g_pen, beta = attack_checks._gradients()
    assert 0 < int((share(g_ce, g_pen, beta) < 0).sum()) < len(g_ce)


def turned(g_ce, g_pen, beta):
    return ((g_ce + beta * g_pen).sign() != g_ce.sign()).double()


def rise(g_ce, g_pen, beta):
    return (g_ce * (g_ce + beta * g_pen).sign()).sum(1)


ALONE = "That is the step of the penalty alone; the published one follows the full loss."
SIGNS = "Your published step climbs as fast as the honest one: who adds signs instead of"
COUNTED = "You counted coordinates: a turned sign costs much where the gradient is steep, and"
CUBE = "Each coordinate of the honest step moves by eps, into a corner of the cube: it gains more"
FULL = "You measured the rise of the full loss; a label is lost by the cross-entropy alone."
WEIGHT = "beta weighs the penalty, and your step gives it another weight."


@pytest.mark.parametrize(
    "solution, sentence",
    [
        (lambda g, h, beta: kept(g, h.sign()), ALONE),
        (lambda g, h, beta: kept(g, (g.sign() + beta * h.sign()).sign()), SIGNS),
        (lambda g, h, beta: kept(g, g.sign()), SIGNS),
        (lambda *given: turned(*given).mean(1), COUNTED),
        (lambda *given: 1 - turned(*given).mean(1), COUNTED),
        (lambda *given: 1 - 2 * turned(*given).mean(1), COUNTED),
        (lambda *given: turned(*given)[:, 2:].mean(1), COUNTED),
        (lambda *given: turned(*given).sum(1), COUNTED),
        (lambda *given: rise(*given) / given[0].norm(dim=1), CUBE),
        (lambda g, h, beta: (g + beta * h).abs().sum(1) / g.abs().sum(1), FULL),
        (lambda g, h, beta: rise(g, h, beta) / (g + beta * h).abs().sum(1), FULL),
        (lambda g, h, beta: kept(g + beta * h, g.sign()), FULL),
        (lambda g, h, beta: 1 / kept(g + beta * h, g.sign()), FULL),
        (
            lambda g, h, beta: torch.cosine_similarity(g, g + beta * h),
            "That is the cosine of two gradients; the steps are made of their signs.",
        ),
        (lambda g, h, beta: share(g, h, 1), WEIGHT),
        (lambda g, h, beta: kept(g, (beta * g + h).sign()), WEIGHT),
        (lambda *given: 1 - share(*given), "That is the share which is lost; the share that is"),
        (lambda *given: share(*given).abs(), "A step can also lead downhill: the sign of your"),
        (rise, "That is a rise; the question is which share it is of the honest one's."),
        (
            lambda g, h, beta: ((g + beta * h).sign() / g.sign()).mean(1),
            "A share came out as NaN or infinite: where no gradient reaches a coordinate",
        ),
        (lambda *given: share(*given).mean(), "and each takes its own step: one share for each"),
        (lambda *given: turned(*given).amax(1).mean(), "each takes its own step: one share for"),
        (lambda *given: float(share(*given).mean()), "Your function returned a float; one share"),
        (lambda *given: share(*given) / 2, "The first sample came out at 0.1999: take one"),
    ],
)
def test_wrong_shares_get_their_sentence(solution, sentence):
    says(exercises.flattering_attack(solution), sentence)


# What the sentences say must be decided by the numbers


def tables():
    x, z, y = penalty_checks._classes()
    f, W, J = margin_checks._four_classes()
    gradients = attack_checks._gradients()
    m, r = margins(f, W, J)
    return {
        "penalty": penalty_checks._penalty_mistakes(x, z, y) | {"Right": [penalty(x, z, y)]},
        "unit": penalty_checks._unit_mistakes(x, z, y) | {"Right": [inverse_ratio(x, z, y)]},
        "representation": margin_checks._inner_mistakes(f, W) | {"Right": [m]},
        "input": margin_checks._outer_mistakes(f, W, J) | {"Right": [r]},
        "attack": attack_checks._attack_mistakes(*gradients) | {"Right": [share(*gradients)]},
    }


@pytest.mark.parametrize("name", tables())
def test_no_two_mistakes_with_different_sentences_look_alike(name):
    for several in itertools.combinations(tables()[name].values(), 2):
        for one, other in itertools.product(*several):
            # Five times the tolerance of the checks.
            assert float((one - other).abs().amax()) > 5e-3 * float(one.abs().amax())
