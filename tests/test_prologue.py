"""The cells of the prologue that measure: which images a network is read at, and both walks.

What stands in a cell is no function of a room, so it is cut out here and tried where it is known.
"""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch
from scipy.spatial.distance import cdist
from torch import nn
from torch.func import jacrev

from cells import claimed, cut, same_claims
from companion import attacks, datasets, decision, distances, models, training
from plain import Plain, climbed, first_other, linear_steps, pgd, shortest_walk

CUT = ["deepfool", "straight_on", "subject", "directions", "walks", "medians", "if_straight",
       "half_way", "told", "median_ratio", "runner_up", "miss"]  # fmt: skip


@pytest.fixture(scope="module")
def chapter():
    """The functions of the chapter, on digits."""
    given = {
        "torch": torch, "jacrev": jacrev, "decision": decision, "training": training,
        "distances": distances, "data": datasets.load("digits"), "D": 64, "IMAGES": 30, "MORE": 40,
        "seen": {},
    }  # fmt: skip
    return cut("prologue", CUT, given)


@pytest.fixture(scope="module")
def in_double():
    """The same functions for networks and images in float64, so that plain loops agree."""
    digits = datasets.load("digits")

    def exact(data):
        images = {name: getattr(data, name).double() for name in ("x_train", "x_test")}
        return dataclasses.replace(data, **images)

    class Training:
        @staticmethod
        def reference(_, kind, **how):
            return training.reference(digits, kind, **how).double()

        @staticmethod
        def reference_data(_, kind, *, seed):
            return exact(training.reference_data(digits, kind, seed=seed))

    given = {
        "torch": torch, "decision": decision, "training": Training, "data": exact(digits), "D": 64,
        "IMAGES": 8, "MORE": 20, "seen": {},
    }  # fmt: skip
    return cut("prologue", ["subject", "directions", "walks", "medians", "told", "median_ratio",
                            "runner_up", "miss"], given)  # fmt: skip


def plain_lines(plain, x, r, u):
    """Along the lines u (4, n, D), the nearer end of each, from eight margins on (n, 4)."""
    looks = min(r, 8.0) * (12 * 8.0) ** (np.arange(60) / 59)
    return [min(first_other(plain, x, way * v / np.linalg.norm(v), looks) for way in (1, -1))
            for v in u]  # fmt: skip


def lower_median(values):
    values = np.sort(np.ravel(values))
    return values[(len(values) - 1) // 2]


@pytest.mark.parametrize("kind", ["trained", "untrained", "memorized", "linear"])
def test_walks_and_their_ratio_are_what_plain_loops_find(in_double, kind):
    net, x = in_double["subject"](kind, 1)
    found, plain, rows = in_double["walks"](net, x, 1), Plain(net), x.numpy()
    known = [shortest_walk(plain, one) for one in rows]
    r = np.array([length for length, _ in known])
    np.testing.assert_allclose(found[0].numpy(), r, rtol=1e-6)
    np.testing.assert_allclose(found[1].numpy(), [u for _, u in known], rtol=0, atol=1e-6)
    u = in_double["directions"](8, 1).double().numpy()
    lines = np.array([plain_lines(plain, rows[k], r[k], u[:, k]) for k in range(8)])
    np.testing.assert_allclose(found[2].numpy(), lines, rtol=1e-6)
    told = in_double["medians"](*found)
    for name, value in {"margin": lower_median(r), "line": lower_median(lines),
                        "ratio": lower_median(lines / r[:, None]) / 8}.items():  # fmt: skip
        assert told[name] == pytest.approx(value, rel=1e-6), name
    if kind == "trained":
        beyond = plain(rows + 1.001 * r[:, None] * np.array([u for _, u in known])).argmax(axis=1)
        second = plain(rows).argsort(axis=1)[:, -2]
        in_double["seen"][kind, 1] = found
        assert in_double["runner_up"](1) == pytest.approx((beyond == second).mean(), abs=1e-6)


def test_the_ratio_of_two_classes_is_what_plain_loops_find(in_double):
    some = torch.randperm(10, generator=torch.Generator().manual_seed(2))[:2].numpy()
    net, data = in_double["subject"]("trained", 2)[0], in_double["data"]
    plain = Plain(net, only=some)
    rows = data.x_test[np.isin(data.y_test, some)][:8].flatten(1).numpy()
    r = np.array([shortest_walk(plain, one)[0] for one in rows])
    u = in_double["directions"](8, 2).double().numpy()
    lines = np.array([plain_lines(plain, rows[k], r[k], u[:, k]) for k in range(8)])
    known = lower_median(lines / r[:, None]) / 8
    assert in_double["median_ratio"]("trained", 2, 2) == pytest.approx(known, rel=1e-6)


@pytest.mark.parametrize("kind", ["trained", "untrained"])
def test_what_a_linear_look_misses_is_what_plain_loops_find(in_double, kind):
    net, x = in_double["subject"](kind, 0, count=20)
    plain, off = Plain(net), []
    for row in x.numpy():
        steps = linear_steps(plain, row, plain(row).argmax())
        off.append(np.linalg.norm(steps, axis=1).min() / shortest_walk(plain, row)[0] - 1)
    known = np.quantile(np.abs(off), 0.95)
    assert in_double["miss"](kind, 0) == pytest.approx(known, abs=1e-6)


@pytest.mark.parametrize("eps", [0.2, 0.4])
def test_what_survives_on_the_moons_is_what_numpy_finds(eps):
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)).double()
    y = (x[:, 0] * x[:, 1] > 0).long()
    net = training.initialised(lambda: models.MLP((2, 32, 32, 2)).double(), 0)
    training.fit(net, x, y, training.Recipe(epochs=20, lr=1e-2, batch_size=100))
    given = {"torch": torch, "attacks": attacks, "toys": {5: (net.eval(), x, y)}}
    found = cut("prologue", ["kept"], given)["kept"](5, eps)
    plain, rows = Plain(net), x.numpy()
    own = plain(rows).argmax(axis=1)
    corner = np.sign(torch.rand(200, 2, generator=torch.Generator().manual_seed(5)).numpy() - 0.5)
    moved = {"random corner": rows + eps * corner,
             "FGSM": rows + eps * np.sign(climbed(plain, rows, own, "cross_entropy")[2]),
             "PGD": pgd(plain, rows, own, eps=eps, steps=40)}  # fmt: skip
    assert list(found) == list(moved)
    for name, z in moved.items():
        known = (plain(z).argmax(axis=1) == own).mean()
        assert found[name] == pytest.approx(known, abs=1e-6), name
        assert known < 1, name


