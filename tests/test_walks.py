"""Walks until the answer changes: straight walls are closed forms, loops do the rest again."""

import inspect
import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch
from torch import nn

from companion import datasets, training
from companion.decision import linear_line, linear_walk, shortest_walk, walk
from companion.models import MLP
from companion.training import initialised
from plain import Plain
from plain import shortest_walk as plain_walk

GRID = torch.logspace(-2, 2, 400, dtype=torch.float64)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def straight():
    """Five classes with straight walls, nine points; gap and normal of each wall (n, C - 1)."""
    model, x = initialised(lambda: nn.Linear(6, 5).double(), 0), draw(9, 6)
    f, own = model(x).detach(), model(x).argmax(dim=1)
    others = torch.stack([torch.tensor([j for j in range(5) if j != k]) for k in own.tolist()])
    gap = f.gather(1, others) - f.gather(1, own[:, None])
    return model, x, gap, (model.weight[others] - model.weight[own][:, None]).detach()


def circle(x):
    """The answer is 1 outside the unit circle."""
    return torch.stack([torch.ones(len(x), dtype=x.dtype), x.square().sum(dim=1)], dim=1)


def bent():
    return initialised(lambda: MLP((3, 16, 16, 4), "tanh").double(), 1), draw(8, 3, seed=2)


@pytest.fixture(scope="module")
def digits():
    """A trained network in float64, and test images that it is read at."""
    data = datasets.load("digits")
    return training.reference(data).double(), data.x_test[:12].flatten(1).double()


# --- closed forms -----------------------------------------------------------------------------


def test_along_a_direction_the_first_of_the_straight_walls_counts():
    model, x, gap, normal = straight()
    u = draw(9, 6, seed=1)
    u = u / u.norm(dim=1, keepdim=True)
    t = -gap / (normal @ u[:, :, None]).squeeze(2)
    ahead, behind = (torch.where(way > 0, way, torch.inf).amin(dim=1) for way in (t, -t))
    assert (ahead.isfinite() & behind.isfinite()).any()
    for found, known in (
        (walk(model, x, 3 * u, GRID), ahead),
        (walk(model, x, -u, GRID), behind),
        (walk(model, x, u, GRID, both_ways=True), torch.minimum(ahead, behind)),
    ):
        known = torch.where(known < GRID[-1], known, torch.inf)
        torch.testing.assert_close(found, known, rtol=1e-6, atol=1e-8)


def test_along_a_line_the_nearest_of_the_straight_walls_is_that_of_a_linear_model():
    model, x, gap, normal = straight()
    u = draw(9, 6, seed=1)
    rate = (normal @ (u / u.norm(dim=1, keepdim=True))[:, :, None]).squeeze(2)
    found = linear_line(model, x, 3 * u)
    torch.testing.assert_close(found, (gap / rate).abs().amin(dim=1))
    torch.testing.assert_close(found, linear_line(model, x, -u))
    walked = walk(model, x, u, GRID, both_ways=True)
    torch.testing.assert_close(found, walked, rtol=1e-6, atol=1e-8)
    # Along the normal of the nearest wall no line is shorter.
    far, way = linear_walk(model, x)
    torch.testing.assert_close(linear_line(model, x, way), far)
    # Image axes, and a bent model: the slopes at x alone.
    net, z = bent()
    pictures = nn.Sequential(nn.Flatten(), net)
    torch.testing.assert_close(
        linear_line(pictures, z[:, None, None], z[:, None, None]), linear_line(net, z, z)
    )
    slopes = torch.stack([torch.func.jacrev(lambda a: net(a[None])[0])(one) for one in z])
    f, own, way = net(z).detach(), net(z).argmax(dim=1), z / z.norm(dim=1, keepdim=True)
    rate = (slopes - slopes[torch.arange(8), own][:, None]) @ way[:, :, None]
    known = (f - f.gather(1, own[:, None])).abs() / rate.squeeze(2).abs()
    known = known.scatter(1, own[:, None], torch.inf).amin(dim=1)
    torch.testing.assert_close(linear_line(net, z, z), known.detach())


