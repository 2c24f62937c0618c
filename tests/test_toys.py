"""The toy sets against their definitions: closed forms, seeds, and each sentence."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
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
    options = dict(major_radius=0.67, minor_radius=0.33, noise=1e-3, seed=2)
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
    for options in ({"minor_radius": 1.0}, {"minor_radius": 0}, {"major_radius": float("nan")}):
        with pytest.raises(ValueError, match="0 < minor_radius < major_radius is needed"):
            torus(**options)
    with pytest.raises(ValueError, match="noise is -1: a finite number that is not negative"):
        torus(noise=-1)


# Features along known directions -----------------------------------------------------------------

FEATURES = {
    "one_feature": lambda **options: one_feature(0.5, **options),
    "slabs": lambda **options: slabs(0.5, **options),
}


@pytest.mark.parametrize("make", FEATURES.values(), ids=FEATURES)
def test_the_directions_are_a_rotated_frame_alike_for_every_amount(make):
    data = make(n=20, dim=30, seed=1, **F64)
    u = data.directions
    # 30 rotations of float64: errors of some 30 eps.
    assert torch.allclose(u.T @ u, torch.eye(30, **F64), rtol=0, atol=1e-13)
    assert torch.equal(u, make(n=50, dim=30, seed=1, sigma=3.0, **F64).directions)
    assert torch.equal(u, one_feature(0.0, n=20, dim=30, seed=1, **F64).directions)
    assert not torch.allclose(u, make(n=20, dim=30, seed=2, **F64).directions)
    assert u.abs().max() < 0.9


def test_the_frame_is_the_gram_schmidt_of_a_gaussian_matrix():
    # Unlike Q of a library, whose signs are its own, Gram and Schmidt's is the same everywhere.
    g = torch.randn(6, 6, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    frame: list[torch.Tensor] = []
    for column in g.T:
        for u in frame:
            column = column - (column @ u) * u
        frame.append(column / column.norm())
    directions = one_feature(1.0, n=4, dim=6, seed=7, **F64).directions
    assert torch.allclose(directions, torch.stack(frame, dim=1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", FEATURES.values(), ids=FEATURES)
def test_the_classes_are_balanced_and_mixed(make):
    for n in (100, 101):
        counts = make(n=n, n_test=n, dim=4).y_train.bincount().tolist()
        assert counts == [n - n // 2, n // 2]
    y = make(n=100, dim=4).y_train
    assert y[:50].sum() not in (0, 50) and not torch.equal(y, torch.arange(100) % 2)


def test_one_feature_is_eps_along_u1_and_noise_elsewhere():
    data = one_feature(0.5, sigma=2.0, n=4000, dim=20, **F64)
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        z = x @ data.directions
        assert torch.allclose(z[:, 0], 0.5 * (2 * y - 1).double(), rtol=0, atol=1e-13)
        # 1,000 x 19 normal numbers of s.d. 2: s.d. of mean and s.d. 0.015 and 0.01; five of each.
        assert abs(z[:, 1:].mean().item()) < 0.075
        assert abs(z[:, 1:].std().item() - 2) < 0.05
    assert data.x_train.shape == (4000, 20) and data.x_test.shape == (1000, 20)


def test_the_noise_does_not_depend_on_eps():
    small, large = one_feature(0.0, n=20, dim=5, **F64), one_feature(2.0, n=20, dim=5, **F64)
    step = 2.0 * (2 * small.y_train - 1)[:, None] * small.directions[:, 0]
    assert torch.allclose(large.x_train, small.x_train + step)


def test_one_feature_by_default_has_100_dimensions_and_4000_samples():
    data = one_feature(1.0)
    assert data.x_train.shape == (4000, 100) and data.x_train.dtype == torch.float32
    assert data.name == "one-feature" and data.classes == ("0", "1")


@settings(max_examples=25)
@given(n_slabs=st.sampled_from([3, 5, 7, 9]), rho=st.floats(0.5, 20), eps=st.floats(0, 2))
def test_slabs_alternate_along_u2(n_slabs, rho, eps):
    data = slabs(eps, rho=rho, n=400, dim=4, n_slabs=n_slabs, **F64)
    z, half = data.x_train @ data.directions, n_slabs // 2
    place = z[:, 1] / rho
    assert torch.allclose(place, place.round(), atol=1e-12)
    places = place.round().long()
    assert torch.equal(places % 2 == 0, data.y_train == 1)
    assert torch.allclose(z[:, 0], eps * (2 * data.y_train - 1).double(), atol=1e-12)
    # With 400 samples in at most 9 slabs none stays empty (chance below 1e-15).
    assert places.unique().tolist() == list(range(-half, half + 1))


def test_slabs_are_uniform_within_a_class():
    data = slabs(0.0, n=6000, dim=3, **F64)
    places = (data.x_train @ data.directions[:, 1] / 10).round().long()
    counts = {k: int((places == k).sum()) for k in range(-2, 3)}
    # Binomial s.d. 26 of 3,000 in three slabs, 27 in two; five of each.
    assert all(abs(counts[k] - 1000) < 130 for k in (-2, 0, 2))
    assert all(abs(counts[k] - 1500) < 137 for k in (-1, 1))


def test_jitter_blurs_both_features_and_nothing_else():
    options = dict(n=4000, dim=6, seed=3)
    plain, blurred = slabs(0.5, **options, **F64), slabs(0.5, jitter=0.1, **options, **F64)
    moved = (blurred.x_train - plain.x_train) @ plain.directions
    # s.d. of an s.d. from 4,000 numbers: 1.1 %; five of these.
    assert torch.allclose(moved[:, :2].std(dim=0), torch.tensor(0.1, **F64), rtol=0.056)
    assert torch.allclose(moved[:, 2:], torch.zeros(1, **F64), atol=1e-12)


def test_slab_noise_has_its_size():
    data = slabs(0.5, sigma=0.3, n=4000, dim=10, **F64)
    z = data.x_train @ data.directions
    assert torch.allclose(z[:, 2:].std(), torch.tensor(0.3, **F64), rtol=0.03)


@pytest.mark.parametrize("make", FEATURES.values(), ids=FEATURES)
def test_the_sentences_of_the_features(make):
    for option in ("sigma",):
        with pytest.raises(ValueError, match=rf"{option} is -0.1: a finite number"):
            make(**{option: -0.1})
    for option in ("n", "n_test", "dim"):
        with pytest.raises(ValueError, match=rf"{option} is 1: at least 2 is needed, ask for"):
            make(**{option: 1})


def test_the_other_sentences_of_the_features():
    with pytest.raises(ValueError, match="eps is -1: a finite number that is not negative"):
        one_feature(-1)
    with pytest.raises(ValueError, match="eps is inf"):
        slabs(float("inf"))
    for option in ("rho", "jitter"):
        with pytest.raises(ValueError, match=rf"{option} is -1: a finite number"):
            slabs(0.5, **{option: -1})
    for given_, taken in ((4, 5), (1, 3), (-2, 3)):
        with pytest.raises(ValueError, match=rf"n_slabs is {given_}: an odd .* take {taken}"):
            slabs(0.5, n_slabs=given_)


# Slabs by parity ---------------------------------------------------------------------------------


def test_parity_slabs_are_four_slabs_of_the_right_size():
    data = parity_slabs(n=4000, **F64)
    place = (torch.arange(4) - data.x_train[:, :1]).abs().argmin(dim=1)
    # 0.15 from the middle the edge is 3.3 s.d. away: 1 in 1,000 samples counts for a neighbour.
    assert all(abs(count - 1000) < 12 for count in place.bincount().tolist())
    offset = data.x_train[:, 0] - place
    # Cut off at 3.3 s.d. the s.d. is 0.5 % smaller; sampling adds 1.1 %.
    assert offset.std().item() == pytest.approx(0.15, rel=0.05)
    assert data.x_train[:, 1:].std().item() == pytest.approx(0.3, rel=0.03)
    assert data.x_train.shape == (4000, 10) and data.classes == ("even", "odd")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_cosine_classifies_exactly(dtype):
    data = parity_slabs(n=3000, thickness=0.4, n_slabs=5, dtype=dtype)
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        even = (math.pi * x[:, 0].double()).cos() > 0
        assert torch.equal(even, y == 0)
        assert torch.equal(x[:, 0].round().long() % 2, y)
    assert torch.equal(data.directions, torch.eye(10, dtype=dtype))


def test_thin_slabs_lie_at_whole_numbers():
    data = parity_slabs(n=8, thickness=0, sigma=0, n_test=4)
    assert sorted(data.x_train[:, 0].tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert not data.x_train[:, 1:].any()


def test_the_sentences_of_parity_slabs():
    with pytest.raises(ValueError, match="n_slabs is 1: both classes need a slab, ask for 2"):
        parity_slabs(n_slabs=1)
    with pytest.raises(ValueError, match="n is 1: at least 2 is needed"):
        parity_slabs(n=1)
    for option in ("thickness", "sigma"):
        with pytest.raises(ValueError, match=rf"{option} is -1: a finite number"):
            parity_slabs(**{option: -1})
