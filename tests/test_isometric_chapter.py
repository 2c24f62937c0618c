"""The cells of the isometric chapter that measure, tried where the answer is known.

What stands in a cell is no function of a room, so it is cut out here.
"""

import copy
import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
import torch
from scipy.spatial.distance import pdist

from cells import claimed, cut, same_claims
from companion import datasets, distances, isometry, models, training
from plain import Plain, climbed, double, withstood

ROOT = Path(__file__).resolve().parents[1]
WANTED = ["r_within", "stopped", "attacked", "walked", "kept_share", "quantiles", "flattery"]


@pytest.fixture(scope="module")
def chapter():
    """The set-up cell on digits, with short runs, and the functions of later cells."""
    path = ROOT / "book" / "distances" / "isometric_regularization.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    set_up = next("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code")
    # The cell sets the style of its figures, which is no other test's.
    with pytest.MonkeyPatch.context() as patch, matplotlib.rc_context():
        patch.setenv("COMPANION_DATASET", "digits")
        defined = {}
        exec(set_up.replace("%pip", "pass #"), defined)
    defined |= {"LENGTHS": (1, 3), "SHORT": 1, "LONG": 3, "SEEDS": range(2)}
    defined["RECIPE"] = training.Recipe(3, 3e-3, batch_size=100)
    return cut("distances/isometric_regularization", WANTED, defined)