def test_to_straight_walls_the_shortest_walk_is_the_score_over_the_length_of_the_normal():
    model, x, gap, normal = straight()
    far, j = (gap.abs() / normal.norm(dim=2)).min(dim=1)
    n = normal[torch.arange(9), j]
    for length, direction in (
        linear_walk(model, x),
        shortest_walk(model, x),
        shortest_walk(model, x, rounds=0),
    ):
        torch.testing.assert_close(length, far, rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(direction, n / n.norm(dim=1, keepdim=True))


def test_inside_a_circle_every_direction_is_known():
    x = torch.tensor([[0.5, 0.0], [0.0, -0.25]], dtype=torch.float64)
    u = draw(2, 2)
    u = u / u.norm(dim=1, keepdim=True)
    along = (x * u).sum(dim=1)
    known = -along + (along.square() + 1 - x.square().sum(dim=1)).sqrt()
    torch.testing.assert_close(walk(circle, x, u, GRID), known, rtol=1e-6, atol=1e-8)
    length, direction = shortest_walk(circle, x)
    torch.testing.assert_close(length, 1 - x.norm(dim=1), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(direction, x / x.norm(dim=1, keepdim=True))
    # |x|^2 - 1 over 2 |x|: from well inside, the linear look is far off.
    linear, _ = linear_walk(circle, x)
    torch.testing.assert_close(linear, (1 - x.square().sum(1)) / (2 * x.norm(dim=1)))


@pytest.mark.parametrize("D", [64, 784])
def test_random_lines_to_one_wall_are_the_null_length(D):
    """Their median is 1.48 sqrt(D) margins: |cos|^2 has the law Beta(1/2, (D - 1)/2)."""
    model = nn.Linear(D, 2, bias=False).double()
    with torch.no_grad():
        model.weight.zero_()
        model.weight[0, 0] = -1
    x = torch.zeros(4000, D, dtype=torch.float64)
    x[:, 0] = -1  # the wall is x_0 = 0, one margin away
    lengths = torch.logspace(0, 3, 40, dtype=torch.float64) * D**0.5
    found = walk(model, x, draw(4000, D), lengths, both_ways=True).median() / D**0.5
    law = scipy.stats.beta(1 / 2, (D - 1) / 2).median() ** -0.5 / D**0.5
    assert abs(law - 1.483) < 0.02 and abs(found - law) < 0.06


# --- plain loops, another search ----------------------------------------------------------------


def scores(model, x):
    """The network again, in NumPy."""
    z = np.asarray(x)
    for layer in model.children():
        if isinstance(layer, nn.Linear):
            z = layer.weight.detach().numpy() @ z + layer.bias.detach().numpy()
        else:
            z = np.maximum(z, 0)
    return z


def first_change(model, start, unit, *, step=0.05, last=40.0):
    """By small steps until the answer is another one, then back by halving."""
    own, near = scores(model, start).argmax(), 0.0
    while scores(model, start + (near + step) * unit).argmax() == own:
        near += step
        if near > last:
            return math.inf
    far = near + step
    while far - near > 1e-9:
        middle = (near + far) / 2
        same = scores(model, start + middle * unit).argmax() == own
        near, far = (middle, far) if same else (near, middle)
    return far


def test_a_digits_walk_is_what_plain_loops_find(digits):
    model, x = digits
    u = draw(*x.shape, seed=3)
    found = walk(model, x, u, torch.linspace(0.05, 40, 800).double(), both_ways=True)
    assert found.isfinite().sum() > 8
    for start, way, length in zip(x.numpy(), u.numpy(), found.tolist(), strict=True):
        unit = way / np.linalg.norm(way)
        both = [first_change(model, start, sign * unit) for sign in (1, -1)]
        assert length == pytest.approx(min(both), rel=1e-6)


def test_a_constrained_search_finds_no_much_shorter_walk(digits):
    """SLSQP minimises |d|^2 where a rival leads, from the digit itself and from our end."""
    model, x = digits
    length, direction = shortest_walk(model, x)
    for start, ours, u in zip(x[:4], length[:4].tolist(), direction[:4], strict=True):
        own, best = int(model(start[None]).argmax()), math.inf
        for j in set(range(10)) - {own}:

            def lead(d, j=j, start=start, own=own):
                f = scores(model, start.numpy() + d)
                return f[j] - f[own]

            def slope(d, j=j, start=start, own=own):
                z = (start + torch.as_tensor(d)).requires_grad_()
                f = model(z[None])[0]
                return torch.autograd.grad(f[j] - f[own], z)[0].numpy()

            for begin in (1e-3 * u, ours * u):
                found = scipy.optimize.minimize(
                    lambda d: d @ d, begin.numpy(), jac=lambda d: 2 * d, method="SLSQP",
                    constraints={"type": "ineq", "fun": lead, "jac": slope},
                )  # fmt: skip
                if lead(found.x) > -1e-6:
                    best = min(best, np.linalg.norm(found.x))
        assert best * (1 - 1e-6) <= ours <= 1.1 * best


@pytest.mark.parametrize("kind", ["trained", "untrained", "memorized", "linear"])
def test_the_shortest_walk_is_what_numpy_finds_in_the_same_rounds(kind):
    """DeepFool and the rounds after it, from the weights alone."""
    data = datasets.load("digits")
    kind, model = ("trained", "linear") if kind == "linear" else (kind, "mlp")
    net = training.reference(data, kind, model=model).double()
    x = (data.x_train if kind == "memorized" else data.x_test)[:8].flatten(1).double()
    for how in ({}, {"rounds": 1}):
        length, direction = shortest_walk(net, x, **how)
        known = [plain_walk(Plain(net), one, **how) for one in x.numpy()]
        for ours, u, (theirs, v) in zip(length.tolist(), direction, known, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-9)
            np.testing.assert_allclose(u.numpy(), v, rtol=0, atol=1e-7)


def test_where_it_ends_the_answer_is_another_and_before_it_is_the_same():
    model, x = bent()
    own = model(x).argmax(dim=1)
    length, u = shortest_walk(model, x)
    assert (length.isfinite()).all()
    torch.testing.assert_close(u.norm(dim=1), torch.ones(8, dtype=torch.float64))
    for share, same in ((1 - 1e-5, True), (1 + 1e-9, False)):
        answers = model(x + share * length[:, None] * u).argmax(dim=1)
        assert ((answers == own) == same).all()


def test_rounds_shorten_and_deepfool_alone_overshoots():
    model, x = bent()
    deepfool, _ = shortest_walk(model, x, rounds=0)
    improved, _ = shortest_walk(model, x)
    assert (improved <= deepfool).all() and (improved < 0.999 * deepfool).any()
    best = np.full(8, np.inf)
    directions = draw(20_000, 3, seed=5)
    for k, start in enumerate(x):
        way = walk(model, start.expand(20_000, 3), directions, improved[k] * GRID[200:260:2])
        best[k] = way.min()
    assert (improved.numpy() <= 1.02 * best).all()


def test_a_change_between_two_looks_is_not_seen():
    def stripe(x):
        return torch.stack([torch.zeros(len(x)), 0.1 - (x[:, 0] - 1).abs()], dim=1)

    x, u = torch.zeros(1, 1), torch.ones(1, 1)
    assert walk(stripe, x, u, torch.tensor([0.5, 1.5])) == torch.inf
    assert walk(stripe, x, u, torch.tensor([0.5, 1.0])).item() == pytest.approx(0.9, rel=1e-6)


def test_images_chunks_and_the_lender():
    model = initialised(lambda: nn.Sequential(nn.Flatten(), nn.Dropout(), MLP((64, 8, 3))), 0)
    x = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    u = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    together = walk(model, x, u, GRID.float(), both_ways=True)
    alone = torch.cat([walk(model, a[None], b[None], GRID.float(), both_ways=True)
                       for a, b in zip(x, u, strict=True)])  # fmt: skip
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    rows = GRID.float().expand(5, -1)
    torch.testing.assert_close(walk(model, x, u, rows, both_ways=True), together)
    length, direction = shortest_walk(model, x)
    assert length.shape == (5,) and direction.shape == x.shape and not length.requires_grad
    assert model.training and all(p.grad is None and p.requires_grad for p in model.parameters())


def test_where_nothing_changes_the_walk_has_no_end():
    def flat(x):
        return torch.stack([x[:, 0] * 0 + 1, x[:, 0] * 0], dim=1)

    x = torch.rand(3, 2)
    assert (walk(flat, x, x + 1, GRID.float()) == torch.inf).all()
    assert (linear_line(flat, x, x + 1) == torch.inf).all()
    for length, direction in (shortest_walk(flat, x), linear_walk(flat, x)):
        assert (length == torch.inf).all()
        torch.testing.assert_close(direction.norm(dim=1), torch.ones(3))


# --- the sentences ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"direction": torch.ones(2, 3)}, ValueError, "each sample walks its own way"),
        ({"direction": torch.zeros(2, 2)}, ValueError, "2 of 2 directions have no length"),
        ({"direction": torch.full((2, 2), math.nan)}, ValueError, "have no length"),
        ({"x": torch.ones(2, 2, dtype=torch.int64)}, TypeError, "pass a floating-point tensor"),
        (
            {"x": torch.ones(0, 2), "direction": torch.ones(0, 2)},
            ValueError,
            "with n of 1 or more",
        ),
        ({"lengths": torch.ones(3, 4)}, ValueError, "or \\(n, k\\), one row for each"),
        ({"lengths": torch.tensor([1.0, 1.0])}, ValueError, "do not ascend from above 0"),
        ({"lengths": torch.tensor([0.0, 1.0])}, ValueError, "do not ascend from above 0"),
        ({"lengths": torch.tensor([])}, ValueError, "lengths have shape \\(0,\\)"),
        ({"model": lambda x: x[:, :1]}, ValueError, "The logits have shape"),
        ({"model": lambda x: x * math.nan}, ValueError, "NaN"),
        ({"model": lambda x: torch.rand_like(x)}, ValueError, "two different answers"),
    ],
)
def test_a_walk_that_is_refused(change, error, said):
    given = {"model": lambda x: x, "x": torch.ones(2, 2), "direction": torch.ones(2, 2),
             "lengths": torch.tensor([1.0, 2.0])}  # fmt: skip
    with pytest.raises(error, match=said):
        inspect.unwrap(walk)(**given | change)


def test_a_line_without_a_direction_is_refused():
    with pytest.raises(ValueError, match="2 of 2 directions have no length"):
        linear_line(lambda x: x, torch.ones(2, 2), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="each sample walks its own way"):
        inspect.unwrap(linear_line)(lambda x: x, torch.ones(2, 2), torch.ones(2, 3))


@pytest.mark.parametrize("change", [{"steps": 0}, {"overshoot": -0.1}, {"rounds": -1}])
def test_a_shortest_walk_that_is_refused(change):
    with pytest.raises(ValueError, match="one walks forward, so pass 1 step or more"):
        shortest_walk(lambda x: x, torch.ones(2, 2), **change)
