"""Rulers between two representations: what each is sold for, and that it has no more than that."""

import inspect
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clouds import clouds, few, points, rigid, rotation, stretched
from companion.distances import cka, metric, pairwise, procrustes, similarity

# --- linear CKA ----------------------------------------------------------------------------------


def slow_hsic(x, z, unbiased):
    k, m = x @ x.T, z @ z.T
    n = len(x)
    if not unbiased:
        h = torch.eye(n, dtype=x.dtype) - 1 / n
        return (h @ k @ h * (h @ m @ h)).sum()
    k, m = k.fill_diagonal_(0), m.fill_diagonal_(0)
    middle = k.sum() * m.sum() / ((n - 1) * (n - 2))
    return ((k @ m).trace() + middle - 2 / (n - 2) * (k @ m).sum()) / (n * (n - 3))


def slow_cka(x, z, unbiased):
    hsic = [slow_hsic(a, b, unbiased) for a, b in ((x, z), (x, x), (z, z))]
    return hsic[0] / (hsic[1] * hsic[2]).sqrt()


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize(("dim", "other"), [(3, 2), (30, 5), (5, 40), (20, 20)])
def test_both_forms_equal_the_definition(monkeypatch, unbiased, dim, other):
    monkeypatch.setattr(similarity, "_ROWS", 7)  # several blocks, the last one short
    x = points(0, 20, dim) + 3
    z = points(1, 20, other) + x[:, :1]
    expected = slow_cka(x, z, unbiased)
    torch.testing.assert_close(cka(x, z, unbiased=unbiased), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("n", [300, 1500])
@pytest.mark.parametrize("dim", [20, 2000])
def test_an_offset_costs_float32_no_digits(unbiased, n, dim):
    x = points(0, n, dim, torch.float32)
    z = x[:, :10] + points(1, n, 10, torch.float32)
    far, far_z = x + 1e5, z - 1e6  # rounds the rows themselves to 4e-3 and 3e-2
    expected = cka(far.double(), far_z.double(), unbiased=unbiased)
    found = cka(far, far_z, unbiased=unbiased)
    assert found.dtype == torch.float32
    # A product of rows in float32 carries 1e-7; the ratio of three sums of them a few times that.
    torch.testing.assert_close(found.double(), expected, rtol=5e-6, atol=5e-6)


@few
@clouds
@pytest.mark.parametrize("unbiased", [False, True])
def test_cka_is_blind_to_rotation_shift_and_one_scale(unbiased, seed, n, dim):
    x, z = points(seed, n, dim), points(seed + 1, n, 3)
    value = cka(x, z, unbiased=unbiased)
    moved = cka(3 * rigid(x, seed + 2), 0.2 * rigid(z, seed + 3), unbiased=unbiased)
    torch.testing.assert_close(moved, value, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(cka(z, x, unbiased=unbiased), value, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(cka(x, -2 * x, unbiased=unbiased).item(), 1.0)


@few
@clouds
def test_plain_cka_lies_between_0_and_1(seed, n, dim):
    value = cka(points(seed, n, dim), points(seed + 1, n, 3))
    assert 0 <= value <= 1 + 1e-12


@pytest.mark.parametrize("unbiased", [False, True])
def test_cka_sees_a_linear_map(unbiased):
    x = points(0, 60, 5)
    assert cka(x, stretched(x), unbiased=unbiased) < 0.7


@pytest.mark.parametrize(("n", "dim", "other"), [(500, 500, 500), (450, 256, 128)])
def test_the_bias_of_independent_gaussians(n, dim, other):
    x, z = points(0, n, dim, torch.float32), points(1, n, other, torch.float32)
    predicted = math.sqrt(dim * other / ((n + dim) * (n + other)))
    # Ten seeds of either form spread by 0.003.
    assert abs(cka(x, z) - predicted) < 0.01
    assert abs(cka(x, z, unbiased=True)) < 0.01


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("dim", [3, 12])
def test_the_gradient_of_cka(monkeypatch, unbiased, dim):
    monkeypatch.setattr(similarity, "_ROWS", 5)
    x, z = points(0, 8, dim).requires_grad_(), points(1, 8, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, z: cka(x, z, unbiased=unbiased), (x, z))


@pytest.mark.parametrize("dim", [3, 300])
def test_short_dtypes_and_tiny_activations(dim):
    x, z = points(0, 50, dim), points(1, 50, 4)
    # bfloat16 rounds the rows to 4e-3.
    found = cka(x.bfloat16(), z.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), cka(x, z), rtol=2e-2, atol=1e-2)
    tiny = cka(1e-15 * x.float(), 1e12 * z.float())
    torch.testing.assert_close(tiny.double(), cka(x, z), rtol=1e-5, atol=1e-6)


def test_the_feature_form_makes_no_matrix_of_all_pairs():
    from torch.profiler import ProfilerActivity, profile

    n, dim = 6000, 8
    x, z = points(0, n, dim, torch.float32), points(1, n, dim, torch.float32)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        cka(x, z, unbiased=True)
    largest = max(event.self_cpu_memory_usage for event in trace.events())
    assert largest < 8 * n * dim  # a matrix of all pairs would be 4 * n * n, 750 times as much


# --- Procrustes ----------------------------------------------------------------------------------


def residual_by_hand(x, z, result):
    """The residual from the motion itself, with what a narrower z has no room for."""
    centred = x - x.mean(0)
    size = centred.square().sum()
    p = x @ result.rotation + result.shift
    left = (result.scale * z - p).square().sum()
    return (left + size - (p - p.mean(0)).square().sum()) / size


@few
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 12),
    dim=st.integers(1, 6),
    other=st.integers(1, 6),
    scale=st.booleans(),
)
def test_the_motion_applied_gives_the_residual(seed, n, dim, other, scale):
    x, z = points(seed, n, dim) + 2, 3 * points(seed + 1, n, other) - 1
    result = procrustes(x, z, scale=scale)
    torch.testing.assert_close(
        result.residual, residual_by_hand(x, z, result), rtol=1e-9, atol=1e-9
    )
    q = result.rotation if dim >= other else result.rotation.T
    torch.testing.assert_close(q.T @ q, torch.eye(min(dim, other), dtype=q.dtype))
    assert result.shift.shape == (other,)
    assert scale or result.scale == 1


