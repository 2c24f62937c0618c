"""The cells of the chapter on rulers that measure, against NumPy and SciPy."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import nn

from cells import claimed, cut, made, same_claims
from companion import datasets, distances, models, training
from plain import Plain

CUT = ["changed", "read_all", "dimensions", "drop", "HOW", "RECIPE", "NO_DECAY", "LONGER",
       "normalised", "NETS", "kept"]  # fmt: skip


@pytest.fixture(scope="module")
def chapter():
    given = {
        "torch": torch, "nn": nn, "datasets": datasets, "distances": distances, "models": models,
        "training": training, "data": datasets.load("digits"),
    }  # fmt: skip
    return cut("distances/rulers", CUT, given)


def ways(x):
    """Distances (n, n) in SciPy."""
    rows = x.detach().flatten(1).double().numpy()
    return cdist(rows, rows)


def r(d, e, where):
    upper = np.triu(where, 1)
    return np.corrcoef(d[upper], e[upper])[0, 1]


def two_nn(x):
    d = np.sort(ways(x.flatten(1).unique(dim=0)), axis=1)
    return len(d) / np.log(d[:, 2] / d[:, 1]).sum()


def nc1(z, y):
    """From the covariances, with the pseudo-inverse on the C - 1 directions between classes."""
    z, y = z.detach().flatten(1).double().numpy(), y.numpy()
    means = np.stack([z[y == k].mean(axis=0) for k in np.unique(y)])
    inside, between = z - means[y], means - z.mean(axis=0)
    values, axes = np.linalg.eigh(between.T @ between / len(means))
    values, axes = values[-len(means) + 1 :], axes[:, -len(means) + 1 :]
    return ((inside @ axes) ** 2 / values).sum() / len(z) / len(means)


def cka_and_procrustes(x, z):
    a, b = (side.detach().flatten(1).double().numpy() for side in (x, z))
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    cka = ((a.T @ b) ** 2).sum() / np.linalg.norm(a.T @ a) / np.linalg.norm(b.T @ b)
    return cka, np.linalg.norm(a.T @ b, "nuc") ** 2 / ((a**2).sum() * (b**2).sum())


def cloud():
    dice = torch.Generator().manual_seed(0)
    y = (torch.arange(200) >= 100).long()
    return torch.randn(200, 2, generator=dice).double() + 2.0 * y[:, None], y


def test_the_changes_do_what_they_are_called(chapter):
    x, y = cloud()
    amount = 0.5
    z = chapter["changed"](x, y, amount)
    assert torch.equal(z["unchanged"], x)
    np.testing.assert_allclose(ways(z["turned, mirrored"]), ways(x), atol=1e-9)
    torch.testing.assert_close(z["one axis stretched"] / x, torch.tensor([1.0, 2.0]).double()
                               .expand(200, 2))  # fmt: skip
    way = z["classes moved"] - x
    assert not way[y == 0].any() and (way[y == 1] == way[-1]).all()
    assert way[-1].norm() == pytest.approx(amount * 5 * 2**0.5)
    for k in (0, 1):
        mean = x[y == k].mean(dim=0)
        torch.testing.assert_close(z["classes shrunk"][y == k] - mean, 0.6 * (x[y == k] - mean))
    assert z["thin noise"].shape == (200, 10) and torch.equal(z["thin noise"][:, :2], x)
    assert z["thin noise"][:, 2:].std() == pytest.approx(0.05, rel=0.1)
    for name, none in chapter["changed"](x, y, 0.0).items():
        if name not in ("turned, mirrored", "thin noise"):
            torch.testing.assert_close(none, x)


def test_five_rulers_on_each_of_the_six_clouds(chapter):
    here = made("distances/rulers", ["clouds"], {})
    x, y = here["cloud"], here["which"]
    assert len(here["clouds"]) == 6 and x.shape == (200, 2)
    for name, z in here["clouds"].items():
        reads_five(chapter["read_all"](x, z, y), x, z, y, name)


def reads_five(found, x, z, y, cloud):
    cka, procrustes = cka_and_procrustes(x, z)
    known = {
        "r within classes": r(ways(x), ways(z), (y[:, None] == y).numpy()),
        "linear CKA": cka, "1 − Procrustes": procrustes,
        "two-NN dimension": two_nn(z), "NC1": nc1(z, y),
    }  # fmt: skip
    assert list(found) == list(known)
    for name, value in known.items():
        # What is 0 comes out as rounding; nothing else here is so small.
        assert float(found[name]) == pytest.approx(value, rel=1e-6, abs=1e-9), (cloud, name)


@pytest.mark.parametrize("kind", ["trained", "untrained", "memorized", "linear", "trained_long"])
def test_the_dimension_is_read_off_each_network_at_its_images(chapter, kind):
    data = chapter["data"]
    found = chapter["dimensions"](kind, 1)
    which = ("trained", "linear") if kind == "linear" else (kind, "mlp")
    net = training.reference(data, which[0], model=which[1], seed=1)
    pool = data.x_train if kind == "memorized" else data.x_test
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(1))
    x = pool[order[:450]]
    layers = {"input": x} | models.representations(net, x, ["act1", "act2", "logits"])
    assert list(found) == list(layers)
    for name, z in layers.items():
        assert found[name] == pytest.approx(two_nn(z), rel=1e-6), name
    (fall,) = chapter["drop"]([found])
    assert float(fall) == pytest.approx(two_nn(x) / two_nn(layers["act2"]), rel=1e-6)


def test_the_networks_that_may_collapse_differ_in_what_they_are_called(chapter):
    nets, data = chapter["NETS"], chapter["data"]
    recipes = chapter["RECIPE"], chapter["NO_DECAY"], chapter["LONGER"]
    assert [(one.epochs, one.weight_decay) for one in recipes] == [
        (100, 5e-3), (100, 0.0), (300, 5e-3),
    ]  # fmt: skip
    for name, how in nets.items():
        built = how["model"](data) if callable(how["model"]) else None
        norms = built is not None and any(isinstance(m, nn.BatchNorm1d) for m in built)
        assert norms == ("batch norm" in name or "both" in name)
        assert (how["recipe"].weight_decay > 0) == ("alone" not in name or "decay alone" == name)
        assert (how.get("kind") == "memorized") == ("shuffled" in name)


@pytest.fixture
def small(private_cache):
    """`collapse` with networks that are quickly trained on a few digits."""
    digits = datasets.load("digits", n_train=60)
    quick = training.Recipe(epochs=120, lr=3e-3, batch_size=20)
    nets = {
        "plain": {"model": "mlp", "recipe": quick},
        "shuffled": {"model": "mlp", "recipe": quick, "kind": "memorized"},
    }
    given = {
        "torch": torch, "distances": distances, "models": models, "training": training,
        "digits": digits, "NETS": nets, "FEW": range(2),
    }  # fmt: skip
    return cut("distances/rulers", ["collapse", "shared_steps"], given)


def test_collapse_is_nc1_of_the_layer_before_the_logits_at_the_images_that_were_fitted(small):
    digits, quick = small["digits"], small["NETS"]["plain"]["recipe"]
    for name, kind, step, test in (
        ("plain", "trained", None, False), ("plain", "trained", "fitted", False),
        ("plain", "trained", None, True), ("shuffled", "memorized", None, False),
    ):  # fmt: skip
        found = small["collapse"](name, step, test=test)
        assert found.shape == (2,)
        for seed, one in enumerate(found):
            own = training.reference_data(digits, kind, seed=seed)
            x, y = (own.x_test, own.y_test) if test else (own.x_train, own.y_train)
            net = training.reference(digits, kind, seed=seed, step=step, recipe=quick)
            z = models.representations(net, x, ["act2"])["act2"]
            assert float(one) == pytest.approx(nc1(z, y), rel=1e-6)
    later = training.Recipe(epochs=150, lr=3e-3, batch_size=20)
    (one,) = small["collapse"]("shuffled", None, seeds=[1], recipe=later)
    own = training.reference_data(digits, "memorized", seed=1)
    net = training.reference(digits, "memorized", seed=1, recipe=later)
    z = models.representations(net, own.x_train, ["act2"])["act2"]
    assert float(one) == pytest.approx(nc1(z, own.y_train), rel=1e-6)


def test_collapse_with_batch_normalisation_is_that_of_the_weights(small, chapter):
    """The last hidden layer in NumPy, each mean and spread as training left them."""
    digits, how = small["digits"], {"lr": 0.05, "batch_size": 20, "optimizer": "sgd"}
    for name, decay in (("both", 5e-3), ("batch norm", 0.0)):
        recipe = training.Recipe(epochs=15, weight_decay=decay, **how)
        small["NETS"][name] = net = {"model": chapter["normalised"], "recipe": recipe}
        for step in ("fitted", None):
            found = small["collapse"](name, step)
            for seed, one in enumerate(found):
                plain = Plain(training.reference(digits, seed=seed, step=step, **net))
                z = plain.all(digits.x_train.flatten(1).numpy())[-2]
                known = nc1(torch.from_numpy(z), digits.y_train)
                assert float(one) == pytest.approx(known, rel=1e-6), (name, step)


def test_the_steps_are_those_that_all_seeds_have_after_the_start(small):
    kept = [
        training.reference_steps(small["digits"], seed=seed, **small["NETS"]["shuffled"])
        for seed in (0, 1)
    ]
    found = small["shared_steps"]("shuffled")
    assert found == sorted(set(kept[0]) & set(kept[1]) - {0}) and found[0] == 3


@pytest.mark.parametrize("kind", ["trained", "untrained"])
def test_what_three_rulers_kept_of_each_layer(chapter, kind):
    data = chapter["data"]
    x, y = data.x_test, data.y_test
    net = training.reference(data, kind, seed=2)
    layers = models.representations(net, x)
    found = dict(chapter["kept"](kind, 2))
    assert list(found) == list(layers)
    for name in layers:
        cka, procrustes = cka_and_procrustes(x, layers[name])
        known = {"within": r(ways(x), ways(layers[name]), (y[:, None] == y).numpy()),
                 "cka": cka, "procrustes": procrustes}  # fmt: skip
        for ruler, value in known.items():
            assert float(found[name][ruler]) == pytest.approx(value, rel=1e-6), (name, ruler)


def test_the_claims_are_judged_by_what_is_made_of_the_tables():
    falls = {"trained": [2.0, 1.5, 3.0], "memorized": [1.0, 1.2, 0.8], "linear": [1.5, 1.6, 2.0]}
    nc1 = {
        ("batch norm and decay", "fitted"): [0.8, 0.6, 0.9],
        ("batch norm and decay", None): [0.04, 0.06, 0.03],
        ("batch norm alone", "fitted"): [0.8, 0.9, 0.6],
        ("batch norm alone", None): [0.2, 0.1, 0.3],
        ("decay alone", "fitted"): [0.5, 0.6, 0.9], ("decay alone", None): [0.1, 0.2, 0.1],
        ("both, shuffled labels", None): [0.3, 0.5, 0.4],
    }  # fmt: skip

    def dimensions(kind, seed):
        fall = falls.get(kind, [7.0] * 3)[seed]
        return {"input": 4 * fall, "act1": 11.0, "act2": 4.0, "logits": 13.0}

    def collapse(name, step, *, test=False):
        assert not test
        return torch.tensor(nc1[name, step])

    given = {
        "SEEDS": range(3), "FEW": range(3), "data": SimpleNamespace(name="digits"),
        "dimensions": dimensions, "collapse": collapse,
    }  # fmt: skip
    same_claims(claimed("distances/rulers", given), {
        "rulers/dimension": {
            "effect": [2.0, 1.5, 3.0], "control": [1.0, 0.3, 2.2], "rival": [0.5, -0.1, 1.0],
        },
        # Alone 4, 9, 2 with batch normalisation and 5, 3, 9 with decay: the larger for each seed.
        "rulers/collapse": {"effect": [20.0, 10.0, 30.0], "control": [15.0, 1.0, 21.0]},
        "rulers/collapse_meaning": {
            "effect": [0.04, 0.06, 0.03], "control": [-0.26, -0.44, -0.37],
        },
    })  # fmt: skip
