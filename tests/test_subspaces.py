"""Subspaces: the cosine transform, projections, their families, filters, every refused input."""

import pickle
import time

import numpy as np
import pytest
import scipy.fft
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from companion import subspaces
from companion.subspaces import (
    Subspace,
    complement,
    cut_low,
    dct,
    dct_diagonal,
    flip_frequencies,
    high_pass,
    inverse_dct,
    low_pass,
    random,
)

few = settings(max_examples=40)
sides = st.integers(1, 9)
seeds = st.integers(0, 10**6)
FILTERS = {
    "low_pass": lambda x: low_pass(x, 2),
    "high_pass": lambda x: high_pass(x, 2),
    "cut_low": lambda x: cut_low(x, 2),
    "flip": flip_frequencies,
    "dct": dct,
    "inverse_dct": inverse_dct,
}


def points(seed, *shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def close(found, expected, terms, size=None):
    """Up to the rounding of sums of `terms` products, of numbers as long as `size`."""
    size = float(expected.norm()) if size is None else size
    bound = terms * torch.finfo(found.dtype).eps * (size + 1e-30)
    torch.testing.assert_close(found, expected.to(found.dtype), rtol=0, atol=bound)


def index_set(seed, shape, share=0.5):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator) < share


def dense(subspace):
    """The same subspace, kept as its basis in float64."""
    return Subspace(subspace.basis(dtype=torch.float64))


IMAGES = (2, 5, 8)  # an odd side, an even one
MADE = {
    "basis": lambda: Subspace(torch.linalg.qr(points(0, 80, 7)).Q),
    "outside a basis": lambda: complement(torch.linalg.qr(points(0, 80, 7)).Q),
    "block": lambda: dct_diagonal(IMAGES, size=3, step=1)[1],
    "outside a block": lambda: complement(dct_diagonal(IMAGES, size=3, step=1)[1]),
    "set": lambda: Subspace.from_index(IMAGES, index_set(1, IMAGES, 0.1)),
    "set of one channel": lambda: Subspace.from_index(
        IMAGES, index_set(1, IMAGES) & torch.tensor([True, False])[:, None, None]
    ),
    "nothing": lambda: Subspace.from_index(IMAGES, torch.zeros(IMAGES, dtype=torch.bool)),
    "everything": lambda: Subspace.from_index(IMAGES, torch.ones(IMAGES, dtype=torch.bool)),
    "random": lambda: random(IMAGES, 5, dtype=torch.float64),
    "random outside": lambda: random(
        IMAGES, 5, within=complement(torch.linalg.qr(points(0, 80, 7)).Q), dtype=torch.float64
    ),
}
made = pytest.mark.parametrize("name", MADE)


# ---- the transform ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "shape",
    [(8, 8), (3, 7), (1, 1, 28, 28), (4, 3, 9, 16), (2, 2, 3, 5, 4), (2, 1, 6), (3, 224, 225)],
)
def test_the_transform_is_scipys(shape, dtype):
    x = points(0, *shape, dtype=dtype)
    expected = torch.from_numpy(scipy.fft.dctn(x.double().numpy(), axes=(-2, -1), norm="ortho"))
    found = dct(x)
    assert found.dtype == dtype and found.shape == x.shape
    close(found, expected, sum(shape[-2:]), size=1)
    close(inverse_dct(found), x, sum(shape[-2:]), size=2)


@given(seed=seeds, height=sides, width=sides, channels=st.integers(1, 3))
@few
def test_the_transform_is_an_isometry_of_each_channel(seed, height, width, channels):
    x = points(seed, 2, channels, height, width)
    c = dct(x)
    torch.testing.assert_close(c.flatten(2).norm(dim=2), x.flatten(2).norm(dim=2))
    torch.testing.assert_close(inverse_dct(c), x)
    constant = x.mean(dim=(2, 3)) * (height * width) ** 0.5
    torch.testing.assert_close(c[..., 0, 0], constant)


