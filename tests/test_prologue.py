"""The cells of the prologue that measure: which images a network is read at, and both walks.

What stands in a cell is no function of a room, so it is cut out here and tried where it is known.
"""

import json
from pathlib import Path

import pytest
import scipy.stats
import torch
from torch import nn
from torch.func import jacrev

from companion import datasets, decision, training

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def chapter():
    """The open cells of the chapter that define functions, run on digits."""
    notebook = json.loads((ROOT / "book" / "prologue.ipynb").read_text(encoding="utf-8"))
    defined = {
        "torch": torch, "jacrev": jacrev, "decision": decision, "training": training,
        "data": datasets.load("digits"), "D": 64, "IMAGES": 30,
    }  # fmt: skip
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if any(f"def {name}(" in source for name in ("deepfool", "straight_on", "walks", "told")):
            exec(source, defined)
        if "def subject(" in source:
            exec(source, defined)
    return defined


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