def test_a_run_is_read_after_each_length_without_being_trained_anew(chapter):
    data, found = chapter["data"], chapter["readings"]("isometric", 1)
    assert list(found) == [1, 3]
    for epochs, (loss, net) in found.items():
        twin = chapter["untrained"](1)
        training.fit(twin, data.x_train, data.y_train, training.Recipe(epochs, 3e-3, 100),
                     penalty=chapter["HOW"]["isometric"], seed=1)  # fmt: skip
        # Up to 42 float32 steps: all seeds at once, and one alone, which round in other places.
        for one, other in zip(net.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
        log_p = scipy.special.log_softmax(net(data.x_train).detach().double().numpy(), axis=1)
        assert loss == pytest.approx(-log_p[range(len(log_p)), data.y_train].mean(), rel=1e-5)


def test_the_methods_are_what_they_are_called(chapter):
    assert chapter["HOW"]["plain"] is None and chapter["HOW"]["pixels"] is None
    for name, formula in (("isometric", shape), ("scale-only", size)):
        penalty, net = chapter["HOW"][name], chapter["untrained"](0)
        x, y = chapter["x_train"][:60], chapter["y_train"][:60]
        expected = chapter["BEST"] * formula(x.numpy(), chapter["tapped"](net, x).numpy(), y)
        assert float(penalty(net, x, y).detach()) == pytest.approx(expected, rel=1e-4)
    net = chapter["pixels"](0)
    x = chapter["x_test"][:5]
    assert torch.equal(chapter["tapped"](net, x), x)


def pairs(x, z, y):
    """Distances of each class before and after, its pairs once."""
    own = [(y == c).numpy() for c in y.unique()]
    return (np.concatenate([pdist(a[mask].astype(float)) for mask in own]) for a in (x, z))


def shape(x, z, y):
    before, after = pairs(x, z, y)
    return 2 * ((after - before) ** 2).sum() / len(y) ** 2


def size(x, z, y):
    before, after = pairs(x, z, y)
    return 2 * len(before) / len(y) ** 2 * (after.mean() - before.mean()) ** 2


def test_r_is_scipys_correlation_of_the_pairs_of_one_class(chapter):
    _, net = chapter["readings"]("plain", 0)[3]
    x, y = chapter["x_test"], chapter["y_test"]
    before, after = pairs(x.numpy(), chapter["tapped"](net, x).numpy(), y)
    expected = scipy.stats.pearsonr(before, after).statistic
    assert chapter["r_within"](net) == pytest.approx(expected, abs=1e-6)


def test_the_rival_is_plain_and_has_just_reached_the_loss_of_the_isometric_one(chapter):
    wanted, _ = chapter["readings"]("isometric", 0)[3]
    loss, net = chapter["stopped"](0, 3)
    assert loss <= wanted
    x, y = chapter["x_train"], chapter["y_train"]
    plain = chapter["untrained"](0)
    steps = range(43)
    history = training.fit(plain, x, y, chapter["RECIPE"], seed=0, snapshots=steps)
    for step in range(0, 43, 2):
        plain.load_state_dict(history.snapshots[step])
        if training.mean_loss(plain, x, y) <= wanted:
            break
    assert all(map(torch.equal, net.state_dict().values(), plain.state_dict().values()))


def test_shares_of_the_torus_are_counted_beyond_the_edge_and_in_the_own_unit(chapter):
    gap = torch.tensor([0.05, 0.3, 0.3, 0.4, 0.5])
    around = torch.tensor([1.0, 1.05, 0.85, 0.95, 1.2])
    chapter["walks"] = {"isometric": [(gap, around, around), (gap, 2 * around, around)]}
    assert chapter["kept_share"]("isometric").tolist() == [0.5, 0.0]
    low, mid, high = chapter["quantiles"]("isometric", 0.25, 0.45)
    both = torch.cat([around[1:4], 2 * around[1:4]])
    expected = np.quantile(both.numpy(), [0.05, 0.5, 0.95])
    np.testing.assert_allclose([low, mid, high], expected, rtol=1e-6)


def test_a_walk_does_not_depend_on_the_unit_of_the_network(chapter):
    chapter["TORUS"] = datasets.torus(side=8, bands=4)
    net = training.initialised(lambda: isometry.IsometricStack(3, [(9,)], (4,)), 3)
    first = chapter["walked"](net)

    class Halved(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.tap1 = net, torch.nn.Identity()

        def forward(self, x):
            return self.net.readout(2 * self.tap1(self.net.tap(0, x) / 2))

    second = chapter["walked"](Halved())
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other)


@pytest.fixture(scope="module")
def exact(chapter):
    """Networks after the short run and the images they are attacked at, all in float64."""
    nets = {kind: copy.deepcopy(chapter["readings"](kind, 0)[3][1]).double()
            for kind in ("plain", "isometric", "scale-only", "pixels")}  # fmt: skip
    data = dataclasses.replace(chapter["data"], x_test=chapter["data"].x_test.double())
    x, y = chapter["x_test"][:130].double(), chapter["y_test"][:130]
    return nets, chapter | {"data": data, "x_test": x, "y_test": y}


@pytest.mark.parametrize("kind", ["plain", "isometric", "pixels"])
def test_what_is_measured_of_a_network_is_what_numpy_and_scikit_learn_find(exact, kind):
    nets, given = exact
    found = cut("distances/isometric_regularization", ["r_within", "measured"], given)["measured"](
        nets[kind], "tap1"
    )
    plain, x, y = Plain(nets[kind]), given["x_test"].numpy(), given["y_test"].numpy()
    left = withstood(plain, x, y, eps=given["EPS"], steps=given["STEPS"], bounds=(0, 1))
    assert found["robust"] == pytest.approx(left.mean(), abs=1e-6) and 0 < left.mean() < 1
    every = given["data"]
    answers = plain(every.x_test.numpy()).argmax(axis=1)
    known = sklearn.metrics.accuracy_score(every.y_test, answers)
    assert found["clean"] == pytest.approx(known, abs=1e-6)
    *_, z, _ = plain.all(x)
    known = scipy.stats.pearsonr(*pairs(x, z, given["y_test"])).statistic
    assert found["r"] == pytest.approx(known, abs=1e-6)


@pytest.mark.parametrize("kind", ["isometric", "scale-only"])
def test_the_published_step_follows_the_gradient_of_both_parts_of_the_loss(exact, kind):
    """Of the cross-entropy, by the chain rule, and of formula (1), pair by pair."""
    nets, given = exact
    seen_by = SimpleNamespace(accuracy=lambda net, x, y: x)
    published = cut("distances/isometric_regularization", ["published"],
                    given | {"training": seen_by})["published"]  # fmt: skip
    plain, x, y = Plain(nets[kind]), given["x_test"].numpy(), given["y_test"].numpy()
    for eps, penalty in ((0.1, given["HOW"][kind]), (0.05, None)):
        known = []
        for k in (slice(100), slice(100, 130)):
            _, _, gradient = climbed(plain, x[k], y[k], "cross_entropy")
            if penalty:
                formula = {"isometric": shape_pull, "scale-only": size_pull}[kind]
                seen = plain.all(x[k])[:-1]
                pull = given["BEST"] * formula(x[k], seen[-1], y[k])
                gradient = gradient / len(x[k]) + plain.back(seen, pull)
            known.append(np.clip(x[k] + eps * np.sign(gradient), 0, 1))
        found = published(nets[kind], eps, penalty).numpy()
        np.testing.assert_allclose(found, np.concatenate(known), rtol=0, atol=1e-9)


def shape_pull(x, z, y):
    """Gradients of formula (1) with K = 1 at z; the data are its constants."""
    before, after, way, same = between(x, z, y)
    factor = 4 / len(y) ** 2 * np.where(same, 1 - before / after, 0)
    return (factor[:, :, None] * way).sum(axis=1)


def size_pull(x, z, y):
    """Gradients of the same with the mean distances in place of the distances."""
    before, after, way, same = between(x, z, y)
    gap = (after[same].mean() - before[same].mean()) * 4 / len(y) ** 2
    return gap * (np.where(same, 1 / after, 0)[:, :, None] * way).sum(axis=1)


def between(x, z, y):
    """Distances before and after, the way from each to each, and which pairs count."""
    way = z[:, None] - z[None]
    before, after = (np.sqrt(((a[:, None] - a[None]) ** 2).sum(axis=2)) for a in (x, z))
    np.fill_diagonal(after, 1)
    return before, after, way, (y[:, None] == y) & ~np.eye(len(y), dtype=bool)


def test_a_walk_round_the_torus_is_what_the_chain_rule_gives():
    """Way to a change of label, stretches round and along the tube, share that is kept."""
    torus = datasets.torus(side=10, bands=4)
    net = training.initialised(lambda: isometry.IsometricStack(3, [(20,) * 5], (4,)), 0)
    training.fit(net, torus.x_train, torus.y_train, training.Recipe(90, lr=3e-3),
                 penalty=isometry.isometry_penalty(10, "tap1"))  # fmt: skip
    given = {"TORUS": torus, "torch": torch, "distances": distances, "isometry": isometry,
             "models": models, "walks": {}}  # fmt: skip
    here = cut("distances/isometric_regularization", ["tapped", "walked", "kept_share"], given)
    found = here["walked"](net)
    plain, x = Plain(net), double(torus.x_train)
    z, own = plain.all(x)[-2], [torus.y_train.numpy() == c for c in range(4)]
    unit = np.concatenate([pdist(z[one]) / pdist(x[one]) for one in own]).mean()
    t, known = 2 * np.pi * (np.arange(720) + 0.5) / 720, [[], [], []]
    for p in (0.3, 1.9, 3.4, 5.0):
        ring, none = 1 + 0.66 * np.cos(t), 0 * t
        x = np.stack([ring * np.cos(p), ring * np.sin(p), 0.66 * np.sin(t)], axis=1)
        around = np.stack([-np.sin(t) * np.cos(p), -np.sin(t) * np.sin(p), np.cos(t)], axis=1)
        along = np.stack([none - np.sin(p), none + np.cos(p), none], axis=1)
        seen = plain.all(x)
        labels, step = seen[-1].argmax(axis=1), 2 * np.pi * 0.66 / 720
        changes = np.flatnonzero(labels != np.roll(labels, -1)) + 0.5
        away = abs(np.arange(720)[:, None] - changes)
        known[0].append(step * np.minimum(away, 720 - away).min(axis=1))
        slopes = np.stack([plain.back([layer[k] for layer in seen[:-1]], np.eye(20))
                           for k in range(720)])  # fmt: skip
        for part, v in zip(known[1:], (around, along), strict=True):
            part.append(np.linalg.norm((slopes * v[:, None]).sum(axis=2), axis=1) / unit)
    gap, *ways = map(np.concatenate, known)
    np.testing.assert_allclose(found[0], gap, rtol=0, atol=1e-5)
    for ours, theirs in zip(found[1:], ways, strict=True):  # float32, point by point
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)
        assert float(ours.double().mean()) == pytest.approx(theirs.mean(), rel=1e-6)
    here["walks"]["isometric"] = [found]
    share = (abs(ways[0] - 1) <= 0.1)[gap >= 0.2].mean()
    # A point that lies on the edge of a tenth may be counted or not.
    one = 1.5 / (gap >= 0.2).sum()
    assert float(here["kept_share"]("isometric")) == pytest.approx(share, abs=one)
    assert 0.05 < share < 0.95


