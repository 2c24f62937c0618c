"""Rulers of one cloud: dimension and collapse, against definitions and where they mislead."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clouds import points, rotation
from companion.distances import cloud, intrinsic_dimension, neural_collapse

few = settings(max_examples=20)
seeds = st.integers(0, 10**6)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def cube(seed, n, dim, dtype=torch.float64):
    return torch.rand(n, dim, generator=generator(seed), dtype=dtype)


# --- intrinsic dimension -------------------------------------------------------------------------


def slow_dimension(x, k):
    logs = 0.0
    for i in range(len(x)):
        r = sorted(math.dist(x[i].tolist(), x[j].tolist()) for j in range(len(x)) if j != i)
        logs += sum(math.log(r[k - 1] / r[j]) for j in range(k - 1))
    return len(x) * (k - 1) / logs


def test_four_points_of_a_line_by_hand():
    # Neighbours at 1, 3 | 1, 2 | 2, 3 | 4, 6: the logarithms of 3, 2, 3/2, 3/2 add up to log 27/2.
    x = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    dimension, low, high = intrinsic_dimension(x)
    assert dimension == pytest.approx(4 / math.log(13.5), rel=1e-6)
    # The chi-square law of 8 degrees: 2.1797 and 17.5345 are its 2.5 % and 97.5 % points.
    assert low == pytest.approx(dimension * 2.1797 / 8, rel=1e-4)
    assert high == pytest.approx(dimension * 17.5345 / 8, rel=1e-4)


@pytest.mark.parametrize(("method", "k"), [("two_nn", 2), ("levina_bickel", 10)])
@pytest.mark.parametrize("block", [10**6, 200])
def test_the_definition_point_by_point(monkeypatch, method, k, block):
    monkeypatch.setattr(cloud, "_ENTRIES", block)  # 200: four rows of 40 points at a time
    x = points(0, 40, 3)
    expected = slow_dimension(x, k)
    assert intrinsic_dimension(x, method=method).dimension == pytest.approx(expected, rel=1e-9)
    # float32 rounds the rows to 6e-8.
    found = intrinsic_dimension(x.float(), method=method).dimension
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("method", ["two_nn", "levina_bickel"])
@pytest.mark.parametrize("dim", [1, 2, 5, 10])
def test_a_uniform_cube_within_15_per_cent(method, dim):
    # Its edges pull the estimate down; 1,000 points have a sampling error of 4 %.
    assert intrinsic_dimension(cube(0, 1000, dim), method=method).dimension == pytest.approx(
        dim, rel=0.19
    )


def test_only_a_lower_bound_from_twenty_on():
    result = intrinsic_dimension(cube(0, 1000, 50, torch.float32))
    assert 25 < result.dimension < 38


def test_noise_counts_as_dimension():
    flat = torch.nn.functional.pad(cube(0, 1000, 2), (0, 18))
    assert intrinsic_dimension(flat).dimension < 2.3
    assert intrinsic_dimension(flat + 0.01 * points(1, 1000, 20)).dimension > 7


@few
@given(seed=seeds, method=st.sampled_from(["two_nn", "levina_bickel"]))
def test_dimension_is_blind_to_rotation_shift_and_scale(seed, method):
    x = points(seed, 30, 4)
    moved = 7 * x @ rotation(seed + 1, 4) + 3
    found = intrinsic_dimension(moved, method=method)
    assert list(found) == pytest.approx(list(intrinsic_dimension(x, method=method)), rel=1e-8)


def test_dimension_sees_a_linear_map():
    # The reason is geometric: a square pressed to a line is a line at the scale of its neighbours.
    x = cube(0, 500, 2)
    pressed = x * x.new_tensor([1, 1e-5])
    assert intrinsic_dimension(pressed).dimension < 1.2 < intrinsic_dimension(x).dimension


def test_copies_are_left_out_and_counted():
    x = cube(0, 400, 5, torch.float32)
    doubled = torch.cat((x, x[:80], x[:3]))[torch.randperm(483, generator=generator(1))]
    clean, result = intrinsic_dimension(x), intrinsic_dimension(doubled)
    assert (clean.copies, result.copies) == (0, 83)
    assert list(result) == pytest.approx(list(clean), rel=1e-6)


def test_copies_far_from_the_origin_too():
    # Where a Gram matrix leaves 1e-4 of rounding in place of 0.
    x = cube(0, 400, 5) + 1000
    doubled = torch.cat((x, x[:80])).float()
    result = intrinsic_dimension(doubled)
    assert result.copies == 80
    assert 3.5 < result.dimension < 6


def test_near_copies_are_not_told_from_dimension_zero():
    x = cube(0, 400, 5)
    near = torch.cat((x, x[:100] + 1e-4 * cube(1, 100, 5)))
    result = intrinsic_dimension(near)
    assert result.copies == 0 and result.dimension < 1.5


def test_the_interval_is_the_sampling_error():
    # +- 9 % at 450 points, +- 4.4 % at 2,000.
    for n, share in ((450, 0.092), (2000, 0.044)):
        dimension, low, high = intrinsic_dimension(cube(0, n, 2))
        assert (high - low) / 2 / dimension == pytest.approx(share, rel=0.02)


def test_images_and_short_dtypes():
    x = points(0, 30, 12)
    assert intrinsic_dimension(x.view(30, 3, 4)) == intrinsic_dimension(x)
    short = x.bfloat16()
    assert intrinsic_dimension(short) == intrinsic_dimension(short.float())


def test_the_sentence_for_too_few_samples():
    x = torch.tensor([[0.0], [1.0], [1.0]])
    with pytest.raises(ValueError, match=r"x holds 2 distinct samples \(1 of 3 are copies\)"):
        intrinsic_dimension(x)
    with pytest.raises(ValueError, match=r"'levina_bickel' needs at least 11, so pass more"):
        intrinsic_dimension(points(0, 10, 2), method="levina_bickel")


def test_the_sentence_for_a_lattice():
    with pytest.raises(ValueError, match=r"the 2 nearest neighbours of every one of 5 samples"):
        intrinsic_dimension(torch.eye(5))


def test_the_sentence_for_an_unknown_method(as_a_user):
    with pytest.raises(ValueError, match=r"method is 'pca': .* 'two_nn' and 'levina_bickel'"):
        intrinsic_dimension(points(0, 10, 2), method="pca")


def test_the_sentences_for_nan_and_integers(as_a_user):
    x = points(0, 10, 2)
    x[3, 1] = torch.nan
    with pytest.raises(ValueError, match=r"x holds values that are NaN"):
        intrinsic_dimension(x)
    with pytest.raises(TypeError, match=r"x holds torch.int64 values"):
        intrinsic_dimension(torch.arange(20).view(10, 2))


# --- neural collapse -----------------------------------------------------------------------------


def slow_collapse(z, y):
    """tr(S_W S_B^+) / C from both matrices, the rank of S_B given to the pseudo-inverse."""
    classes = y.unique()
    means = torch.stack([z[y == c].mean(0) for c in classes])
    within = sum(torch.outer(h, h) for h in z - means[torch.searchsorted(classes, y)]) / len(z)
    between = sum(torch.outer(m, m) for m in means - z.mean(0)) / len(classes)
    return (within @ torch.linalg.pinv(between, rtol=1e-10)).trace() / len(classes)


def labelled(seed, n, dim, classes):
    y = torch.arange(n) % classes
    return points(seed, n, dim) + 2 * points(seed + 1, classes, dim)[y], y


def test_two_classes_on_a_line_by_hand():
    # Within: 1 + 1 over 2 samples a class = 1; between: 2^2 = 4; two classes: 1 / 4 / 2.
    z = torch.tensor([[-1.0], [-3.0], [1.0], [3.0]])
    assert neural_collapse(z, torch.tensor([0, 0, 1, 1])) == 0.125


def test_a_collapsed_representation_has_zero():
    z = points(0, 3, 5)[torch.arange(30) % 3]
    assert neural_collapse(z, torch.arange(30) % 3) < 1e-25


@few
@given(seed=seeds, dim=st.integers(1, 8), classes=st.integers(2, 5), n=st.integers(10, 23))
def test_the_definition_of_neural_collapse(seed, dim, classes, n):
    z, y = labelled(seed, n, dim, classes)
    # The condition of S_B, squared spreads of random means, eats digits of the definition.
    torch.testing.assert_close(neural_collapse(z, y), slow_collapse(z, y), rtol=1e-6, atol=0)


@few
@given(seed=seeds)
def test_collapse_is_blind_to_rotation_shift_scale_and_names_of_classes(seed):
    z, y = labelled(seed, 20, 4, 3)
    value = neural_collapse(z, y)
    moved = 5 * z @ rotation(seed + 2, 4) + 9
    torch.testing.assert_close(neural_collapse(moved, y), value, rtol=1e-9, atol=0)
    torch.testing.assert_close(neural_collapse(z, 7 - 100 * y), value, rtol=1e-12, atol=0)


def test_collapse_sees_a_linear_map():
    z, y = labelled(0, 40, 8, 3)
    assert abs(neural_collapse(z @ points(3, 8, 8), y) / neural_collapse(z, y) - 1) > 0.05


def test_float32_dust_outside_the_means_is_not_inverted():
    # 128 dimensions, rank 2 of the means: a default pseudo-inverse keeps rounding as directions.
    z, y = labelled(0, 300, 128, 3)
    # float32 rounds the rows to 6e-8.
    torch.testing.assert_close(
        neural_collapse(z.float(), y).double(), slow_collapse(z, y), rtol=1e-5, atol=0
    )
    assert neural_collapse(z.float(), y).dtype == torch.float32


def test_directions_without_spread_between_classes_do_not_count():
    # Four means on a line: rank 1 of at most 3.
    y = torch.arange(40) % 4
    z = points(0, 40, 6)
    z -= torch.stack([z[y == c].mean(0) for c in range(4)])[y]
    z[:, 0] += y.double()
    inside = z[:, 0] - y
    expected = inside.square().mean() / y.double().var(correction=0) / 4
    torch.testing.assert_close(neural_collapse(z, y), expected)


def test_collapse_is_differentiable():
    z, y = labelled(0, 12, 3, 3)
    assert torch.autograd.gradcheck(lambda z: neural_collapse(z, y), (z.requires_grad_(),))


def test_the_sentences_for_labels(as_a_user):
    z = points(0, 6, 2)
    with pytest.raises(ValueError, match=r"y holds 1 classes: .* at least 2, so pass samples"):
        neural_collapse(z, torch.full((6,), 4))
    with pytest.raises(ValueError, match=r"z holds 6 samples and y has shape \(5,\): .* \(6,\)"):
        neural_collapse(z, torch.arange(5))
    with pytest.raises(ValueError, match=r"y has shape \(6, 1\)"):
        neural_collapse(z, torch.zeros(6, 1, dtype=torch.int64))


@pytest.mark.parametrize("z", [torch.full((6, 3), 0.1), torch.zeros(6, 3)], ids=["0.1", "0"])
def test_the_sentence_for_means_that_coincide(z):
    with pytest.raises(ValueError, match=r"the means of all 2 classes of z coincide: .* died"):
        neural_collapse(z, torch.arange(6) % 2)


def test_the_sentence_for_nan_in_a_representation():
    z = points(0, 6, 2)
    z[0, 0] = torch.inf
    with pytest.raises(ValueError, match=r"z holds values that are NaN"):
        neural_collapse(z, torch.arange(6) % 2)


@pytest.mark.gpu
def test_the_gpu_gives_the_same():
    z, y = labelled(0, 60, 7, 3)
    there = neural_collapse(z.cuda(), y.cuda())
    assert there.is_cuda
    torch.testing.assert_close(there.cpu(), neural_collapse(z, y))
    for method in ("two_nn", "levina_bickel"):
        found = intrinsic_dimension(z.cuda(), method=method)
        assert list(found) == pytest.approx(list(intrinsic_dimension(z, method=method)))