@pytest.mark.parametrize("n", [1, 2, 3, 28, 224, 500])
def test_its_rows_are_orthonormal_to_rounding(n):
    t = dct(torch.eye(n, dtype=torch.float64)[:, :, None])[..., 0].T
    # Entries of size sqrt(2/n), each off by 4 eps of it at most (half an eps of an angle below
    # 2 pi, then the cosine's own), move a sum of n products of two by 16 eps at most.
    wide = t.numpy().astype(np.longdouble)
    assert np.abs(wide @ wide.T - np.eye(n)).max() < 16 * torch.finfo(t.dtype).eps


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_dtypes_are_computed_in_float32_and_rounded_once(name, dtype):
    x = points(0, 2, 3, 4, 6, dtype=dtype)
    found = FILTERS[name](x)
    assert found.dtype == dtype
    assert torch.equal(found, FILTERS[name](x.float()).to(dtype))


@pytest.mark.parametrize("name", FILTERS)
def test_what_is_given_stays_as_it_was_however_it_lies_in_memory(name):
    x = points(0, 4, 3, 6, 5)
    strided = x.mT.contiguous().mT
    before = strided.clone()
    found = FILTERS[name](strided)
    assert torch.equal(strided, before)
    torch.testing.assert_close(found, FILTERS[name](x))
    assert FILTERS[name](x[:0]).shape == (0, 3, 6, 5)


# ---- filters ---------------------------------------------------------------------------------


@given(seed=seeds, height=sides, width=sides, data=st.data())
@few
def test_filters_keep_the_frequencies_that_they_name(seed, height, width, data):
    size = data.draw(st.integers(1, min(height, width)))
    x = points(seed, 2, 3, height, width)
    c = dct(x)
    low = torch.zeros(height, width, dtype=torch.bool)
    low[:size, :size] = True
    torch.testing.assert_close(dct(low_pass(x, size)), c * low)
    torch.testing.assert_close(dct(cut_low(x, size)), c * ~low)
    torch.testing.assert_close(dct(high_pass(x, size)), c * low.flip(0, 1))
    torch.testing.assert_close(low_pass(x, size) + cut_low(x, size), x)
    kept = Subspace.from_index((3, height, width), low)
    torch.testing.assert_close(kept.project(x), low_pass(x, size))
    torch.testing.assert_close(complement(kept).project(x), cut_low(x, size))


@given(seed=seeds, height=sides, width=sides)
@few
def test_the_flip_reverses_both_axes_is_an_isometry_and_its_own_inverse(seed, height, width):
    x = points(seed, 2, 3, height, width)
    flipped = flip_frequencies(x)
    torch.testing.assert_close(dct(flipped), dct(x).flip(-2, -1))
    torch.testing.assert_close(flip_frequencies(flipped), x)
    torch.testing.assert_close(flipped.flatten(1).norm(dim=1), x.flatten(1).norm(dim=1))


def test_the_flip_swaps_the_ends_of_the_diagonal():
    blocks, x = dct_diagonal((1, 8, 8), size=3, step=1), points(0, 4, 1, 8, 8)
    for low, high in zip(blocks, reversed(blocks), strict=True):
        there = high.project(flip_frequencies(x))
        torch.testing.assert_close(flip_frequencies(low.project(x)), there)


def test_a_flipped_constant_is_an_image_at_the_highest_frequency():
    c = dct(flip_frequencies(torch.ones(1, 8, 8, dtype=torch.float64)))
    assert c[0, 7, 7] == pytest.approx(8) and c.abs().sum() == pytest.approx(8)


@pytest.mark.parametrize("name", ["low_pass", "high_pass", "cut_low", "flip"])
def test_a_data_set_is_filtered_as_each_of_its_images(name):
    x = points(0, 5, 3, 8, 8)
    each = torch.stack([torch.stack([FILTERS[name](one) for one in image]) for image in x])
    torch.testing.assert_close(FILTERS[name](x), each)


# ---- projections -----------------------------------------------------------------------------


