"""The sets of features along known directions against their definitions, and each sentence."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.datasets import one_feature, parity_slabs, slabs

F64 = {"dtype": torch.float64}


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
    plain, blurred = slabs(0.5, **options, **F64), slabs(0.5, sigma=(0.1, 1.0), **options, **F64)
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
    for option, wrong in (("rho", -1), ("sigma", (-1, 1.0)), ("sigma", (0.1, -1))):
        with pytest.raises(ValueError, match=rf"{option} is -1: a finite number"):
            slabs(0.5, **{option: wrong})
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
