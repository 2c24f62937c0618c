"""Rulers between two sets of distances: what each is sold for, and no more than that."""

import pytest
import torch
from torch import nn

from clouds import clouds, few, points, rigid, stretched
from companion import distances
from companion.distances import correlation, distortion, pairs, pairwise, within_class


def pair(seed, n, dim, other=3):
    return pairwise(points(seed, n, dim)), pairwise(points(seed + 1, n, other))


@pytest.fixture(params=["one block", "a few rows at a time", "another device"])
def forms(request, monkeypatch):
    """The form of the CPU, at its size and in blocks of a few rows, and that of other devices."""
    if request.param == "a few rows at a time":
        monkeypatch.setattr(pairs, "_ENTRIES", 12)
    if request.param == "another device":
        monkeypatch.setattr(pairs, "at_hand", lambda x: False)


# --- correlation ---------------------------------------------------------------------------------


def square(a, b, c):
    return torch.tensor([[0.0, a, b], [a, 0.0, c], [b, c, 0.0]], dtype=torch.float64)


def test_correlation_of_three_pairs_by_hand(forms):
    # (1, 2, 3) against (1, 3, 2): deviations (-1, 0, 1) and (-1, 1, 0), so 1 / 2.
    r = correlation(square(1, 2, 3), square(1, 3, 2))
    torch.testing.assert_close(r.item(), 0.5)
    r = correlation(square(1, 2, 30), square(1, 30, 2), kind="spearman")
    torch.testing.assert_close(r.item(), 0.5)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_scipy_agrees_over_a_mask_and_with_ties(forms, kind):
    from scipy.stats import pearsonr, spearmanr

    d, e = pair(0, 40, 5)
    d, e = d.round(decimals=1), e.round(decimals=1)
    mask = within_class(torch.arange(40) % 3)
    chosen = mask.triu(1)
    theirs = {"pearson": pearsonr, "spearman": spearmanr}[kind](d[chosen], e[chosen]).statistic
    ours = correlation(d, e, where=mask, kind=kind)
    torch.testing.assert_close(ours.item(), float(theirs), rtol=1e-12, atol=0)


def test_only_the_upper_half_of_a_square_matrix_counts(forms):
    d, e = pair(0, 8, 3)
    r = correlation(d, e)
    torch.testing.assert_close(correlation(d.triu(), e.triu().fill_diagonal_(9)), r)
    everything = correlation(d.view(1, -1), e.view(1, -1))
    assert abs(everything - r) > 1e-3  # the diagonal agrees for free


def test_every_entry_of_a_matrix_that_is_not_square_counts(forms):
    d, e = points(0, 4, 7), points(1, 4, 7)
    expected = torch.corrcoef(torch.stack((d.flatten(), e.flatten())))[0, 1]
    torch.testing.assert_close(correlation(d, e), expected)
    mask = points(2, 4, 7) > 0
    expected = torch.corrcoef(torch.stack((d[mask], e[mask])))[0, 1]
    torch.testing.assert_close(correlation(d, e, where=mask), expected)


def test_what_the_mask_leaves_out_may_be_anything(forms):
    d, e = pair(0, 9, 3)
    mask = within_class(torch.arange(9) % 2)
    expected = correlation(d, e, where=mask), distortion(d, e, where=mask, quantiles=(0.1, 0.9))
    d[~mask], e[~mask] = torch.nan, torch.inf
    torch.testing.assert_close(correlation(d, e, where=mask), expected[0])
    found = distortion(d, e, where=mask, quantiles=(0.1, 0.9))
    torch.testing.assert_close(tuple(found), tuple(expected[1]))


@few
@clouds
def test_correlation_is_blind_to_rigid_motion_and_to_one_scale(seed, n, dim):
    x = points(seed, n, dim)
    d, e = pairwise(x), pairwise(3 * rigid(x, seed + 1))
    for kind in ("pearson", "spearman"):
        # Rounding of 1e-15 may swap the ranks of two pairs that are equally far.
        torch.testing.assert_close(correlation(d, e, kind=kind).item(), 1.0, rtol=1e-3, atol=0)
    torch.testing.assert_close(correlation(d, e).item(), 1.0, rtol=1e-12, atol=0)


@few
@clouds
def test_correlation_takes_an_offset_for_an_isometry(seed, n, dim):
    d = pairwise(points(seed, n, dim))
    e = 0.5 + 2 * d
    torch.testing.assert_close(correlation(d, e).item(), 1.0, rtol=1e-12, atol=0)
    low, high = distortion(d, e)
    assert high > 1.01 * low


@few
@clouds
def test_correlation_sees_a_linear_map(seed, n, dim):
    x = points(seed, n, dim)
    assert correlation(pairwise(x), pairwise(stretched(x))) < 1 - 1e-6