@made
def test_a_projection_is_idempotent_symmetric_and_leaves_a_right_angle(name):
    subspace, x, y = MADE[name](), points(1, 6, 80), points(2, 6, 80)
    inside = subspace.project(x)
    rest = x - inside
    torch.testing.assert_close(subspace.project(inside), inside)
    torch.testing.assert_close((inside * y).sum(1), (x * subspace.project(y)).sum(1))
    squares = inside.square().sum(1) + rest.square().sum(1)
    torch.testing.assert_close(squares, x.square().sum(1))
    torch.testing.assert_close(subspace.length(x), inside.norm(dim=1))


@made
def test_the_basis_is_orthonormal_and_projects_alike(name):
    subspace, x = MADE[name](), points(1, 6, 80)
    p = subspace.basis(dtype=torch.float64)
    assert p.shape == (80, subspace.dim) and subspace.ambient == 80
    # Sums of 80 products of rounded numbers, whose squares add up to 1.
    off = p.T @ p - torch.eye(subspace.dim)
    assert subspace.dim == 0 or off.abs().max() < 80 * torch.finfo(p.dtype).eps
    torch.testing.assert_close(subspace.project(x), x @ p @ p.T)
    assert subspace.basis(dtype=torch.float32).dtype == torch.float32
    assert subspace.basis(device="meta").is_meta


@made
def test_samples_keep_shape_and_dtype_and_the_derivative_is_the_projection(name):
    subspace, x, g = MADE[name](), points(1, 6, *IMAGES), points(2, 6, *IMAGES)
    for dtype, digits in ((torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)):
        found = subspace.project(x.to(dtype))
        assert found.dtype == dtype and found.shape == x.shape
        torch.testing.assert_close(found.double(), subspace.project(x), rtol=digits, atol=digits)
        assert subspace.length(x.to(dtype)).dtype == dtype
    torch.testing.assert_close(subspace.project(x.flatten(1)), subspace.project(x).flatten(1))
    x.requires_grad_()
    (gradient,) = torch.autograd.grad((subspace.project(x) * g).sum(), x)
    torch.testing.assert_close(gradient, subspace.project(g))
    assert torch.autograd.gradcheck(lambda x: subspace.project(x).square(), x[:1].double())
    assert subspace.project(x[:0]).shape == (0, *IMAGES)


@given(seed=seeds, channels=st.integers(1, 3), height=sides, width=sides, share=st.floats(0, 1))
@few
def test_a_set_of_frequencies_is_the_subspace_of_its_basis(seed, channels, height, width, share):
    shape = (channels, height, width)
    index = index_set(seed, shape, share)
    kept, x, g = Subspace.from_index(shape, index), points(seed, 3, *shape), points(1, 3, *shape)
    slow = dense(kept)
    assert kept.dim == slow.dim == int(index.sum()) and torch.equal(kept.index, index)
    torch.testing.assert_close(kept.project(x), inverse_dct(dct(x) * index))
    torch.testing.assert_close(kept.project(x), slow.project(x))
    torch.testing.assert_close(kept.length(x), slow.length(x))
    x.requires_grad_()
    gradients = [
        torch.autograd.grad((one.project(x) * g).sin().sum(), x)[0] for one in (kept, slow)
    ]
    torch.testing.assert_close(*gradients)


def test_a_set_of_all_channels_alike_is_given_once_and_copied():
    index = index_set(0, (5, 8))
    kept = Subspace.from_index(IMAGES, index)
    assert torch.equal(kept.index, index.expand(IMAGES))
    index.logical_not_()
    assert not torch.equal(kept.index[0], index)
    assert MADE["basis"]().index is None


# ---- the complement --------------------------------------------------------------------------


@made
def test_subspace_and_complement_make_the_space(name):
    subspace, x = MADE[name](), points(1, 6, 80)
    outside = complement(subspace)
    assert subspace.dim + outside.dim == subspace.ambient == outside.ambient
    torch.testing.assert_close(subspace.project(x) + outside.project(x), x)
    torch.testing.assert_close(subspace.project(outside.project(x)), torch.zeros_like(x))
    assert torch.equal(complement(outside).project(x), subspace.project(x))
    if subspace.index is not None:
        assert torch.equal(outside.index, ~subspace.index)