@few
@clouds
def test_no_other_motion_does_better(seed, n, dim):
    x, z = points(seed, n, dim), points(seed + 1, n, dim)
    best = procrustes(x, z)
    size = (x - x.mean(0)).square().sum()
    for k in range(5):
        shift = best.shift + 0.1 * points(seed + k, 1, dim)[0]
        near = torch.linalg.qr(best.rotation + 0.1 * points(seed + k, dim, dim))[0]
        near = near * (near * best.rotation).sum(0).sign()
        for q, t in ((near, best.shift), (best.rotation, shift), (near, shift)):
            assert (z - x @ q - t).square().sum() / size >= best.residual - 1e-12


@few
@clouds
def test_procrustes_is_blind_to_rigid_motion_mirrors_included(seed, n, dim):
    x, z = points(seed, n, dim), points(seed + 1, n, 3)
    # 1e-12: the residual is a difference of sums of squares.
    assert procrustes(x, rigid(x, seed + 2)).residual < 1e-12
    assert procrustes(x, x * x.new_tensor([-1] + [1] * (dim - 1))).residual < 1e-12
    moved = procrustes(rigid(x, seed + 3), rigid(z, seed + 4)).residual
    torch.testing.assert_close(moved, procrustes(x, z).residual, rtol=1e-9, atol=1e-12)


@few
@clouds
def test_procrustes_is_blind_to_scale_only_if_asked(seed, n, dim):
    x = points(seed, n, dim)
    z = 3 * rigid(x, seed + 1)
    torch.testing.assert_close(procrustes(x, z).residual.item(), 4.0)  # (3 - 1)^2
    scaled = procrustes(x, z, scale=True)
    assert scaled.residual < 1e-12
    torch.testing.assert_close(scaled.scale.item(), 1 / 3)


@few
@clouds
def test_scaled_procrustes_is_symmetric_and_in_0_to_1(seed, n, dim):
    x, z = points(seed, n, dim), 5 * points(seed + 1, n, 3)
    there, back = procrustes(x, z, scale=True).residual, procrustes(z, x, scale=True).residual
    torch.testing.assert_close(there, back)
    assert 0 <= there <= 1


@few
@clouds
def test_procrustes_sees_a_linear_map(seed, n, dim):
    x = points(seed, n, dim)
    assert procrustes(x, stretched(x), scale=True).residual > 1e-3


def test_the_narrower_side_is_padded_with_zeros():
    x, z = points(0, 9, 5), points(1, 9, 2)
    padded = torch.nn.functional.pad(z, (0, 3))
    torch.testing.assert_close(procrustes(x, z).residual, procrustes(x, padded).residual)
    torch.testing.assert_close(
        procrustes(z, x, scale=True).residual, procrustes(padded, x, scale=True).residual
    )
    # Dropping two of three equal axes leaves two thirds: z has no room for them.
    cube = torch.tensor([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]).double()
    torch.testing.assert_close(procrustes(cube, cube[:, :1]).residual.item(), 2 / 3)