def test_pearson_is_no_rank_correlation(forms):
    d, _ = pair(0, 9, 3)
    assert correlation(d, d.exp()) < 0.99
    torch.testing.assert_close(correlation(d, d.exp(), kind="spearman").item(), 1.0)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_no_correlation_of_a_constant_few_pairs_or_nan(forms, kind):
    d, e = pair(0, 6, 3)
    simplex = pairwise(torch.eye(6) * 0.1)  # every pair equally far, up to rounding
    none = torch.zeros(6, 6, dtype=torch.bool)
    one = none.clone()
    one[0, 1] = True
    broken = d.clone()
    broken[0, 3] = torch.nan
    endless = d.clone()
    endless[0, 3] = torch.inf
    assert correlation(d, simplex, kind=kind).isnan()
    assert correlation(torch.full_like(d, 0.1), e, kind=kind).isnan()
    assert correlation(d, e, where=none, kind=kind).isnan()
    assert correlation(d, e, where=one, kind=kind).isnan()
    assert correlation(broken, e, kind=kind).isnan()
    assert correlation(d, endless, kind=kind).isnan()
    assert correlation(d[:0, :0], e[:0, :0], kind=kind).isnan()


def test_the_gradient_of_pearson(forms):
    d, e = points(0, 4, 6).requires_grad_(), points(1, 4, 6).requires_grad_()
    mask = points(2, 4, 6) > -1
    assert torch.autograd.gradcheck(lambda d, e: correlation(d, e, where=mask), (d, e))


def test_correlation_keeps_the_dtype():
    d, e = pair(0, 5, 2)
    assert correlation(d.float(), e.float()).dtype == torch.float32
    assert correlation(d.float(), e).dtype == torch.float64


# --- distortion ----------------------------------------------------------------------------------


def test_distortion_of_three_pairs_by_hand(forms):
    result = distortion(square(1, 2, 4), square(3, 2, 2))
    assert [v.item() for v in result] == [0.5, 3.0]
    low, middle = distortion(square(1, 2, 4), square(3, 2, 2), quantiles=(0.25, 0.5))
    assert (low.item(), middle.item()) == (0.75, 1.0)


def test_numpy_agrees_on_quantiles(forms):
    import numpy as np

    d, e = pair(0, 30, 4)
    mask = within_class(torch.arange(30) % 4)
    stretch = (e / d)[mask.triu(1)].numpy()
    for shares in ((0, 1), (0.05, 0.95), (0.5, 0.5), (0, 0.3)):
        expected = torch.from_numpy(np.quantile(stretch, shares))
        found = torch.stack([*distortion(d, e, where=mask, quantiles=shares)])
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_pairs_without_distance_are_left_out_and_counted(forms):
    d, e = square(0, 2, 4), square(5, 2, 2)
    result = distortion(d, e)
    assert (result.low.item(), result.high.item(), result.left_out.item()) == (0.5, 1.0, 1)
    result = distortion(torch.zeros(3, 3), torch.ones(3, 3), quantiles=(0, 0.5))
    assert result.low.isnan() and result.high.isnan() and result.left_out == 3
    nothing = distortion(d, e, where=torch.zeros(3, 3, dtype=torch.bool))
    assert nothing.low.isnan() and nothing.high.isnan() and nothing.left_out == 0
    assert distortion(d[:0, :0], e[:0, :0]).low.isnan()


def test_a_distance_that_is_not_finite_is_not_hidden(forms):
    d, e = pair(0, 5, 2)
    e[0, 2] = torch.nan
    for shares in ((0, 1), (0.1, 0.9)):
        assert all(bound.isnan() for bound in distortion(d, e, quantiles=shares))


@few
@clouds
def test_similarities_stretch_every_pair_alike(seed, n, dim):
    x = points(seed, n, dim)
    low, high = distortion(pairwise(x), pairwise(3 * rigid(x, seed + 1)))
    torch.testing.assert_close(torch.stack((low, high)), low.new_tensor([3, 3]), rtol=1e-9, atol=0)


@few
@clouds
def test_high_over_low_is_free_of_scale_and_no_more(seed, n, dim):
    d, e = pair(seed, n, dim)
    low, high = distortion(d, e, quantiles=(0.05, 0.95))
    low_scaled, high_scaled = distortion(2 * d, 7 * e, quantiles=(0.05, 0.95))
    torch.testing.assert_close(high / low, high_scaled / low_scaled)
    low_shifted, high_shifted = distortion(d, e + 1, quantiles=(0.05, 0.95))
    assert not torch.allclose(high / low, high_shifted / low_shifted, rtol=1e-6)


