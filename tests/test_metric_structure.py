"""The cells of the chapter on metric structure that measure, against NumPy and SciPy.

Which network is read, at which images and over which labels is what could be wrong here without a
verdict that changes.
"""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import nn

from cells import claimed, cut, same_claims
from companion import datasets, distances, models, training
from companion.book import widgets

CUT = ["shifted", "test_images", "WAYS", "moved_over_other", "a_torn_pair", "images", "read", "at",
       "LAYERS", "lost", "kept", "NETS", "last_hidden", "NAMES", "frame"]  # fmt: skip


@pytest.fixture(scope="module")
def chapter():
    digits = datasets.load("digits")
    small = training.reference_data(digits, "trained_small")
    sixty = datasets.stratified(small.y_train, 60, seed=0)
    x60, y60 = small.x_train[sixty], small.y_train[sixty]
    pairs = distances.within_class(y60).triu().nonzero(as_tuple=True)
    given = {
        "torch": torch, "nn": nn, "datasets": datasets, "distances": distances, "models": models,
        "training": training, "widgets": widgets, "data": digits, "digits": digits,
        "x": digits.x_test, "y": digits.y_test, "x60": x60, "pairs": pairs,
        "d60": distances.pairwise(x60)[pairs],
    }  # fmt: skip
    return cut("distances/metric_structure", CUT, given)


def ways(x):
    """Distances (n, n) in SciPy."""
    rows = x.detach().flatten(1).double().numpy()
    return cdist(rows, rows)


def r(d, e, where):
    upper = np.triu(np.asarray(where, dtype=bool), 1)
    return np.corrcoef(d[upper], e[upper])[0, 1]


def hidden(data, kind, seed, x, model="mlp", layer="act2"):
    net = training.reference(data, kind, model=model, seed=seed)
    return models.representations(net, x, [layer])[layer]


def equal(y):
    return (y[:, None] == y[None]).numpy()


def test_a_shift_moves_every_pixel_by_one_and_black_comes_in(chapter):
    x = torch.rand(3, 1, 5, 5)
    for right, down in chapter["WAYS"]:
        known = torch.zeros(3, 1, 5, 5)
        for i in range(5):
            for j in range(5):
                if 0 <= i - down < 5 and 0 <= j - right < 5:
                    known[:, :, i, j] = x[:, :, i - down, j - right]
        assert torch.equal(chapter["shifted"](x, right, down), known)
    assert sorted(chapter["WAYS"]) == [(-1, 0), (0, -1), (0, 1), (1, 0)]


