"""The toy sets against their definitions: closed forms, seeds, and each sentence."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from companion.datasets import linked_circles, one_feature, parity_slabs, slabs, torus

F64 = {"dtype": torch.float64}
RANDOM = {
    "torus": lambda seed, **options: torus(side=8, test_side=10, noise=0.1, seed=seed, **options),
    "one_feature": lambda seed, **options: one_feature(0.3, n=30, dim=6, seed=seed, **options),
    "slabs": lambda seed, **options: slabs(0.3, n=30, dim=6, seed=seed, **options),
    "parity_slabs": lambda seed, **options: parity_slabs(n=30, seed=seed, **options),
}


def separable(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Whether a plane parts two classes: a linear program, independent of any training."""
    sign = (2 * y - 1).numpy()[:, None]
    rows = -sign * np.column_stack([x.double().numpy(), np.ones(len(x))])
    bound = -np.ones(len(x))
    return linprog(np.zeros(rows.shape[1]), rows, bound, bounds=(None, None)).status == 0


# All of them -------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", RANDOM.values(), ids=RANDOM)
def test_a_seed_is_a_set(draw):
    a, same, other = draw(3), draw(3), draw(4)
    assert torch.equal(a.x_train, same.x_train) and torch.equal(a.x_test, same.x_test)
    assert torch.equal(a.y_train, same.y_train) and torch.equal(a.y_test, same.y_test)
    assert not torch.equal(a.x_train, other.x_train)
    assert not torch.equal(a.x_train[:5], a.x_test[:5])


@pytest.mark.parametrize("draw", RANDOM.values(), ids=RANDOM)
def test_the_dtype_rounds_the_same_numbers(draw):
    single, double = draw(1), draw(1, dtype=torch.float64)
    assert single.x_train.dtype == torch.float32 and double.x_train.dtype == torch.float64
    assert torch.equal(single.x_train, double.x_train.float())
    assert torch.equal(single.y_train, double.y_train)


@pytest.mark.parametrize("draw", RANDOM.values(), ids=RANDOM)
def test_no_global_randomness_is_touched(draw):
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    draw(0)
    assert torch.equal(before, torch.get_rng_state())
    assert (numpy_before == np.random.get_state()[1]).all()


# Linked circles ----------------------------------------------------------------------------------


def test_the_circles_are_those_of_the_formula():
    data = linked_circles(points=4, **F64)
    a, b = data.x_train[:4], data.x_train[4:]
    one, zero = [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]
    # cos(pi/2) is 6e-17 in float64.
    assert torch.allclose(a, torch.tensor([one, [0, 1, 0], [-1, 0, 0], [0, -1, 0]]).double())
    assert torch.allclose(b, torch.tensor([[2, 0, 0], [1, 0, 1], zero, [1, 0, -1]]).double())
    assert data.y_train.tolist() == [0] * 4 + [1] * 4 == data.y_test.tolist()


def test_the_circles_have_radius_one_about_the_origin_and_about_a_point_of_each_other():
    data = linked_circles(**F64)
    for x in (data.x_train, data.x_test):
        assert x.shape == (400, 3)
        centres = torch.tensor([[0.0, 0, 0]] * 200 + [[1.0, 0, 0]] * 200)
        assert torch.allclose((x - centres).norm(dim=1), torch.ones(400, **F64))


def test_the_gap_between_the_circles_is_one():
    # Nearest pairs by symmetry: (1, 0, 0) sees every point of B at distance 1, and nothing nearer.
    data = linked_circles(**F64)
    gaps = torch.cdist(data.x_train[:200], data.x_train[200:])
    assert gaps.min().item() == pytest.approx(1, abs=1e-12)


def test_the_test_points_lie_halfway_between():
    data = linked_circles(points=50, **F64)
    x, between = data.x_train[:50], data.x_test[:50]
    middle = (x + x.roll(-1, 0)) / 2
    assert torch.allclose(between, middle / middle.norm(dim=1, keepdim=True))


def test_the_circles_are_linked_so_no_plane_parts_them():
    data = linked_circles(points=30)
    assert not separable(data.x_train, data.y_train)
    # The linking number by Gauss's integral (a sum of a smooth periodic function is exact).
    data = linked_circles(points=200, **F64)
    a, b = data.x_train[:200], data.x_train[200:]
    da, db = (a.roll(-1, 0) - a.roll(1, 0)) / 2, (b.roll(-1, 0) - b.roll(1, 0)) / 2
    between = a[:, None] - b[None]
    twist = torch.linalg.cross(da[:, None].expand_as(between), db[None].expand_as(between))
    linking = ((between * twist).sum(-1) / between.norm(dim=-1) ** 3).sum() / (4 * math.pi)
    assert abs(linking.item()) == pytest.approx(1, abs=1e-3)


def test_the_sentence_of_the_circles():
    with pytest.raises(ValueError, match="points is 2: a circle needs at least 3 points, ask for"):
        linked_circles(points=2)


# Torus -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", ["half-step", "published"])
def test_the_torus_satisfies_its_equation(grid):
    data = torus(side=12, bands=4, test_side=7, grid=grid, **F64)
    for x in (data.x_train, data.x_test):
        ring = x[:, :2].norm(dim=1) - 1.0
        assert torch.allclose(ring**2 + x[:, 2] ** 2, torch.full_like(ring, 0.66**2))