def test_directions_are_enough_for_a_complement():
    directions = torch.linalg.qr(points(0, 9, 9)).Q
    outside = complement(directions[:, :2])
    torch.testing.assert_close(outside.project(directions.T), torch.cat([
        torch.zeros(2, 9, dtype=torch.float64), directions.T[2:]
    ]))  # fmt: skip


# ---- families --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape, size, step, number",
    [
        ((1, 28, 28), 8, 1, 21),
        ((3, 32, 32), 8, 2, 13),
        ((3, 224, 224), 16, 16, 14),
        ((1, 8, 8), 3, 1, 6),
        ((2, 5, 9), 2, 2, 2),
        ((1, 4, 4), 4, 1, 1),
    ],
)
def test_blocks_lie_along_the_diagonal(shape, size, step, number):
    blocks = dct_diagonal(shape, size=size, step=step)
    assert len(blocks) == number
    for k, block in enumerate(blocks):
        channel, row, column = block.index.nonzero(as_tuple=True)
        assert block.dim == shape[0] * size**2 == len(channel)
        assert set(channel.tolist()) == set(range(shape[0]))
        expected = set(range(k * step, k * step + size))
        assert set(row.tolist()) == set(column.tolist()) == expected


def test_a_block_of_imagenet_is_small_and_makes_nothing_large():
    class Largest(TorchDispatchMode):
        numbers = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            made = func(*args, **(kwargs or {}))
            for one in made if isinstance(made, tuple | list) else (made,):
                if isinstance(one, torch.Tensor):
                    self.numbers = max(self.numbers, one.numel())
            return made

    shape = (3, 224, 224)
    with Largest() as seen:
        blocks = dct_diagonal(shape, size=16, step=16)
        x = torch.ones(2, *shape)
        found = [block.project(x) for block in (blocks[3], complement(blocks[3]))]
    torch.testing.assert_close(sum(found), x)
    # One truth value a coefficient, where a basis is 462 MB; and no number beyond the samples'.
    assert len(pickle.dumps(blocks)) < 14 * 1.1 * x[0].numel()
    assert seen.numbers == x.numel()


def test_a_block_of_imagenet_projects_in_a_fraction_of_a_second():
    block, x = dct_diagonal((3, 224, 224), size=16, step=16)[2], torch.ones(4, 3, 224, 224)
    block.project(x)
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        block.project(x)
        taken.append(time.perf_counter() - start)
    # 2e7 multiply-adds: some ten milliseconds. With a basis 5e8, after reading 462 MB.
    assert min(taken) < 0.5


# ---- random subspaces ------------------------------------------------------------------------


def test_a_seed_is_a_subspace_and_leaves_other_randomness_alone():
    state = torch.get_rng_state()
    one, two = random((3, 4), 5, seed=3), random((12,), 5, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.basis(), two.basis())
    assert one.basis().dtype == torch.float32
    other = random((3, 4), 5, seed=4)
    x = points(0, 5, 12, dtype=torch.float32)
    assert not torch.allclose(one.project(x), other.project(x), atol=0.01)


def test_of_one_seed_the_smaller_lies_in_the_larger():
    outside = complement(torch.linalg.qr(points(0, 50, 7)).Q)
    for within in (None, outside):
        small, large = (
            random((50,), dim, within=within, seed=2, dtype=torch.float64) for dim in (3, 17)
        )
        torch.testing.assert_close(large.project(small.basis().T), small.basis().T)


