"""Frequencies of images: the cosine transform, filters in both axes, and the flip.

All work on the last two axes, whatever stands before them, and never change what they were given.
Explained in `book/boundaries/invariant_directions` and `book/boundaries/held_boundaries`.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from companion.subspaces.cosines import (
    EVERY,
    Rows,
    analysis,
    flipped,
    refuse_no_images,
    synthesis,
)

__all__ = ["cut_low", "dct", "flip_frequencies", "high_pass", "inverse_dct", "low_pass"]


def dct(x: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h w"]:
    """Coefficients of the orthonormal discrete cosine transform (DCT-II) of images, in units of x.

    c = T x T^T with T[k, i] = a_k cos(pi (2i + 1) k / 2h), a_0 = sqrt(1/h), else sqrt(2/h), and
    alike along the other axis. c[0, 0] is the mean times sqrt(h w); the last row and column hold
    the highest frequencies. An isometry: coefficients have the length of the image.

    Args:
        x: Images (..., h, w), floating point; each channel is transformed by itself.

    Returns:
        Coefficients (..., h, w), in the dtype of x and on its device.

    Raises:
        TypeError: For anything but a tensor of floating-point numbers.
        ValueError: For fewer than two axes.

    Differentiable. float16 and bfloat16 are computed in float32. Cost: h w (h + w) multiply-adds
    for each channel. Source: Ahmed, Natarajan, Rao (1974); as `scipy.fft.dctn(norm="ortho")`.

    >>> dct(torch.ones(2, 2))
    tensor([[2., 0.],
            [0., 0.]])
    """
    refuse_no_images(x)
    return analysis(_pictures(x)).view(x.shape).to(x.dtype)


def inverse_dct(c: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h w"]:
    """Images from their coefficients: T^T c T undoes `dct`.

    Args:
        c: Coefficients (..., h, w), floating point.

    Returns:
        Images (..., h, w), in the dtype of c and on its device.

    Raises:
        TypeError: For anything but a tensor of floating-point numbers.
        ValueError: For fewer than two axes.

    Differentiable; cost as `dct`.

    >>> inverse_dct(torch.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [1., 1.]])
    """
    refuse_no_images(c)
    return synthesis(_pictures(c), *c.shape[-2:]).view(c.shape).to(c.dtype)


def low_pass(x: Float[Tensor, "*n h w"], size: int) -> Float[Tensor, "*n h w"]:
    """The part of images in their `size` lowest frequencies of both axes, in units of x.

    Args:
        x: Images (..., h, w), floating point.
        size: How many frequencies of each axis are kept, from 1 to the shorter side.

    Returns:
        Images (..., h, w), in the dtype of x and on its device.

    Raises:
        TypeError: For anything but a tensor of floating-point numbers.
        ValueError: For fewer than two axes, and for a size that does not fit the image.

    x = low_pass(x, size) + cut_low(x, size). Both axes are cut, for any number of axes before
    them; the published function masks the second and third axis, so that of a whole data set it
    cuts the rows alone. Differentiable. Source: Ortiz-Jimenez, Modas, Moosavi-Dezfooli, Frossard
    (2020), their code.

    >>> low_pass(torch.tensor([[1.0, 3.0], [5.0, 7.0]]), 1)                   # the mean is left
    tensor([[4., 4.],
            [4., 4.]])
    """
    return _kept(x, size, lambda n: slice(0, size)).to(x.dtype)


def cut_low(x: Float[Tensor, "*n h w"], size: int) -> Float[Tensor, "*n h w"]:
    """Images without their `size` lowest frequencies: x - low_pass(x, size), in units of x.

    What is missing are the coefficients that are low in both axes; a frequency that is low in one
    axis and high in the other stays.

    Args:
        x: Images (..., h, w), floating point.
        size: How many frequencies of each axis span what is cut, from 1 to the shorter side.

    Returns:
        Images (..., h, w), in the dtype of x and on its device.

    Raises:
        TypeError: For anything but a tensor of floating-point numbers.
        ValueError: For fewer than two axes, and for a size that does not fit the image.

    Differentiable. Source: as `low_pass`; of the two published functions that are called
    high-pass, this is the complement of the low one, and `high_pass` the other.

    >>> cut_low(torch.tensor([[1.0, 3.0], [5.0, 7.0]]), 1)
    tensor([[-3., -1.],
            [ 1.,  3.]])
    """
    low = _kept(x, size, lambda n: slice(0, size))
    return (x - low).to(x.dtype)


def high_pass(x: Float[Tensor, "*n h w"], size: int) -> Float[Tensor, "*n h w"]:
    """The part of images in their `size` highest frequencies of both axes, in units of x.

    A square of coefficients, high in both axes; the rest of what `low_pass` removes is `cut_low`.

    Args:
        x: Images (..., h, w), floating point.
        size: How many frequencies of each axis are kept, from 1 to the shorter side.

    Returns:
        Images (..., h, w), in the dtype of x and on its device.

    Raises:
        TypeError: For anything but a tensor of floating-point numbers.
        ValueError: For fewer than two axes, and for a size that does not fit the image.

    Differentiable. Source: as `low_pass`.

    >>> high_pass(torch.tensor([[4.0, 0.0], [0.0, 0.0]]), 1)
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    return _kept(x, size, lambda n: slice(n - size, n)).to(x.dtype)


def flip_frequencies(x: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h w"]:
    """Images whose lowest frequencies are their highest and the other way round, in units of x.

    Both axes of the coefficients are reversed, channel by channel: what was c[k, l] becomes
    c[h - 1 - k, w - 1 - l]. An isometry, and its own inverse.

    Args:
        x: Images (..., h, w), floating point.

    Returns:
        Images (..., h, w), in the dtype of x and on its device.

    Raises:
        TypeError: For anything but a tensor of floating-point numbers.
        ValueError: For fewer than two axes.

    A constant image, c[0, 0] alone, becomes a checkerboard of waves. So the mean that is
    subtracted from flipped data is an image, flip_frequencies(mean * ones), and no number: with a
    number a network sees data that are not centred. Flipped pixels leave [0, 1].

    Differentiable. Cost: as `dct`. Source: as `low_pass`.

    >>> flip_frequencies(torch.ones(2, 2))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    refuse_no_images(x)
    return flipped(_pictures(x)).view(x.shape).to(x.dtype)


def _pictures(x: Tensor) -> Tensor:
    """Whatever stands before the last two axes as one axis, in float32 or wider."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return wide.reshape(x.shape[:-2].numel(), *x.shape[-2:])


def _kept(x: Tensor, size: int, chosen: Callable[[int], slice]) -> Tensor:
    """The part of x in a square of frequencies, float32 or wider."""
    refuse_no_images(x)
    high, wide = x.shape[-2:]
    if not 1 <= size <= min(high, wide):
        raise ValueError(
            f"size is {size} and an image {high} x {wide}: a square of frequencies needs a side "
            f"from 1 to {min(high, wide)}, so change size."
        )
    rows: Rows = EVERY if size == high else chosen(high)
    columns: Rows = EVERY if size == wide else chosen(wide)
    c = analysis(_pictures(x), rows, columns)
    return synthesis(c, high, wide, rows, columns).view(x.shape)