def test_the_distortion_of_a_linear_map_is_bounded_by_its_singular_values():
    x, a = points(0, 200, 3), points(1, 3, 3)
    low, high = distortion(pairwise(x), pairwise(x @ a))
    s = torch.linalg.svdvals(a)
    assert s[-1] <= low * (1 + 1e-12) and high <= s[0] * (1 + 1e-12)
    assert high > 0.9 * s[0]  # with 20,000 pairs some direction is close to the longest


def test_the_gradient_of_distortion(forms):
    d, e = (side.clone().requires_grad_() for side in pair(0, 6, 3))
    for shares in ((0, 1), (0.1, 0.85)):
        bounds = distortion(d, e, quantiles=shares)
        grads = torch.autograd.grad(sum(bounds), (d, e))
        assert all(grad.isfinite().all() for grad in grads)


# --- whole numbers, sizes ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
@pytest.mark.parametrize("other", [torch.int64, torch.float32])
def test_whole_numbers_are_distances_like_others(forms, dtype, other):
    d, e = square(4, 2, 8).to(dtype), square(5, 3, 11).to(other)  # 5/4, 3/2, 11/8
    low, high = distortion(d, e)
    assert (low.item(), high.item()) == (1.25, 1.5)
    low, high = distortion(d, e, quantiles=(0.25, 0.75))
    assert (low.item(), high.item()) == (1.3125, 1.4375)
    for kind in ("pearson", "spearman"):
        r = correlation(d, e, kind=kind)
        torch.testing.assert_close(r, correlation(d.double(), e.double(), kind=kind).float())
        assert correlation(torch.full_like(d, 7), e, kind=kind).isnan()


def test_large_whole_numbers_keep_their_order(forms):
    d = square(2**24, 2**24 + 1, 2**24 + 2).long()  # float32 takes the first two for one
    assert correlation(d, square(1, 2, 3).long(), kind="spearman") == 1


@pytest.mark.parametrize("name", sorted(set(distances.__all__) - {"within_class"}))
def test_no_ruler_cuts_what_it_measures_to_whole_numbers(name, as_a_user):
    ruler = getattr(distances, name)
    if isinstance(ruler, type):
        return  # a result
    x = torch.tensor([[0, 0], [1, 3], [4, 1], [2, 7], [6, 5], [9, 2]])
    d, e = (pairwise(side.double()).round().long() for side in (x, x**2))
    y = x[:, 0] % 2
    sides = {"correlation": (d, e), "distortion": (d, e), "neural_collapse": (x, y)}
    sides |= {"between_within": (d, y), "nearest": (x, y), "through": (nn.Flatten(), x, y)}
    sides |= {"lost": (x, x, x, y)}
    arguments = sides.get(name) or (
        (x,) if name in ("pairwise", "intrinsic_dimension") else (x, x)
    )
    try:
        found = ruler(*arguments)
    except TypeError as refusal:
        assert name not in ("correlation", "distortion")
        assert "floating point numbers, so pass" in str(refusal)
        return
    exact = ruler(*(side.double() for side in arguments))
    measured = [torch.stack([*r] if name == "distortion" else [r]) for r in (found, exact)]
    torch.testing.assert_close(measured[0].double(), measured[1], rtol=1e-6, atol=0)