@pytest.mark.parametrize("dim", [1, 4, 37, 43])
@pytest.mark.parametrize("kind", ["basis", "frequencies"])
def test_a_random_subspace_lies_where_it_was_asked_for(dim, kind):
    if kind == "basis":
        within = complement(torch.linalg.qr(points(0, 50, 7)).Q)
    else:
        within = Subspace.from_index((1, 5, 10), torch.arange(50).view(5, 10) % 8 != 0)
    found = random((50,), dim, within=within, seed=1, dtype=torch.float64)
    p = found.basis()
    outside = complement(within).project(p.T).norm(dim=1)
    # Twice projected: sums of 50 products of numbers of length 1.
    assert outside.max() < 50 * torch.finfo(p.dtype).eps
    assert (p.T @ p - torch.eye(dim)).abs().max() < 50 * torch.finfo(p.dtype).eps
    assert found.dim == dim


@pytest.mark.parametrize("inside", [False, True])
def test_random_subspaces_are_uniform(inside):
    size, dim, number = 12, 3, 600
    removed = torch.linalg.qr(points(5, size, 4)).Q
    within = complement(removed) if inside else None
    room = size - 4 if inside else size
    w = points(9, 1, size)
    w = within.project(w) if inside else w
    w = w / w.norm()
    made = [
        random((size,), dim, within=within, seed=seed, dtype=torch.float64)
        for seed in range(number)
    ]
    shares = torch.cat([one.length(w) for one in made]).square().numpy()
    law = scipy.stats.beta(dim / 2, (room - dim) / 2)
    # Four standard errors: one correct sampler in 16,000 is outside.
    assert abs(shares.mean() - dim / room) < 4 * law.std() / number**0.5
    assert scipy.stats.kstest(shares, law.cdf).pvalue > 1e-4
    # The mean projector is a multiple of the identity of the space it is drawn from.
    mean = sum(one.project(torch.eye(size, dtype=torch.float64)) for one in made) / number
    expected = torch.eye(size, dtype=torch.float64)
    expected = (within.project(expected) if inside else expected) * dim / room
    # An entry of a projector has a standard deviation below 1/2; 144 of them are asked.
    assert (mean - expected).abs().max() < 5 * 0.5 / number**0.5


def test_a_random_line_of_the_plane_has_no_preferred_angle():
    # Drawn from a cube the lines turn to its corners: the mean of cos 4t is then 3 - pi.
    lines = [random((2,), 1, seed=seed, dtype=torch.float64).basis()[:, 0] for seed in range(2000)]
    across, up = torch.stack(lines).T
    angle = torch.atan2(up, across)
    # Four standard errors of a mean of 2,000 cosines, whose variance is 1/2.
    assert abs(float((4 * angle).cos().mean())) < 4 * (0.5 / 2000) ** 0.5


# ---- devices ---------------------------------------------------------------------------------


@made
def test_on_device_meta_nothing_is_looked_at(name):
    subspace = MADE[name]().to("meta")
    x = torch.zeros(4, *IMAGES, device="meta", requires_grad=True)
    value = subspace.project(x).square().sum() + subspace.length(x).sum()
    (gradient,) = torch.autograd.grad(value, x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), x)
    assert value.is_meta and gradient.is_meta and second.is_meta


@pytest.mark.parametrize("name", FILTERS)
def test_filters_on_device_meta(name):
    x = torch.zeros(4, *IMAGES, device="meta", requires_grad=True)
    found = FILTERS[name](x)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert found.is_meta and gradient.is_meta


def test_random_subspaces_and_bases_on_device_meta():
    assert random((12,), 3, device="meta").project(torch.zeros(2, 12, device="meta")).is_meta
    assert Subspace(torch.zeros(12, 3, device="meta")).dim == 3
    assert MADE["outside a basis"]().to("meta").basis().is_meta


def test_a_basis_moves_on_request():
    moved = MADE["outside a basis"]().to(dtype=torch.float32)
    assert moved.basis().dtype == torch.float32 and moved.dim == 73
    block = MADE["block"]()
    assert block.to("meta", torch.float64) is block


@pytest.mark.gpu
@made
def test_the_gpu_projects_the_same(name):
    subspace, x = MADE[name](), points(1, 6, *IMAGES)
    there = subspace.to("cuda")
    for dtype, digits in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        found = there.project(x.to(dtype).cuda())
        assert found.is_cuda and there.length(x.cuda()).is_cuda
        torch.testing.assert_close(
            found.cpu().double(), subspace.project(x), rtol=digits, atol=digits
        )


