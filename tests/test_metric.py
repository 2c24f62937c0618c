"""Distances: exact near zero, differentiable twice, and a metric."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from clouds import points, rotation
from companion.distances import metric, pairwise, within_class

sizes = given(seed=st.integers(0, 10**6), n=st.integers(1, 12), dim=st.integers(1, 6))
few = settings(max_examples=30)


def slow(x, other):
    """The definition, row by row, in float64."""
    x, other = x.double().flatten(1), other.double().flatten(1)
    return torch.stack([(row - other).square().sum(1).sqrt() for row in x])


def worst(d, exact):
    """Largest relative error; where the exact distance is 0 so must be the other."""
    assert (d[exact == 0] == 0).all()
    return ((d.double() - exact).abs() / exact.masked_fill(exact == 0, 1)).max().item()


def twins(case, dtype):
    """Pairs of rows 1e-3 apart in data around 10, the second half moved far away."""
    x = points(0, 120, 784, dtype) + 10
    x[1::2] = x[::2] + points(1, 60, 784, dtype) * 1e-3 / 28
    x[60:] += {"offset": 0, "far": 1000 / 28, "far in every column": 1000}[case]
    return x


cases = pytest.mark.parametrize("case", ["offset", "far", "far in every column"])


def test_a_triangle_of_sides_three_four_five():
    x = torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])
    expected = torch.tensor([[0.0, 3.0, 5.0], [3.0, 0.0, 4.0], [5.0, 4.0, 0.0]])
    assert torch.equal(pairwise(x), expected)
    assert torch.equal(pairwise(x, x[:1]), expected[:, :1])


def test_images_are_flattened_and_numbers_are_points_of_a_line():
    x = points(0, 5, 24).view(5, 2, 3, 4)
    assert torch.equal(pairwise(x), pairwise(x.flatten(1)))
    assert torch.equal(pairwise(torch.tensor([1.0, 4.0])), torch.tensor([[0.0, 3.0], [3.0, 0.0]]))


def test_no_rows_and_no_columns():
    assert pairwise(torch.zeros(0, 3)).shape == (0, 0)
    assert pairwise(torch.zeros(2, 3), torch.zeros(0, 3)).shape == (2, 0)
    assert torch.equal(pairwise(torch.zeros(2, 0)), torch.zeros(2, 2))


@cases
@pytest.mark.parametrize(
    ("dtype", "error"),
    # Rounding of the result is half an eps (6e-8); float64: a few eps over twice the share.
    [(torch.float32, 2e-7), (torch.float64, 1e-11)],
    ids=["float32", "float64"],
)
def test_twins_come_out_right(case, dtype, error):
    x = twins(case, dtype)
    exact = slow(x, x)
    assert worst(pairwise(x), exact) < error
    assert worst(pairwise(x, x.clone()), exact) < error


@cases
def test_the_library_is_wrong_where_this_is_right(case):
    # Not a wish about torch: if this fails, the expansion there was mended and so may be ours.
    x = twins(case, torch.float32)
    assert worst_of_twins(torch.cdist(x, x), slow(x, x)) > 1
    assert worst_of_twins(pairwise(x), slow(x, x)) < 1e-6


def worst_of_twins(d, exact):
    i = torch.arange(0, len(d), 2)
    return worst(d[i, i + 1], exact[i, i + 1])


@pytest.mark.parametrize("rows", [1, 7, 16, 64])
def test_blocks_of_any_size_give_the_same_matrix(monkeypatch, rows):
    monkeypatch.setattr(metric, "_ROWS", rows)
    x, other = points(0, 50, 8, torch.float32), points(1, 33, 8, torch.float32)
    assert worst(pairwise(x), slow(x, x)) < 2e-7
    assert worst(pairwise(x, other), slow(x, other)) < 2e-7
    assert torch.equal(pairwise(x), pairwise(x).T)


def test_a_block_never_holds_more_than_its_share(monkeypatch):
    x = points(0, 40, 3)
    monkeypatch.setattr(metric, "_ENTRIES", 100)
    assert worst(pairwise(x), slow(x, x)) < 1e-11


def test_few_and_many_cancelling_pairs_are_both_recomputed():
    few, many = points(0, 400, 5, torch.float32), points(1, 400, 5, torch.float32)
    few[300] = few[7] + 1e-6
    few[301:305] = few[9]
    many[::2] += 1e6
    for x in (few, many):
        assert worst(pairwise(x), slow(x, x)) < 2e-7


def test_symmetric_to_the_last_bit_with_a_diagonal_of_zeros():
    for dtype in (torch.float32, torch.float64):
        d = pairwise(points(3, 700, 9, dtype) + 100)
        assert torch.equal(d, d.T)
        assert (d.diagonal() == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_dtypes_are_rounded_at_the_end_only(dtype):
    x = points(0, 9, 30).to(dtype)
    assert torch.equal(pairwise(x), pairwise(x.float()).to(dtype))
    x.requires_grad_()
    (grad,) = torch.autograd.grad(pairwise(x).sum(), x)
    assert grad.dtype == dtype


def test_of_two_dtypes_the_wider_one():
    x, other = points(0, 4, 3, torch.float32), points(1, 5, 3)
    assert pairwise(x, other).dtype == torch.float64
    assert worst(pairwise(x, other), slow(x, other)) < 1e-11


@few
@sizes
def test_a_metric(seed, n, dim):
    d = pairwise(points(seed, n, dim))
    assert (d >= 0).all()
    assert torch.equal(d, d.T)
    assert ((d == 0) == torch.eye(n, dtype=torch.bool)).all()
    # The shortest way leads nowhere else first; 1e-12 of the longest side is rounding.
    assert (d[:, None, :] <= d[:, :, None] + d[None, :, :] + 1e-12 * d.max()).all()


@few
@sizes
def test_rigid_motion_keeps_it_and_scale_scales_it(seed, n, dim):
    x = points(seed, n, dim)
    moved = 3 * x @ rotation(seed + 1, dim) + 100
    # Shifted to 100, the input itself is rounded to 1e-14.
    torch.testing.assert_close(pairwise(moved), 3 * pairwise(x), rtol=1e-9, atol=1e-12)


def test_a_linear_map_does_not_keep_it():
    x = points(0, 6, 3)
    stretch = torch.diag(torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64))
    assert not torch.allclose(pairwise(x @ stretch), pairwise(x), rtol=0.1)


def test_scikit_learn_and_scipy_agree():
    from scipy.spatial.distance import cdist
    from sklearn.metrics import euclidean_distances

    x, other = points(0, 60, 20), points(1, 40, 20)
    d = pairwise(x, other)
    torch.testing.assert_close(d, torch.from_numpy(cdist(x, other)), rtol=1e-11, atol=0)
    theirs = torch.from_numpy(euclidean_distances(x, other))
    torch.testing.assert_close(d, theirs, rtol=1e-11, atol=0)


def test_both_derivatives_of_the_full_square_matrix():
    # The diagonal takes part: there torch.cdist has a wrong second derivative.
    x = points(0, 6, 3).requires_grad_()
    assert gradcheck(pairwise, (x,))
    assert gradgradcheck(pairwise, (x,))


def test_both_derivatives_between_two_sets():
    x, other = points(0, 5, 3).requires_grad_(), points(1, 4, 3).requires_grad_()
    assert gradcheck(pairwise, (x, other))
    assert gradgradcheck(pairwise, (x, other))


def test_coinciding_points_have_finite_derivatives_and_change_no_other_pair():
    x = points(0, 6, 3)
    x[4:] = x[1]
    x.requires_grad_()
    (grad,) = torch.autograd.grad(pairwise(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(grad.square().sum(), x)
    others = pairwise(x)[~torch.eye(6, dtype=torch.bool)]
    apart = (x[:, None] - x).square().sum(2)
    apart = apart[apart > 0].sqrt()
    (expected,) = torch.autograd.grad(apart.sum(), x, create_graph=True)
    (second_expected,) = torch.autograd.grad(expected.square().sum(), x)
    assert (others == 0).sum() == 6
    torch.testing.assert_close(grad, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(second, second_expected, rtol=1e-9, atol=1e-10)


@cases
def test_the_gradient_of_twins(case):
    x = twins(case, torch.float32)[::3].requires_grad_()
    exact = x.detach().double().requires_grad_()
    (grad,) = torch.autograd.grad(pairwise(x)[0].sum(), x)
    i, j = torch.triu_indices(len(x), len(x), 1)[:, : len(x) - 1]
    (expected,) = torch.autograd.grad((exact[i] - exact[j]).square().sum(1).sqrt().sum(), exact)
    # A float32 distance carries 6e-8; the sum over rows adds a few of them.
    error = (grad.double() - expected).norm() / expected.norm()
    assert error < 3e-7


def test_the_functional_transforms_of_reverse_mode():
    x = points(0, 5, 3)

    def energy(x):
        return pairwise(x).sin().sum()

    leaf = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad(energy(leaf), leaf)
    torch.testing.assert_close(torch.func.grad(energy)(x), grad)
    assert torch.func.jacrev(pairwise)(x).shape == (5, 5, 5, 3)
    assert torch.autograd.functional.hessian(energy, x).isfinite().all()


def test_the_direct_form_of_other_devices_gives_the_same(monkeypatch):
    x, other = twins("far", torch.float32)[::2], points(1, 9, 784, torch.float32)
    for pair in ((x,), (x, other)):
        here = pairwise(*pair)
        with monkeypatch.context() as patch:
            patch.setattr(metric, "at_hand", lambda x: False)
            # 784 squares summed in float32: a few eps.
            torch.testing.assert_close(pairwise(*pair), here, rtol=1e-6, atol=0)


@pytest.mark.parametrize("two", [False, True])
def test_no_value_is_looked_at_on_a_device(two):
    x = torch.randn(6, 2, 3, device="meta", requires_grad=True)
    other = torch.randn(4, 2, 3, device="meta", requires_grad=True) if two else None
    d = pairwise(x, other)
    (grad,) = torch.autograd.grad(d.sin().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(grad.square().sum(), x)
    assert d.shape == (6, 4 if two else 6)
    assert d.is_meta and grad.is_meta and second.is_meta
    assert within_class(torch.zeros(6, dtype=torch.int64, device="meta")).is_meta


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gpu_gives_the_same(dtype):
    x = twins("far", dtype)
    there = x.cuda().requires_grad_()
    here = x.clone().requires_grad_()
    for one in (here, there):
        one.d = pairwise(one)
        (one.g,) = torch.autograd.grad(one.d.sum(), one)
    assert there.d.is_cuda
    torch.testing.assert_close(there.d.cpu(), here.d, rtol=2e-6, atol=0)
    torch.testing.assert_close(there.g.cpu(), here.g, rtol=1e-4, atol=1e-4)
    y = torch.arange(9) % 3
    assert torch.equal(within_class(y.cuda()).cpu(), within_class(y))


def test_within_class_counts_no_sample_with_itself():
    y = torch.tensor([5, -2, 5, 5])
    expected = [[0, 0, 1, 1], [0, 0, 0, 0], [1, 0, 0, 1], [1, 0, 1, 0]]
    assert torch.equal(within_class(y), torch.tensor(expected).bool())
    assert within_class(torch.zeros(0, dtype=torch.int64)).shape == (0, 0)


def test_the_sentence_for_integers(as_a_user):
    with pytest.raises(TypeError, match=r"x holds torch.int64 values: .* pass x.float\(\)"):
        pairwise(torch.arange(6).view(3, 2))
    with pytest.raises(TypeError, match=r"other holds torch.bool values"):
        pairwise(torch.zeros(3, 2), torch.ones(3, 2, dtype=torch.bool))


def test_the_sentence_for_a_single_number(as_a_user):
    with pytest.raises(ValueError, match=r"x is a single number: .* shape \(n, ...\)"):
        pairwise(torch.tensor(1.0))


def test_the_sentence_for_samples_of_different_length():
    with pytest.raises(ValueError, match=r"x has 6 numbers and one of other 5: .* same space"):
        pairwise(torch.zeros(3, 2, 3), torch.zeros(3, 5))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_the_sentence_for_nan(value):
    x = torch.zeros(3, 2)
    x[1, 0] = value
    with pytest.raises(ValueError, match=r"x holds values that are NaN, infinite .* layer they"):
        pairwise(x)
    with pytest.raises(ValueError, match=r"x or other holds values that are NaN"):
        pairwise(torch.zeros(3, 2), x)


def test_the_sentence_for_labels_that_are_no_vector(as_a_user):
    with pytest.raises(ValueError, match=r"y has shape \(3, 1\): .* one label per sample"):
        within_class(torch.zeros(3, 1, dtype=torch.int64))