@pytest.mark.parametrize("shift", [0, -3, -100])
def test_scipy_agrees_on_the_ranks_of_float32(shift):
    from scipy.stats import spearmanr

    # Signs, zeros of both signs, ties within and across blocks, infinite gaps between the bits.
    d = (points(0, 300, 500, torch.float32) * 4).round(decimals=1) + shift
    e = d.square() + points(1, 300, 500, torch.float32)
    d[::7], d[1::7] = 0.0, -0.0
    d[2, 3], d[5, 1], e[9] = 1e-42, 3e38, e[8]
    expected = spearmanr(d.flatten().double(), e.flatten().double()).statistic
    found = correlation(d, e, kind="spearman")
    torch.testing.assert_close(found.double().item(), float(expected), rtol=0, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_selected_stretches_are_those_of_numpy_in_float64(dtype):
    import numpy as np

    d, e = (pairwise(points(seed, 400, 6)).to(dtype) for seed in (0, 1))
    i, j = torch.triu_indices(400, 400, 1)
    stretch = (e[i, j].double() / d[i, j].double()).numpy()
    eps = torch.finfo(dtype).eps
    for shares in ((0, 1), (0.05, 0.95), (0.123, 0.124), (1, 1)):
        expected = torch.from_numpy(np.quantile(stretch, shares))
        found = torch.stack([*distortion(d, e, quantiles=shares)])
        assert found.dtype == dtype
        torch.testing.assert_close(found.double(), expected, rtol=2 * eps, atol=0)


@pytest.mark.parametrize("shares", [(0, 1), (0.1, 0.85), (0.5, 0.5)])
def test_selecting_and_sorting_have_one_derivative(monkeypatch, shares):
    d, e = (side.clone().requires_grad_() for side in pair(3, 12, 3))

    def grads():
        low, high = distortion(d, e, quantiles=shares)
        return torch.autograd.grad(low + 3 * high, (d, e))

    selected = grads()
    monkeypatch.setattr(pairs, "at_hand", lambda x: False)
    torch.testing.assert_close(selected, grads(), rtol=1e-12, atol=0)
    assert selected[0].count_nonzero() <= 4


def test_an_endless_stretch_is_no_nan(forms):
    d, e = square(1e-30, 1e-30, 1).float(), square(1e30, 1e30, 1).float()
    low, high = distortion(d, e, quantiles=(0, 0.9))
    assert (low, high) == (1, torch.inf)


@pytest.mark.parametrize(("shares", "bytes_per_pair"), [((0, 1), 1), ((0.05, 0.95), 4)])
def test_distortion_holds_one_number_per_pair_at_most(shares, bytes_per_pair):
    from torch.profiler import ProfilerActivity, profile

    n = 2000
    d, e = (pairwise(points(seed, n, 3, torch.float32)) for seed in (0, 1))
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        distortion(d, e, quantiles=shares)
    largest = max(event.self_cpu_memory_usage for event in trace.events())
    # A float64 copy of one side would be 8 bytes for each of n^2 / 2 pairs, and of both 16.
    assert largest < 1.1 * bytes_per_pair * n * n / 2


# --- sentences -----------------------------------------------------------------------------------


def test_the_sentence_for_matrices_of_different_size(as_a_user):
    sentence = r"d is 5 x 5 and e is 4 x 4: both must hold .* same rows in the same order"
    for ruler in (correlation, distortion):
        with pytest.raises(ValueError, match=sentence):
            ruler(torch.zeros(5, 5), torch.zeros(4, 4))


def test_the_sentences_for_a_mask_that_does_not_fit(as_a_user):
    d = torch.zeros(5, 5)
    with pytest.raises(ValueError, match=r"where is 4 x 4 and d is 5 x 5: .* same samples"):
        correlation(d, d, where=torch.ones(4, 4, dtype=torch.bool))
    with pytest.raises(TypeError, match=r"where holds torch.float32 values: .* where != 0"):
        distortion(d, d, where=torch.ones(5, 5))


def test_the_sentence_for_an_unknown_kind(as_a_user):
    with pytest.raises(ValueError, match=r"kind is 'kendall': .* 'pearson' or 'spearman'"):
        correlation(torch.zeros(3, 3), torch.zeros(3, 3), kind="kendall")


@pytest.mark.parametrize("quantiles", [(0.9, 0.1), (-0.1, 1), (0, 1.1), (0.5,), (0, 0.5, 1)])
def test_the_sentence_for_quantiles(as_a_user, quantiles):
    with pytest.raises(ValueError, match=r"quantiles is \(.*\): two ascending numbers"):
        distortion(torch.zeros(3, 3), torch.zeros(3, 3), quantiles=quantiles)


# --- devices -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_no_distance_is_looked_at_on_a_device(kind):
    d, e = (torch.rand(6, 6, device="meta", requires_grad=True) for _ in range(2))
    mask = within_class(torch.zeros(6, dtype=torch.int64, device="meta"))
    assert correlation(d, e, where=mask, kind=kind).is_meta
    for shares in ((0, 1), (0.05, 0.95)):
        result = distortion(d, e, where=mask, quantiles=shares)
        assert all(value.is_meta for value in vars(result).values())
        (grad,) = torch.autograd.grad(sum(result), d)
        assert grad.is_meta
    (grad,) = torch.autograd.grad(correlation(d, e, where=mask), d, create_graph=True)
    (second,) = torch.autograd.grad(grad.sum(), d)
    assert second.is_meta


@pytest.mark.gpu
def test_the_gpu_gives_the_same():
    x, z = points(0, 60, 7, torch.float32), points(1, 60, 90, torch.float32)
    d, e = pairwise(x), pairwise(z)
    mask = within_class(torch.arange(60) % 4)
    for f in (
        lambda d, e, m: correlation(d, e, where=m),
        lambda d, e, m: correlation(d, e, where=m, kind="spearman"),
        lambda d, e, m: torch.stack([*distortion(d, e, where=m, quantiles=(0.05, 0.95))]),
        lambda d, e, m: torch.stack([*distortion(d, e, where=m)]),
    ):
        there = f(d.cuda(), e.cuda(), mask.cuda())
        assert there.is_cuda
        torch.testing.assert_close(there.cpu(), f(d, e, mask), rtol=1e-6, atol=1e-7)