def one_wall(D, *, distance):
    """A network with the wall x_0 = 0, and points that far before it."""
    net = nn.Linear(D, 2, bias=False)
    with torch.no_grad():
        net.weight.zero_()
        net.weight[0, 0] = -1
    x = torch.zeros(600, D)
    x[:, 0] = -distance
    return net, x


def test_one_straight_wall_gives_the_null_length(chapter):
    net, x = one_wall(64, distance=2.0)
    r, best, lines = chapter["walks"](net, x, 0)
    torch.testing.assert_close(r, torch.full((600,), 2.0))
    torch.testing.assert_close(best, torch.eye(64)[:1].expand(600, 64))
    assert lines.shape == (600, 4) and not torch.equal(lines[:, 0], lines[:, 1])
    ratio = lines / r[:, None] / 64**0.5
    law = scipy.stats.beta(1 / 2, 63 / 2)
    for share in (0.25, 0.5, 0.75):
        known = law.ppf(1 - share) ** -0.5 / 64**0.5
        assert float(ratio.quantile(share)) == pytest.approx(known, rel=0.08)


def test_straight_walls_give_the_ratio_that_a_linear_network_has(chapter):
    """Of a linear network both are the same, and the median is taken over images and lines."""
    net, x = chapter["subject"]("linear", 1)
    found = chapter["if_straight"](net, x, 1)
    walked = chapter["medians"](*chapter["walks"](net, x, 1))["ratio"]
    assert float(found) == pytest.approx(walked, rel=1e-3)
    # Of a bent one only the slopes at x count.
    net, x = chapter["subject"]("trained", 1)
    J = torch.stack([jacrev(lambda z: net(z[None])[0])(z) for z in x]).detach().double().numpy()
    f, own = net(x).detach().double().numpy(), net(x).argmax(dim=1).numpy()
    F = np.delete(f - f[range(30), own][:, None], own + 10 * np.arange(30)).reshape(30, 9)
    w = np.stack([np.delete(J[k] - J[k, own[k]], own[k], axis=0) for k in range(30)])
    u = chapter["directions"](30, 1).double().numpy()
    u /= np.linalg.norm(u, axis=2, keepdims=True)
    r = (abs(F) / np.linalg.norm(w, axis=2)).min(axis=1)
    lines = np.stack([(abs(F) / abs((w * v[:, None]).sum(axis=2))).min(axis=1) for v in u])
    known = np.sort((lines / r).ravel())[lines.size // 2 - 1] / 8  # torch's median is the lower
    assert float(chapter["if_straight"](net, x, 1)) == pytest.approx(known, rel=1e-4)
    assert float(found) != pytest.approx(known, rel=1e-3)


def test_half_the_way_to_another_label_is_that_of_the_labels_that_were_fitted(chapter):
    data = chapter["data"]
    for kind in ("memorized", "trained_small"):
        own = training.reference_data(data, kind, seed=2)
        rows = own.x_train.flatten(1).double().numpy()
        d, y = cdist(rows, rows), own.y_train.numpy()
        d[y[:, None] == y] = np.inf
        known = np.median(d.min(axis=1)) / 2
        assert chapter["half_way"](kind, 2) == pytest.approx(known, rel=1e-5)


def test_the_runner_up_is_looked_for_behind_the_shortest_walk(chapter):
    net, x = chapter["subject"]("trained", 0)
    r, best, lines = chapter["seen"]["trained", 0] = chapter["walks"](net, x, 0)
    second = net(x).argsort(dim=1, descending=True)[:, 1]
    ends = net(x + 1.001 * r[:, None] * best).argmax(dim=1)
    assert (ends != net(x).argmax(dim=1)).all()
    share = sum(int(a == b) for a, b in zip(ends, second, strict=True)) / 30
    assert chapter["runner_up"](0) == pytest.approx(share) and 0 < share < 1
    three = chapter["medians"](r, best, lines)
    assert three["margin"] == float(r.median()) and three["line"] == float(lines.median())


def test_a_linear_look_that_is_too_short_is_off_as_one_that_is_too_long(chapter):
    net, x = chapter["subject"]("trained", 0, count=40)
    assert len(x) == 40
    first, r = (walk(net, x)[0].numpy() for walk in (decision.linear_walk, decision.shortest_walk))
    off = np.quantile(abs(first / r - 1), 0.95)
    assert chapter["miss"]("trained", 0) == pytest.approx(off, rel=1e-4)

    def outside(x):  # of the unit circle, where F = |x|^2 - 1 bends towards us
        return torch.stack([x.square().sum(dim=1), torch.ones(len(x))], dim=1)

    R = torch.linspace(1.5, 4, 201)
    x = torch.stack([R, 0 * R], dim=1)
    given = {"decision": decision, "MORE": 201, "subject": lambda *of, count: (outside, x[:count])}
    known = float(((R - 1) / (2 * R)).quantile(0.95))
    assert cut("prologue", ["miss"], given)["miss"]("", 0) == pytest.approx(known, rel=1e-3)


def test_a_ratio_with_fewer_classes_is_that_of_the_sliced_network(chapter):
    net, x = chapter["told"]("trained", 1, 2)
    r, _, lines = chapter["walks"](net, x, 1)
    known = float((lines / r[:, None]).median()) / 8
    assert chapter["median_ratio"]("trained", 1, 2) == pytest.approx(known)


def test_each_network_is_read_at_its_own_images(chapter):
    data = chapter["data"]
    test, train = data.x_test.flatten(1), data.x_train.flatten(1)
    for kind, pool in (("trained", test), ("untrained", test), ("linear", test),
                       ("memorized", train), ("trained_small", train)):  # fmt: skip
        net, x = chapter["subject"](kind, 1)
        assert x.shape == (30, 64) and (torch.cdist(x, pool).amin(dim=1) < 1e-3).all()
        kinds = {"linear": ("trained", "linear")}.get(kind, (kind, "mlp"))
        known = training.reference(data, kinds[0], model=kinds[1], seed=1)
        assert torch.equal(net(x), known(x))


def test_a_network_that_was_told_to_name_two_classes_names_those_at_their_images(chapter):
    data = chapter["data"]
    told, x = chapter["told"]("trained", 3, 2)
    net, _ = chapter["subject"]("trained", 3)
    some = torch.randperm(10, generator=torch.Generator().manual_seed(3))[:2]
    assert torch.equal(told(x), net(x)[:, some])
    among = data.x_test[torch.isin(data.y_test, some)].flatten(1)
    assert (torch.cdist(x, among).amin(dim=1) < 1e-3).all()
    agrees = some[told(x).argmax(dim=1)] == net(x).argmax(dim=1)
    assert agrees.float().mean() > 0.9


def test_the_walkers_by_hand_are_those_of_the_package(chapter):
    net, x = chapter["subject"]("trained", 2)
    length, direction = decision.shortest_walk(net, x, rounds=0)
    looks = torch.linspace(0.1, 40, 400)
    away = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    away = away / away.norm(dim=1, keepdim=True)
    far = decision.walk(net, x, away, looks)
    for k in range(8):
        way = chapter["deepfool"](net, x[k])[-1] - x[k]
        torch.testing.assert_close(way / way.norm(), direction[k], rtol=1e-3, atol=1e-4)
        steps = torch.linspace(0, 1, 17)[1:] * way.norm()
        by_hand = chapter["straight_on"](net, x[k], way / way.norm(), steps)
        torch.testing.assert_close(by_hand, length[k], rtol=1e-3, atol=1e-5)
        if far[k].isfinite():
            by_hand = chapter["straight_on"](net, x[k], away[k], looks)
            torch.testing.assert_close(by_hand, far[k], rtol=1e-4, atol=1e-5)


# Of a network (kind, step): median margin, median ratio and the ratio of its straight walls, for
# three seeds; where a name has one step, the others are not asked for.
MARGINS = {
    ("memorized", "fitted"): [0.2, 0.3, 0.1], ("memorized", None): [0.3, 0.2, 0.15],
    ("trained_small", "fitted"): [1.0, 0.6, 0.5], ("trained_small", None): [0.6, 1.0, 0.5],
}  # fmt: skip
RATIOS = {
    ("trained", None): [1.0, 1.2, 0.9], ("trained", "first"): [7.0, 8.0, 9.0],
    ("untrained", None): [0.5, 0.6, 0.4], ("linear", None): [0.9, 1.0, 1.1],
}  # fmt: skip
STRAIGHT = {
    ("trained", None): [0.5, 0.4, 0.3], ("trained", "first"): [5.0, 5.0, 5.0],
    ("untrained", None): [0.25, 0.3, 0.1],
}  # fmt: skip


def test_the_claims_are_judged_by_what_is_made_of_the_tables():
    def subject(kind, seed, step=None):
        if kind == "trained" and step is not None:
            assert step == 100 + seed, "the first kept step after the start is short training"
            step = "first"
        return (kind, step), seed

    def walks(net, x, seed):
        assert x == seed
        return net, None, seed

    def medians(net, _, seed):
        return {"margin": MARGINS.get(net, [9.0] * 3)[seed], "line": 5.0,
                "ratio": RATIOS.get(net, [9.0] * 3)[seed]}  # fmt: skip

    def half_way(kind, seed):
        return {"memorized": [1.0, 1.5, 0.5], "trained_small": [2.0, 5.0, 7.0]}[kind][seed]

    def median_ratio(kind, seed, count):
        few = {2: [1.4, 1.3, 1.5], 10: [1.0, 1.1, 0.8]}
        return few.get(count, [9.0] * 3)[seed] if kind == "trained" else 8.0

    def kept(seed, eps):
        if eps != 0.4:
            return {"random corner": 0.1, "FGSM": 0.2, "PGD": 0.3}
        return {"random corner": 1.0, "FGSM": [0.5, 0.6, 0.8][seed], "PGD": [0.4, 0.3, 0.7][seed]}

    given = {
        "SEEDS": range(3), "D": 64, "data": SimpleNamespace(name="digits"), "subject": subject,
        "walks": walks, "medians": medians, "half_way": half_way, "median_ratio": median_ratio,
        "training": SimpleNamespace(reference_steps=lambda data, seed: (0, 100 + seed, 900)),
        "if_straight": lambda net, x, seed: STRAIGHT[net][seed],
        "runner_up": lambda seed: [0.5, 0.75, 1.0][seed], "kept": kept,
        "miss": lambda kind, seed: {"trained": [0.1, 0.2, 0.3],
                                    "untrained": [0.05, 0.1, 0.4]}[kind][seed],
    }  # fmt: skip
    log = math.log
    same_claims(claimed("prologue", given), {
        "prologue/square_root": {"effect": [1.0, 1.2, 0.9], "rival": [0.1, 0.2, -0.2]},
        # Over straight walls trained 2, 3, 3 and untrained 2, 2, 4.
        "prologue/tolerance": {"effect": [0.0, log(3 / 2), log(3 / 4)]},
        # 0.2, 0.5, 0.2 at first and 0.5, 0.2, 0.3 at the end; the images alone: 0.5, 0.75, 0.25.
        "prologue/meaning": {"effect": [0.5, 0.5, 0.3], "rival": [0.0, -0.25, 0.05]},
        "prologue/many_walls": {"effect": [0.48, 0.38, 0.68], "control": [0.4, 0.2, 0.7]},
        "prologue/runner_up": {"effect": [0.5, 0.75, 1.0]},
        "prologue/first_order": {"effect": [0.1, 0.2, 0.3], "control": [0.05, 0.1, -0.1]},
        "prologue/fgsm_stops_early": {"effect": [0.1, 0.3, 0.1]},
    })  # fmt: skip