def test_flattery_is_what_the_full_loss_leaves_more(chapter):
    chapter["published"] = lambda net, eps, penalty: 0.3 if penalty is None else 0.7
    assert chapter["flattery"]("isometric", 0) == pytest.approx(0.4)


# A network is its name here: (way to train, seed, epochs). What each keeps under attack:
ROBUST = {
    ("isometric", 2): [0.8, 0.7, 0.9], ("plain", 2): [0.5, 0.6, 0.4],
    ("scale-only", 2): [0.6, 0.5, 0.7], ("pixels", 2): [0.7, 0.8, 0.6],
    ("early", 2): [0.6, 0.9, 0.5], ("K = 10", 2): [0.6, 0.4, 0.7],
    ("isometric", 6): [0.6, 0.5, 0.7], ("plain", 6): [0.3, 0.6, 0.5],
    ("early", 6): [0.4, 0.5, 0.9],
}  # fmt: skip


def test_the_claims_are_judged_by_what_is_made_of_the_tables():
    r = {"isometric": [0.8, 0.9, 0.7], "plain": [0.5, 0.4, 0.6], "untrained": [0.7, 0.9, 0.5]}
    clean = {"isometric": [0.90, 0.95, 0.92], "plain": [0.93, 0.94, 0.92]}

    def measured(net, tap="tap1"):
        kind, seed, epochs = net
        assert tap == ("tap1" if kind == "pixels" else "its tap")
        robust = ROBUST.get((kind, epochs), [7.0] * 3)[seed]
        return {"r": r.get(kind, [9.0] * 3)[seed], "clean": clean.get(kind, [8.0] * 3)[seed],
                "robust": robust}  # fmt: skip

    def named(kind, epochs):
        return [(kind, seed, epochs) for seed in range(3)]

    def stacks(lengths, beta, loss):
        assert lengths == (2,) and beta == 0.1 and loss.keywords == {"scale": 10}
        return {2: named("K = 10", 2)}

    def flattery(kind, seed):
        return {"isometric": [0.2, 0.1, 0.3], "scale-only": [0.1, 0.2, 0.1]}[kind][seed]

    # Three of four points away from the change of label keep their length, then one of two.
    gap = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5])
    good, bad = torch.tensor([9, 1, 1.05, 0.95, 1.2]), torch.tensor([9, 1, 1.2, 0.5, 1.05])
    untrained = torch.tensor([1, 2, 2, 2, 1.0])
    given = {
        "SEEDS": range(3), "LENGTHS": (2, 6), "SHORT": 2, "LONG": 6, "BETAS": (0, 1, 100),
        "BEST": 100, "EPS": 0.1, "COLOUR": False, "TAP": "its tap",
        "data": SimpleNamespace(name="digits"),
        "HOW": dict.fromkeys(("plain", "isometric", "scale-only", "pixels")),
        "readings": lambda kind, seed: {
            epochs: (0.5, (kind, seed, epochs)) for epochs in (2, 4, 6)},
        "stopped": lambda seed, epochs: (0.5, ("early", seed, epochs)),
        "with_weight": lambda beta: named(
            {0: "plain", 1: "in between", 100: "isometric"}[beta], 2),
        "measured": lambda net, tap="its tap": measured(net, tap),
        "untrained": lambda seed: ("untrained", seed), "stacks": stacks, "flattery": flattery,
        "r_within": lambda net: r[net[0]][net[1]],
        "left_at": lambda net, eps: ROBUST[net[0], net[2]][net[1]] if eps == 0.1 else 7.0,
        "walks": {"isometric": [(gap, good, bad), (gap, bad, good), (gap, bad, bad)],
                  "untrained": [(gap, untrained, good)] * 3},
    }  # fmt: skip
    found = claimed("distances/isometric_regularization", given)
    known = {
        "interior": {"effect": [0.75, 0.5, 0.5], "control": [0.5, 0.25, 0.25]},
        "kept": {"effect": [0.3, 0.5, 0.1], "control": [0.1, 0.0, 0.2]},
        "accurate": {"effect": [-0.03, 0.01, 0.0]},
        # Over plain training of the same length; stopped early has 0.1, 0.3, 0.1, later
        # 0.1, -0.1, 0.4.
        "robust": {"effect": [0.3, 0.1, 0.5], "rival": [0.2, -0.2, 0.4]},
        "robust_long": {"effect": [0.3, -0.1, 0.2], "rival": [0.2, 0.0, -0.2]},
        "beyond_pixels": {"effect": [0.1, -0.1, 0.3]},
        "metric": {"effect": [0.2, 0.2, 0.2]},
        "flattered": {"effect": [0.2, 0.1, 0.3], "rival": [0.1, -0.1, 0.2]},
        "published": {"effect": [0.1, -0.2, 0.3]},
    }  # fmt: skip
    same_claims(found, {f"isometric_regularization/{key}": one for key, one in known.items()})
