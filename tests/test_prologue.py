"""The cells of the prologue that measure: which images a network is read at, and both walks.

What stands in a cell is no function of a room, so it is cut out here and tried where it is known.
"""

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
from companion import datasets, decision, distances, training

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


def one_wall(D, *, distance):
    """A network with the wall x_0 = 0, and points that far before it."""
    net = nn.Linear(D, 2, bias=False)
    with torch.no_grad():
        net.weight.zero_()
        net.weight[0, 0] = -1
    x = torch.zeros(600, D)
    x[:, 0] = -distance
    return net, x


def test_one_straight_wall_gives_the_null_line(chapter):
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