@pytest.mark.gpu
@pytest.mark.parametrize("name", FILTERS)
def test_the_gpu_filters_the_same(name):
    x = points(0, 4, 3, 9, 16)
    found = FILTERS[name](x.cuda())
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), FILTERS[name](x))


@pytest.mark.gpu
def test_the_gpu_has_the_same_random_subspaces():
    outside = complement(torch.linalg.qr(points(0, 12, 2)).Q.cuda())
    found = random((12,), 3, within=outside, device="cuda").basis()
    assert found.is_cuda
    here = random((12,), 3, within=outside.to("cpu")).basis()
    torch.testing.assert_close(found.cpu(), here)


# ---- what is refused -------------------------------------------------------------------------

EYE = torch.eye(4)
BLOCK = dct_diagonal((1, 4, 4), size=2, step=1)[0]
SKEW = torch.tensor([[1.0, 0.5], [0.0, 1.0], [0.0, 0.0]])
REFUSED = [
    (lambda: Subspace(np.eye(3)), TypeError, "basis is a ndarray: a tensor .* torch.as_tensor"),
    (lambda: Subspace(torch.eye(3).long()), TypeError, "basis holds torch.int64 .* basis.float"),
    (lambda: Subspace(torch.eye(3).half()), TypeError, "torch.float16 .* in float32 or float64"),
    (lambda: Subspace(torch.ones(3)), ValueError, r"shape \(3,\): .* basis\[:, None\]"),
    (lambda: Subspace(torch.zeros(2, 3)), ValueError, "3 columns of 2 numbers: .* basis.T"),
    (lambda: Subspace(SKEW), ValueError, "not orthonormal, .* off by 0.5: .*linalg.qr"),
    (lambda: Subspace(2 * EYE[:, :2]), ValueError, "not orthonormal, .* off by 3: "),
    (lambda: Subspace(EYE * float("nan")), ValueError, "basis holds NaN"),
    (lambda: complement(SKEW), ValueError, "not orthonormal"),
    (lambda: complement([[1.0], [0.0]]), TypeError, "basis is a list: "),
    (lambda: Subspace(EYE).project([1.0]), TypeError, "x is a list: .* torch.as_tensor"),
    (lambda: Subspace(EYE).project(torch.ones(2, 4).long()), TypeError, "int64 .* x.float"),
    (lambda: Subspace(EYE).length(torch.ones(2, 4).long()), TypeError, "int64 .* x.float"),
    (lambda: Subspace(EYE).project(torch.ones(4)), ValueError, r"shape \(4,\): .* x\[None\]"),
    (lambda: Subspace(EYE).length(torch.ones(4)), ValueError, r"shape \(4,\): .* x\[None\]"),
    (lambda: Subspace(EYE).project(torch.ones(2, 5)), ValueError, "5 numbers a sample.* 4 dim"),
    (
        lambda: Subspace(EYE).project(torch.ones(2, 4, device="meta")),
        ValueError,
        r"x is on meta and the basis of the subspace on cpu: .* subspace.to\(x.device\)",
    ),
    (lambda: BLOCK.project(torch.ones(2, 1, 5, 4)), ValueError, r"\(2, 1, 5, 4\) .* \(1, 4, 4\)"),
    (lambda: BLOCK.project(torch.ones(2, 1, 2, 8)), ValueError, r"samples \(n, 1, 4, 4\)"),
    (lambda: BLOCK.project(torch.ones(1, 4, 4)[0]), ValueError, r"or pass x\[None\]"),
    (lambda: Subspace.from_index((4, 4), EYE > 0), ValueError, r"image_shape is \(4, 4\): "),
    (lambda: Subspace.from_index((1, 0, 4), EYE > 0), ValueError, r"image_shape is \(1, 0, 4\)"),
    (lambda: Subspace.from_index(16, EYE > 0), ValueError, "image_shape is 16: "),
    (lambda: Subspace.from_index((1, 4, 4), EYE), TypeError, "index is torch.float32: "),
    (lambda: Subspace.from_index((1, 4, 4), [True]), TypeError, "index is list: "),
    (lambda: Subspace.from_index((1, 4, 5), EYE > 0), ValueError, r"shape \(4, 4\) and .*4, 5"),
    (lambda: Subspace.from_index((1, 4, 4), (EYE > 0).to("meta")), ValueError, "no values"),
    (lambda: dct_diagonal((8, 8), size=3, step=1), ValueError, r"image_shape is \(8, 8\)"),
    (lambda: dct_diagonal((1, 8, 6), size=7, step=1), ValueError, "size is 7 .* 8 x 6: .* to 6"),
    (lambda: dct_diagonal((1, 8, 8), size=0, step=1), ValueError, "size is 0 .* from 1 to 8"),
    (lambda: dct_diagonal((1, 8, 8), size=3, step=0), ValueError, "step is 0: "),
    (lambda: random((4,), 5), ValueError, "dim is 5 .* has 4 dimensions: from 1 to 4"),
    (lambda: random((4,), 0), ValueError, "dim is 0 "),
    (lambda: random((4,), 3, within=complement(EYE[:, :2])), ValueError, "has 2 dimensions"),
    (lambda: random((5,), 2, within=complement(EYE[:, :2])), ValueError, "lies in 4 .* has 5"),
    (lambda: random(784, 2), ValueError, r"shape is 784: .* \(784,\)"),
    (lambda: random((0, 3), 2), ValueError, r"shape is \(0, 3\)"),
    (lambda: low_pass(torch.ones(1, 4, 6), 5), ValueError, "size is 5 and an image 4 x 6: .* 4"),
    (lambda: high_pass(torch.ones(1, 4, 6), 0), ValueError, "size is 0 "),
    (lambda: cut_low(torch.ones(1, 4, 6), -1), ValueError, "size is -1 "),
]