def direct_procrustes(x, z, scale):
    """Residual and rotation from the D x d matrix itself."""
    c, o = x - x.mean(0), z - z.mean(0)
    size, other = c.square().sum(), o.square().sum()
    u, s, v = torch.linalg.svd(c.T @ o, full_matrices=False)
    shared = s.sum()
    if scale:
        return 1 - shared**2 / (size * other), u @ v
    return (size + other - 2 * shared) / size, u @ v


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize(
    ("dim", "other"), [(30, 40), (40, 30), (30, 30), (30, 4), (4, 30), (9, 8)]
)
def test_fewer_samples_than_features_give_the_residual_of_the_definition(scale, dim, other):
    x = (points(0, 8, dim) + 5).requires_grad_()
    z = (2 * points(1, 8, other) - 1 + x[:, :1].detach()).requires_grad_()
    found, (expected, _) = procrustes(x, z, scale=scale), direct_procrustes(x, z, scale)
    torch.testing.assert_close(found.residual, expected, rtol=1e-11, atol=1e-13)
    for side in (x, z):
        grads = [
            torch.autograd.grad(r, side, retain_graph=True)[0] for r in (found.residual, expected)
        ]
        torch.testing.assert_close(*grads, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("dim", "other"), [(30, 40), (40, 30), (30, 4), (4, 30), (3, 5)])
def test_the_motion_of_few_samples_is_rigid_for_all_others(dim, other):
    x, z = points(0, 8, dim) + 5, points(1, 8, other)
    result = procrustes(x, z)
    q = result.rotation if dim >= other else result.rotation.T
    torch.testing.assert_close(q.T @ q, torch.eye(min(dim, other), dtype=q.dtype))
    torch.testing.assert_close(
        result.residual, residual_by_hand(x, z, result), rtol=1e-11, atol=1e-11
    )
    if dim <= other:  # no direction is lost, so every other sample keeps its distances, too
        more = points(2, 20, dim)
        torch.testing.assert_close(pairwise(more @ result.rotation + result.shift), pairwise(more))


@few
@given(seed=st.integers(0, 10**6), n=st.integers(1, 4), dim=st.integers(4, 9))
def test_a_reflector_takes_the_axes_to_any_columns(seed, n, dim):
    q = torch.linalg.qr(points(seed, dim, n))[0]
    if seed % 3 == 0:
        q = torch.eye(dim, dtype=q.dtype)[:, :n] * (-1) ** seed
    y, m, turn = similarity._reflector(q)
    h = torch.eye(dim, dtype=q.dtype) - y @ m @ y.T
    torch.testing.assert_close(h.T @ h, torch.eye(dim, dtype=q.dtype))
    torch.testing.assert_close(h[:, :n] @ turn, q)


def test_the_cost_of_procrustes_grows_with_the_samples_not_with_the_square_of_the_features():
    from torch.profiler import ProfilerActivity, profile

    x, z = points(0, 10, 3000, torch.float32), points(1, 10, 4000, torch.float32)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        procrustes(x, z, scale=True)
    largest = max(event.self_cpu_memory_usage for event in trace.events())
    assert largest < 4 * 8 * 10 * 4000  # a matrix of features would be 8 * 3000 * 4000


def test_scipy_agrees_on_procrustes():
    from scipy.linalg import orthogonal_procrustes
    from scipy.spatial import procrustes as scipy_procrustes

    x, z = points(0, 20, 4), points(1, 20, 4)
    _, _, disparity = scipy_procrustes(x.numpy(), z.numpy())
    torch.testing.assert_close(procrustes(x, z, scale=True).residual.item(), float(disparity))
    q, _ = orthogonal_procrustes((x - x.mean(0)).numpy(), (z - z.mean(0)).numpy())
    torch.testing.assert_close(procrustes(x, z).rotation, torch.from_numpy(q))


def test_of_two_dtypes_the_wider_one():
    x, z = points(0, 9, 3), points(1, 9, 4)
    for unbiased in (False, True):
        value = cka(x.float(), z, unbiased=unbiased)
        # float32 rounds the rows of x to 6e-8.
        torch.testing.assert_close(value, cka(x, z, unbiased=unbiased), rtol=1e-5, atol=1e-6)
    assert procrustes(x.float(), z).residual.dtype == torch.float64


def test_procrustes_keeps_the_dtype_and_prints_briefly():
    x = points(0, 9, 5, torch.float32)
    result = procrustes(x, x[:, :3])
    parts = (result.residual, result.rotation, result.shift, result.scale)
    assert {part.dtype for part in parts} == {torch.float32}
    assert repr(procrustes(x, 3 * x)) == "Procrustes(residual=4, scale=1, rotation 5 x 5)"