def test_the_shift_is_held_against_the_nearest_image_of_another_class(chapter):
    data = chapter["data"]
    x, y = data.x_test, data.y_test
    far = np.where(equal(y), np.inf, ways(x)).min(axis=1)
    moved = np.zeros(len(x))
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        rolled = np.roll(x.numpy(), (down, right), axis=(2, 3))
        if right:
            rolled[..., 0 if right > 0 else -1] = 0
        if down:
            rolled[:, :, 0 if down > 0 else -1] = 0
        moved += np.sqrt(((rolled - x.numpy()) ** 2).sum(axis=(1, 2, 3))) / 4
    # A stratified draw of as many as there are holds all of them.
    known = np.median(moved / far)
    lower = np.sort(moved / far)[(len(x) - 1) // 2]  # torch's median is the lower of the two
    assert chapter["moved_over_other"](0) == pytest.approx(lower, rel=1e-6)
    assert lower == pytest.approx(known, rel=0.01)


def test_at_most_two_thousand_test_images_are_read(chapter):
    data = chapter["data"]
    x, y = chapter["test_images"](3)
    assert torch.equal(x, data.x_test) and torch.equal(y, data.y_test)
    many = dataclasses.replace(
        data, x_test=data.x_test.repeat(5, 1, 1, 1), y_test=data.y_test.repeat(5)
    )
    two = cut("distances/metric_structure", ["test_images"], {"datasets": datasets, "data": many})
    x, y = two["test_images"](3)
    assert len(x) == len(y) == 2000
    share = y.bincount() / many.y_test.bincount()
    assert (share - 2000 / 2250).abs().max() < 0.01
    assert (torch.cdist(x.flatten(1), data.x_test.flatten(1)).amin(dim=1) < 1e-3).all()


def test_each_network_is_read_at_its_images_with_its_labels(chapter):
    data, images = chapter["data"], chapter["images"]
    assert torch.equal(images("test", 1)[0], data.x_test)
    for of in ("memorized", "trained_small", "untrained"):
        x, y = images(of, 1)
        known = training.reference_data(data, of, seed=1)
        assert torch.equal(x, data.x_train) and torch.equal(y, known.y_train)
    assert not torch.equal(images("memorized", 1)[1], data.y_train)
    assert torch.equal(images("trained_small", 1)[1], data.y_train)


@pytest.mark.parametrize(
    ("kind", "of"),
    [("trained", "test"), ("untrained", "test"), ("linear", "test"), ("trained_long", "test"),
     ("memorized", "trained_small"), ("memorized", "memorized"),
     ("trained_small", "trained_small")],
)  # fmt: skip
def test_r_and_g_are_read_off_the_network_that_is_named(chapter, kind, of):
    data = chapter["data"]
    fates = chapter["read"](kind, of, 1)
    x, y = chapter["images"](of, 1)
    which = ("trained", "linear") if kind == "linear" else (kind, "mlp")
    d, same = ways(x), equal(y)
    apart = ~same
    np.fill_diagonal(same, False)
    assert list(fates) == list(chapter["LAYERS"])
    for layer in ("act1", "act2", "logits"):
        e = ways(hidden(data, which[0], 1, x, which[1], layer))
        assert float(fates[layer].within) == pytest.approx(r(d, e, same), abs=1e-6)
        ratio = (e[apart].mean() / e[same].mean()) / (d[apart].mean() / d[same].mean())
        assert float(fates[layer].apart) == pytest.approx(ratio, rel=1e-6)
    rows = chapter["at"]([fates, fates], "apart", "act1")
    assert torch.equal(rows, torch.stack([fates["act1"].apart] * 2))


@pytest.mark.parametrize("kind", ["trained_small", "memorized"])
def test_what_is_lost_is_counted_from_the_networks_own_start_on_its_own_pairs(chapter, kind):
    data = chapter["data"]
    x, y = chapter["images"](kind, 2)
    d, same = ways(x), equal(y)
    start, end = (ways(hidden(data, of, 2, x)) for of in ("untrained", kind))
    found = chapter["lost"](kind, 2)
    for pairs, lost in ((same, found.within), (~same, found.between)):
        assert float(lost) == pytest.approx(r(d, start, pairs) - r(d, end, pairs), abs=1e-6)


@pytest.mark.parametrize("kind", ["memorized", "trained_small"])
def test_what_four_rulers_kept(chapter, kind):
    data = chapter["data"]
    x, y = chapter["images"]("trained_small", 0)
    z = hidden(data, kind, 0, x)
    found = chapter["kept"](kind, 0)
    d, e = ways(x), ways(z)
    a, b = (side.flatten(1).double().numpy() for side in (x, z))
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    squares = (a**2).sum() * (b**2).sum()
    known = {
        "r, one class": r(d, e, equal(y)),
        "r, all pairs": r(d, e, np.ones_like(d)),
        "CKA": ((a.T @ b) ** 2).sum() / np.linalg.norm(a.T @ a) / np.linalg.norm(b.T @ b),
        "1 − Procrustes": np.linalg.norm(a.T @ b, "nuc") ** 2 / squares,
    }
    assert list(found) == list(known)
    for name, value in known.items():
        assert float(found[name]) == pytest.approx(value, abs=1e-6), name


def test_the_torn_pairs_were_equally_far_apart_before_training(chapter):
    data = chapter["data"]
    x, y = data.x_test, data.y_test
    d, start, end = (ways(z) for z in (
        x, hidden(data, "untrained", 0, x), hidden(data, "trained", 0, x)))  # fmt: skip
    own = np.triu(equal(y), 1)
    near = own.copy()
    for e in (d, start):
        # torch's median is the lower of the two in the middle.
        middle = np.sort(e[own])[(own.sum() - 1) // 2]
        near &= abs(e / middle - 1) < 0.03
    (far, three), (close, other) = chapter["a_torn_pair"]()
    assert end[tuple(far.tolist())] == pytest.approx(end[near].max(), rel=1e-4)
    assert end[tuple(close.tolist())] == pytest.approx(end[near].min(), rel=1e-4)
    for pair, told in ((far, three), (close, other)):
        i, j = pair.tolist()
        known = [e[i, j] / e[own].mean() for e in (d, start, end)]
        assert told == pytest.approx(known, rel=1e-4)


@pytest.mark.parametrize(("model", "kind"), [("mlp", "untrained"), ("lenet", "trained")])
def test_the_last_hidden_layer_is_the_one_before_the_logits(chapter, model, kind):
    data = chapter["data"]
    net = training.reference(data, kind, model=model)
    layers = models.representations(net, data.x_test)
    *_, z, logits = layers.values()
    torch.testing.assert_close(logits, net(data.x_test).detach())
    known = r(ways(data.x_test), ways(z), equal(data.y_test))
    assert chapter["last_hidden"](model, kind, 0) == pytest.approx(known, abs=1e-6)


def test_a_frame_shows_the_pairs_of_the_network_that_the_switch_names(chapter):
    data, x60 = chapter["data"], chapter["x60"]
    assert set(chapter["NAMES"].values()) == {"trained_small", "memorized", "untrained"}
    for name, layer, tap in (("trained, small set", "hidden 2", "act2"),
                             ("memorized", "logits", "logits")):  # fmt: skip
        kind = chapter["NAMES"][name]
        step = training.reference_steps(data, kind)[-1]
        frame = chapter["frame"](name, layer, step)
        e = ways(hidden(data, kind, 0, x60, layer=tap))[tuple(p.numpy() for p in chapter["pairs"])]
        known = np.corrcoef(chapter["d60"].numpy(), e)[0, 1]
        assert float(frame.text.removeprefix("r = ")) == pytest.approx(known, abs=6e-4)
        ((across, up),) = frame.parts
        assert across.mean() == pytest.approx(1, abs=1e-4)
        np.testing.assert_allclose(up, e / e.mean(), rtol=1e-3)


def test_the_claims_are_judged_by_what_is_made_of_the_tables():
    within = {
        ("trained", "test"): [0.5, 0.6, 0.7, 0.4], ("untrained", "test"): [0.9, 0.8, 0.9, 0.8],
        ("linear", "test"): [0.6, 0.5, 0.7, 0.6], ("trained_long", "test"): [0.4, 0.5, 0.8],
    }  # fmt: skip
    apart = {
        ("trained", "test"): [1.5, 1.6, 1.4, 2.0], ("linear", "test"): [1.4, 1.2, 1.5, 1.1],
        ("memorized", "trained_small"): [0.9, 1.0, 0.8, 1.1],
    }  # fmt: skip
    kept = {
        "memorized": {"r, one class": [0.8, 0.7, 0.6, 0.9], "r, all pairs": [0.5, 0.6, 0.3, 0.4]},
        "trained_small": {"r, one class": [0.6, 0.6, 0.7, 0.5],
                          "r, all pairs": [0.7, 0.5, 0.6, 0.9]},
    }  # fmt: skip

    def read(kind, of, seed):
        def one(of_all, *, scale=1):
            return torch.tensor(scale * of_all.get((kind, of), [9.0] * 4)[seed])

        other = SimpleNamespace(within=torch.tensor(5.0), apart=torch.tensor(6.0))
        last = SimpleNamespace(within=one(within), apart=one(apart))
        return {"input": other, "act1": other, "act2": last, "logits": other}

    def lost(kind, seed):
        between = {"trained_small": [0.1, 0.0, 0.2, 0.1], "memorized": [0.3, 0.2, 0.1, 0.4]}
        ends = {"trained_small": [0.3, 0.4, 0.3, 0.2], "memorized": [0.3, 0.1, 0.2, 0.2]}
        return distances.Lost(*(torch.tensor(part[kind][seed]) for part in (ends, between)))

    given = {
        "SEEDS": range(4), "data": SimpleNamespace(name="digits"), "read": read, "lost": lost,
        "moved_over_other": lambda seed: [1.5, 0.5, 1.2, 1.1][seed],
        "kept": lambda kind, seed: {name: torch.tensor(values[seed])
                                    for name, values in kept[kind].items()},
    }  # fmt: skip
    same_claims(claimed("distances/metric_structure", given), {
        "metric_structure/shift_other": {"effect": [1.5, 0.5, 1.2, 1.1]},
        "metric_structure/tearing": {
            "effect": [0.5, 0.4, 0.3, 0.6], "control": [0.4, 0.2, 0.2, 0.4],
            "rival": [0.1, -0.1, 0.0, 0.2],
        },
        "metric_structure/longer": {"effect": [0.1, 0.1, -0.1]},
        "metric_structure/fitting": {
            "effect": [0.2, 0.4, 0.1, 0.1], "control": [0.2, 0.5, 0.0, 0.3],
        },
        "metric_structure/apart": {
            "effect": [1.5, 1.6, 1.4, 2.0], "control": [0.6, 0.6, 0.6, 0.9],
            "rival": [0.1, 0.4, -0.1, 0.9],
        },
        # Kept by the memorized network more than by its twin: 0.2, 0.1, -0.1, 0.4 over the pairs
        # of one class, -0.2, 0.1, -0.3, -0.5 over all.
        "metric_structure/rulers_pairs": {"effect": [0.4, 0.0, 0.2, 0.9]},
        "metric_structure/rulers_all": {"effect": [0.2, -0.1, 0.3, 0.5]},
    })  # fmt: skip