def test_the_published_grid_starts_at_zero_and_the_tube_angle_is_slow():
    x = torus(side=4, bands=4, test_side=4, grid="published", **F64).x_train
    expected = [[1.66, 0, 0], [0, 1.66, 0], [-1.66, 0, 0], [0, -1.66, 0], [1, 0, 0.66]]
    assert torch.allclose(x[:5], torch.tensor(expected, **F64))


def test_half_steps_begin_halfway():
    x = torus(side=4, bands=4, test_side=4, **F64).x_train[0]
    half = math.sqrt(0.5)
    ring = 1 + 0.66 * half
    assert torch.allclose(x, torch.tensor([ring * half, ring * half, 0.66 * half], **F64))


@pytest.mark.parametrize("grid", ["half-step", "published"])
def test_bands_are_rings_of_equal_size_where_they_fit(grid):
    data = torus(side=16, bands=8, test_side=24, grid=grid)
    assert data.y_train.tolist() == sorted(data.y_train.tolist())
    assert data.y_train.bincount().tolist() == [32] * 8
    assert data.y_test.bincount().tolist() == [72] * 8
    assert (data.y_train.reshape(16, 16) == data.y_train.reshape(16, 16)[:, :1]).all()


def test_where_they_do_not_fit_only_the_published_grid_cuts_a_ring_in_two():
    ours = torus(side=20, bands=8).y_train.reshape(20, 20)
    published = torus(side=20, bands=8, grid="published").y_train
    assert (ours == ours[:, :1]).all()
    assert published.bincount().tolist() == [50] * 8
    cut = published.reshape(20, 20)
    assert int((cut != cut[:, :1]).any(dim=1).sum()) == 4


@pytest.mark.parametrize("test_side", [24, 60])
def test_half_step_labels_are_the_band_of_the_angle(test_side):
    data = torus(test_side=test_side, **F64)
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        angle = torch.atan2(x[:, 2], x[:, :2].norm(dim=1) - 1) % (2 * math.pi)
        # 1e-9: a ring of the 60-grid lies exactly on an edge and belongs to the band above.
        assert torch.equal(y, (angle * 8 / (2 * math.pi) + 1e-9).floor().long() % 8)


def test_the_hierarchy_halves_two_four_eight():
    data = torus(side=16)
    assert data.hierarchy.shape == (256, 3)
    assert [int(level.max()) + 1 for level in data.hierarchy.T] == [2, 4, 8]
    assert torch.equal(data.hierarchy[:, 2], data.y_train)
    for coarse, fine in ((0, 1), (1, 2)):
        assert torch.equal(data.hierarchy[:, coarse], data.hierarchy[:, fine] // 2)
    assert torus(side=6, bands=3, test_side=6).hierarchy is None
    assert torus(side=6, bands=2, test_side=6).hierarchy.shape == (36, 1)


def test_the_first_halving_is_upper_and_lower_half():
    data = torus(side=16)
    assert torch.equal(data.hierarchy[:, 0] == 0, data.x_train[:, 2] > 0)


def test_a_plane_cuts_the_first_level_on_half_steps_only():
    ours, published = torus(side=16), torus(side=16, grid="published")
    assert separable(ours.x_train, ours.hierarchy[:, 0])
    assert not separable(published.x_train, published.hierarchy[:, 0])
    assert not separable(ours.x_train, ours.hierarchy[:, 1] % 2)


def test_noise_has_its_size_and_is_drawn_anew_for_the_test():
    clean, noisy = torus(**F64), torus(noise=0.1, test_side=40, **F64)
    z = (noisy.x_train - clean.x_train) / 0.1
    other = (noisy.x_test - clean.x_train) / 0.1
    # 4,800 normal numbers: s.d. of their mean 0.014, of their s.d. 0.010; five of each.
    assert abs(z.mean().item()) < 0.07 and abs(z.std().item() - 1) < 0.05
    assert abs((z * other).mean().item()) < 0.07


def test_rescaling_is_global_after_the_noise_and_by_the_training_samples():
    options = dict(radii=(0.67, 0.33), noise=1e-3, seed=2)
    plain, scaled = torus(**options, **F64), torus(rescale=True, **options, **F64)
    low, high = plain.x_train.min(), plain.x_train.max()
    assert (scaled.x_train.min().item(), scaled.x_train.max().item()) == (0, 1)
    assert torch.allclose(scaled.x_test, (plain.x_test - low) / (high - low))


def test_the_sentences_of_the_torus(as_a_user):
    with pytest.raises(ValueError, match="grid is 'ours': 'half-step' or 'published' is needed"):
        torus(grid="ours")
    for options in ({"bands": 1}, {"bands": 41}, {"test_side": 7}):
        with pytest.raises(ValueError, match=r"bands is .*: at least 2 bands .* change one of"):
            torus(**options)
    for radii in ((1.0, 1.0), (1.0, 0), (float("nan"), 0.66), (1.0,)):
        with pytest.raises(ValueError, match="R and r with 0 < r < R are needed"):
            torus(radii=radii)
    with pytest.raises(ValueError, match="noise is -1: a finite number that is not negative"):
        torus(noise=-1)