# --- sentences -----------------------------------------------------------------------------------


def test_the_sentences_for_samples(as_a_user):
    with pytest.raises(ValueError, match=r"x holds 5 samples and z 4: CKA compares .* one order"):
        cka(torch.zeros(5, 2), torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"x holds 5 samples and z 4: Procrustes compares"):
        procrustes(torch.zeros(5, 2), torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"x and z hold 3 samples: unbiased CKA needs at least 4"):
        cka(points(0, 3, 2), points(1, 3, 2), unbiased=True)
    with pytest.raises(ValueError, match=r"x and z hold 1 samples: Procrustes needs at least 2"):
        procrustes(points(0, 1, 2), points(1, 1, 2))


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("dim", [2, 20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_sentence_for_a_representation_without_spread(unbiased, dim, dtype):
    x, dead = points(0, 9, 3, dtype), torch.full((9, dim), 0.1, dtype=dtype)
    for other in (dead, torch.zeros_like(dead), dead * 1e6):
        with pytest.raises(ValueError, match=r"z is the same for all 9 samples: CKA divides"):
            cka(x, other, unbiased=unbiased)
        with pytest.raises(ValueError, match=r"x is the same for all 9 samples: CKA"):
            cka(other, x, unbiased=unbiased)
        with pytest.raises(ValueError, match=r"x is the same for all 9 samples: Procrustes"):
            procrustes(other, x)
        with pytest.raises(ValueError, match=r"z is the same for all 9 samples: Procrustes with"):
            procrustes(x, other, scale=True)
        torch.testing.assert_close(procrustes(x, other).residual.item(), 1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_sentence_for_samples_equally_far_from_each_other(dtype):
    # Of a simplex every pair is alike: HSIC_1 is 0, and what is computed is rounding.
    simplex, x = rotation(0, 5).to(dtype), points(1, 5, 3, dtype)
    for sides in ((simplex, x), (x, simplex)):
        with pytest.raises(ValueError, match=r"HSIC_1 .* of 5 samples .* is 0: pass more samples"):
            cka(*sides, unbiased=True)
    assert cka(simplex, x).isfinite()


@pytest.mark.parametrize("ruler", [cka, procrustes])
def test_the_sentence_for_nan(ruler):
    x, broken = points(0, 9, 3), points(1, 9, 3)
    broken[2, 1] = torch.nan
    with pytest.raises(ValueError, match=r"^z holds values that are NaN"):
        ruler(x, broken)
    with pytest.raises(ValueError, match=r"^x holds values that are NaN"):
        ruler(broken, x)
    with pytest.raises(TypeError, match=r"z holds torch.int64 values"):
        inspect.unwrap(ruler)(x, torch.ones(9, 3, dtype=torch.int64))


# --- devices -------------------------------------------------------------------------------------


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("dim", [3, 30])
def test_no_representation_is_looked_at_on_a_device(unbiased, dim):
    x = torch.randn(8, dim, device="meta", requires_grad=True)
    z = torch.randn(8, 2, 2, device="meta")
    value = cka(x, z, unbiased=unbiased)
    (grad,) = torch.autograd.grad(value, x, create_graph=True)
    (second,) = torch.autograd.grad(grad.square().sum(), x)
    assert value.is_meta and second.is_meta
    for scale in (False, True):
        result = procrustes(x, z, scale=scale)
        parts = (result.residual, result.rotation, result.shift, result.scale)
        assert all(part.is_meta for part in parts)


def test_no_number_instead_of_an_error_where_no_value_is_looked_at(monkeypatch):
    monkeypatch.setattr(similarity, "at_hand", lambda x: False)
    assert cka(torch.ones(5, 2), points(0, 5, 2, torch.float32)).isnan()
    assert not procrustes(torch.ones(5, 2), points(0, 5, 2, torch.float32)).residual.isfinite()


@pytest.mark.gpu
def test_the_gpu_gives_the_same():
    assert metric.at_hand(torch.zeros(1)) and not metric.at_hand(torch.zeros(1, device="cuda"))
    x, z = points(0, 60, 7, torch.float32), points(1, 60, 90, torch.float32)
    for f in (
        cka,
        lambda x, z: cka(x, z, unbiased=True),
        lambda x, z: cka(x, x.flip(0), unbiased=True),
        lambda x, z: procrustes(x, z).residual,
        lambda x, z: procrustes(x, z, scale=True).residual,
    ):
        there = f(x.cuda(), z.cuda())
        assert there.is_cuda
        torch.testing.assert_close(there.cpu(), f(x, z), rtol=1e-5, atol=1e-6)