@pytest.mark.parametrize("call, error, sentence", REFUSED)
def test_what_is_refused_is_told_in_one_sentence(call, error, sentence, as_a_user):
    with pytest.raises(error, match=sentence) as caught:
        call()
    said = str(caught.value)
    assert said.endswith(".") and ": " in said and ". " not in said


@pytest.mark.parametrize("name", FILTERS)
def test_what_is_no_image_is_refused_by_every_filter(name, as_a_user):
    with pytest.raises(TypeError, match="is a ndarray: a tensor of floating-point"):
        FILTERS[name](np.ones((1, 8, 8)))
    with pytest.raises(TypeError, match="torch.uint8 values: .*x.float"):
        FILTERS[name](torch.ones(1, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"x has shape \(64,\): .* \(..., height, width\)"):
        FILTERS[name](torch.ones(64))
    with pytest.raises(ValueError, match=r"x has shape \(2, 0, 8\)"):
        FILTERS[name](torch.ones(2, 0, 8))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [3, 64, 784])
def test_a_basis_passes_where_rounding_alone_is_to_blame(size, dtype):
    for dim in {1, size // 2, size}:
        q = torch.linalg.qr(points(0, size, dim, dtype=dtype)).Q
        rounded = torch.linalg.qr(points(0, size, dim)).Q.to(dtype)
        assert Subspace(q).dim == Subspace(rounded).dim == dim
    off = rounded.clone()
    off[:, 0] *= 1 + 10 * torch.finfo(dtype).eps * size**0.5
    with pytest.raises(ValueError, match="not orthonormal"):
        Subspace(off)


def test_a_subspace_says_what_it_is():
    assert repr(MADE["block"]()) == (
        "Subspace(dim=18, ambient=80, frequencies of images (2, 5, 8))"
    )
    assert repr(MADE["outside a basis"]()) == (
        "Subspace(dim=73, ambient=80, outside a basis of 7 columns)"
    )
    assert "Subspace" in subspaces.__all__
