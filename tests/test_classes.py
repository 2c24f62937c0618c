"""What a network does to the distances of labelled samples, against SciPy and plain loops."""

import dataclasses
import inspect

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist, squareform
from torch import nn

from companion import distances
from companion.models import MLP, representations


@pytest.fixture
def cloud():
    """Labelled samples (30, 1, 2, 3), no class first or last, and their labels."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(30, 1, 2, 3, generator=generator, dtype=torch.float64)
    return x, torch.arange(30) * 7 % 3


def by_loops(x, z, y):
    """r within classes and the ratio of z over that of x, one pair after the other, in SciPy."""
    a, b = (squareform(pdist(side.flatten(1).numpy())) for side in (x, z))
    pairs = [(i, j) for i in range(len(y)) for j in range(i)]
    same = [(i, j) for i, j in pairs if y[i] == y[j]]
    other = [(i, j) for i, j in pairs if y[i] != y[j]]
    r = np.corrcoef([a[p] for p in same], [b[p] for p in same])[0, 1]
    ratios = [np.mean([d[p] for p in other]) / np.mean([d[p] for p in same]) for d in (a, b)]
    return r, ratios[1] / ratios[0]


def test_through_is_what_loops_in_scipy_say(cloud):
    x, y = cloud
    torch.manual_seed(0)
    net = MLP((6, 8, 4, 3), dtype=torch.float64)
    fates = distances.through(net, x, y)
    layers = representations(net, x)
    assert list(fates) == ["input", *layers]
    for name, z in layers.items():
        r, apart = by_loops(x, z, y)
        assert float(fates[name].within) == pytest.approx(r, abs=1e-9)
        assert float(fates[name].apart) == pytest.approx(apart, rel=1e-9)


def test_what_training_took_is_what_loops_in_scipy_say(cloud):
    x, y = cloud
    torch.manual_seed(0)
    before, after = torch.randn(30, 4).double(), torch.randn(30, 2, 2).double()
    a, b, c = (squareform(pdist(z.flatten(1).numpy())) for z in (x, before, after))
    found = distances.lost(x, before, after, y)
    for equal, one in ((True, found.within), (False, found.between)):
        pairs = [(i, j) for i in range(30) for j in range(i) if (y[i] == y[j]) == equal]
        r = [np.corrcoef([a[p] for p in pairs], [z[p] for p in pairs])[0, 1] for z in (b, c)]
        assert float(one) == pytest.approx(r[0] - r[1], abs=1e-9)
    assert float(found.beyond) == pytest.approx(float(found.within) - float(found.between))


def test_a_class_that_is_torn_loses_and_classes_that_move_do_not(cloud):
    x, y = cloud
    moved = x.flatten(1) + 50 * torch.eye(6, dtype=x.dtype)[y]
    found = distances.lost(x, 3 * x, moved, y)
    assert float(found.within) == pytest.approx(0, abs=1e-9) and found.between > 0.2
    torn = x.flatten(1) * torch.tensor([9.0, 1, 1, 1, 1, 1], dtype=x.dtype)
    assert distances.lost(x, x, torn, y).within > 0.2
    assert float(distances.lost(x, torn, torn, y).beyond) == 0


def test_what_is_found_prints_in_one_line(cloud):
    x, y = cloud
    near = distances.nearest(x, y)
    own, other = (f"{float(way.median()):.4g}" for way in (near.own, near.other))
    assert repr(near) == f"Neighbours(of 30 samples; medians: own {own}, other {other} away)"
    net = nn.Sequential(nn.Flatten(), nn.Identity())
    assert repr(distances.through(net, x, y)["1"]) == "Fate(within=1, apart=1)"
    assert repr(distances.lost(x, x, x, y)) == "Lost(within=0, between=0)"
    for found in (near, distances.through(net, x, y)["1"], distances.lost(x, x, x, y)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            found.within = found.own = 0


def test_through_reads_the_layers_that_are_asked_for(cloud):
    torch.manual_seed(0)
    net = MLP((6, 8, 4, 3), dtype=torch.float64)
    assert list(distances.through(net, *cloud, layers=["act2"])) == ["input", "act2"]


def test_the_input_and_a_rigid_copy_keep_everything(cloud):
    turn = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))[0]
    rigid = nn.Linear(6, 6, dtype=torch.float64)
    rigid.weight.data = 3 * turn
    fates = distances.through(nn.Sequential(nn.Flatten(), rigid), *cloud)
    fate = list(fates.values())[-1]
    assert (fates["input"].within, fates["input"].apart) == (1, 1)
    assert float(fate.within) == pytest.approx(1) and float(fate.apart) == pytest.approx(1)


def test_classes_moved_rigidly_are_pulled_apart_and_not_torn(cloud):
    x, y = cloud
    d = distances.pairwise(x)
    moved = x.flatten(1) + 50 * torch.eye(6, dtype=x.dtype)[y]
    e = distances.pairwise(moved)
    same = distances.within_class(y)
    assert float(distances.correlation(d, e, where=same)) == pytest.approx(1)
    assert distances.between_within(e, y) > 10 * distances.between_within(d, y)


def test_labels_that_say_nothing_have_ratio_one():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(600, 20, generator=generator)
    y = torch.randint(0, 4, (600,), generator=generator)
    assert float(distances.between_within(distances.pairwise(x), y)) == pytest.approx(1, abs=0.01)


def test_nearest_is_what_a_loop_finds(cloud):
    x, y = cloud
    found = distances.nearest(x, y)
    rows = x.flatten(1).numpy()
    for i in range(len(y)):
        own = [j for j in range(len(y)) if y[j] == y[i] and j != i]
        other = [j for j in range(len(y)) if y[j] != y[i]]
        for places, d, place in (
            (own, found.own[i], found.own_place[i]),
            (other, found.other[i], found.other_place[i]),
        ):
            ways = cdist(rows[[i]], rows[places])[0]
            assert float(d) == pytest.approx(ways.min())
            assert int(place) == places[ways.argmin()]


def test_a_copy_is_a_neighbour_at_distance_zero():
    found = distances.nearest(torch.tensor([1.0, 1.0, 5.0, 6.0]), torch.tensor([0, 0, 1, 1]))
    assert found.own[:2].tolist() == [0, 0] and found.own_place[:2].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0, 0, 1], "sample 2 with label 1 has no other sample of its class"),
        ([0, 0, 0], "sample 0 with label 0 has no sample of another one"),
    ],
)
def test_nearest_names_what_is_missing(labels, said):
    with pytest.raises(ValueError, match=said):
        distances.nearest(torch.rand(3, 2), torch.tensor(labels))


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_a_ratio_needs_both_kinds_of_pairs(labels):
    with pytest.raises(ValueError, match="make no pair of equal or none of different label"):
        distances.between_within(torch.rand(3, 3), torch.tensor(labels))


def test_every_sample_needs_a_label():
    with pytest.raises(ValueError, match=r"there are 3 samples and y has shape \(2,\)"):
        inspect.unwrap(distances.nearest)(torch.rand(3, 2), torch.tensor([0, 0]))
