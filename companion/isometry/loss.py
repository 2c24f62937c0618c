"""How far a map is from keeping the distances within each class.

Explained in the chapter `book/distances/isometric_regularization`.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from companion.distances import pairwise, within_class
from companion.distances.metric import at_hand, flat, refuse_nan

__all__ = ["isometry_loss", "normalised_isometry_loss_2022", "refuse_scale", "scale_loss"]


def isometry_loss(
    x: Float[Tensor, "n ..."],
    z: Float[Tensor, "n2 ..."],
    y: Int[Tensor, " n3"],
    *,
    scale: float | int = 1.0,
    reduction: str = "matrix",
) -> Float[Tensor, ""]:
    """Squared error of the distances within classes, in squared units of the input.

    L = (2 / n^2) sum over i < j with y_i = y_j of (scale |z_i - z_j| - |x_i - x_j|)^2. L = 0:
    every class is moved rigidly (and shrunk by `scale`); nothing is asked of two classes.

    Args:
        x: Samples (n, ...), floating point; axes after the first are flattened. Its distances are
            the target: no gradient flows through them.
        z: What a map makes of them (n, ...), flattened alike.
        y: Labels (n,), whole numbers.
        scale: What distances of z are multiplied by, positive; 1 for an isometry.
        reduction: "matrix", the published mean over all n^2 entries of the masked matrix, whose
            weight falls with the number of classes; or "pairs", the mean over the P same-class
            pairs, n^2 / 2P times as large.

    Returns:
        One number in the dtype of z; exactly 0, like its gradient, without a pair. A class with
        one member contributes nothing.

    Raises:
        TypeError: For x or z that is not floating point.
        ValueError: For numbers of samples or labels that differ, another reduction, a scale that
            is not positive and, on the CPU, NaN or infinite values.

    Near zero both distances are computed from differences, right to a few eps for twins in data
    far from the origin; coinciding z have derivative 0. Differentiable twice (on the CPU from a
    torch whose `pdist` is, as 2.14; an older one says so). float16 and bfloat16 are computed as
    float32 and rounded at the end.

    Cost: O(P D) time on the CPU, class by class; elsewhere one masked matrix, O(n^2 D), and
    nothing waits for the device. Source: Beshkov, Verhellen, Lepperød (2022), arXiv 2211.01236;
    the form of their code since November 2022.

    >>> x, z = torch.tensor([[0.0], [1.0], [9.0]]), torch.tensor([[0.0], [3.0], [0.0]])
    >>> isometry_loss(x, z, torch.tensor([0, 0, 1]))    # one pair, (3 - 1)^2, of nine entries / 2
    tensor(0.8889)
    """
    before, after, pairs = _within(x, z, y, scale)
    error = (scale * after - before).square().sum()
    return (_share(len(x), pairs, reduction) * error).to(z.dtype)


def scale_loss(
    x: Float[Tensor, "n ..."],
    z: Float[Tensor, "n2 ..."],
    y: Int[Tensor, " n3"],
    *,
    scale: float | int = 1.0,
    reduction: str = "matrix",
) -> Float[Tensor, ""]:
    """Squared error of the mean distance within classes: pins the size of z, frees its shape.

    L = (2P / n^2) (scale m_z - m_x)^2, m the mean distance of the P same-class pairs; without the
    factor for "pairs". Never larger than `isometry_loss`: with "pairs" that one is larger by the
    variance of the residual scale |z_i - z_j| - |x_i - x_j| over the P pairs, with "matrix" by
    2P / n^2 times that variance. The control that asks whether an effect of the isometric penalty
    is one of distances or of size alone.

    Args:
        x: Samples (n, ...), floating point; axes after the first are flattened. Its distances are
            the target: no gradient flows through them.
        z: What a map makes of them (n, ...), flattened alike.
        y: Labels (n,), whole numbers.
        scale: What distances of z are multiplied by, positive; 1 for an isometry.
        reduction: "matrix", with the factor 2P / n^2 of the mean over all entries; or "pairs".

    Returns:
        One number in the dtype of z; exactly 0, like its gradient, without a pair.

    Raises:
        TypeError: For x or z that is not floating point.
        ValueError: For what `isometry_loss` refuses.

    Accuracy, edges and cost as for `isometry_loss`.

    >>> x, z = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[0.0], [0.0], [2.0]])
    >>> y = torch.tensor([0, 0, 0])                         # distances 1, 1, 2 become 0, 2, 2
    >>> scale_loss(x, z, y), isometry_loss(x, z, y, reduction="pairs")
    (tensor(0.), tensor(0.6667))
    """
    before, after, pairs = _within(x, z, y, scale)
    some = _at_least_one(pairs)
    error = (scale * after.sum() / some - before.sum() / some).square()
    return (_share(len(x), pairs, reduction) * pairs * error).to(z.dtype)


def normalised_isometry_loss_2022(
    x: Float[Tensor, "n ..."],
    z: Float[Tensor, "n2 ..."],
    y: Int[Tensor, " n3"],
    *,
    scale: float | int = 1.0,
) -> Float[Tensor, ""]:
    """The form of the authors' code of September 2022: relative distances, and a square too many.

    L = ((2 / n^2) sum over i < j with y_i = y_j of (|z_i - z_j| / (scale M_z) - |x_i - x_j| /
    M_x)^2)^2, M the largest same-class distance of the batch; no unit. The outer square makes the
    gradient vanish quadratically at the optimum, and one pair sets the scale of all others. Free
    of the size of z only as long as `scale` is 1. Distances that are all 0 stay 0.

    Args:
        x: Samples (n, ...), floating point; axes after the first are flattened. Its distances are
            the target: no gradient flows through them.
        z: What a map makes of them (n, ...), flattened alike.
        y: Labels (n,), whole numbers.
        scale: What the relative distances of z are divided by, positive.

    Returns:
        One number in the dtype of z.

    Raises:
        TypeError: For x or z that is not floating point.
        ValueError: For what `isometry_loss` refuses.

    Accuracy, edges and cost as for `isometry_loss`.

    >>> x, y = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([0, 0, 0])
    >>> normalised_isometry_loss_2022(x, 7 * x, y)
    tensor(0.)
    """
    before, after, _ = _within(x, z, y, scale)
    error = (_relative(after) / scale - _relative(before)).square().sum()
    return (2 / _at_least_one(len(x)) ** 2 * error).square().to(z.dtype)


def _within(
    x: Tensor, z: Tensor, y: Tensor, scale: float | int
) -> tuple[Tensor, Tensor, int | Tensor]:
    """Same-class distances of x and of z, pair by pair, and the number of pairs.

    On the CPU one entry per pair; elsewhere an n x n matrix with 0 for all other pairs, since
    their number is a value that the host does not know.
    """
    refuse_scale(scale)
    if not len(x) == len(z) == len(y) or y.ndim != 1:
        raise ValueError(
            f"x has {len(x)} samples, z has {len(z)} and y has shape {tuple(y.shape)}: all three "
            "must hold the same samples, so pass one row of z and one label per row of x."
        )
    x, z = (_rows(values, name) for values, name in ((x, "x"), (z, "z")))
    # pdist takes no empty set.
    if not at_hand(z) or len(z) == 0:
        same = within_class(y).triu()
        with torch.no_grad():
            before = same * pairwise(x)
        return before, same * pairwise(z), same.sum(dtype=z.dtype)
    # Sorted once and cut, the classes need no mask each.
    order = y.argsort(stable=True)
    sizes = torch.unique_consecutive(y[order], return_counts=True)[1].tolist()
    with torch.no_grad():
        before = _class_by_class(x[order], sizes)
    after = _class_by_class(z[order], sizes)
    return before, after, len(after)


def _rows(values: Tensor, name: str) -> Tensor:
    rows = flat(values, name)
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    if at_hand(rows):
        all_values = rows.detach().flatten()
        refuse_nan(all_values.dot(all_values), name)
    return rows


def _class_by_class(rows: Tensor, sizes: list[int]) -> Tensor:
    # pdist takes differences, never the expansion of the square that loses near points.
    return torch.cat([torch.pdist(members) for members in rows.split(sizes)])


def _share(n: int, pairs: int | Tensor, reduction: str) -> float | Tensor:
    if reduction == "matrix":
        return 2 / _at_least_one(n) ** 2
    if reduction == "pairs":
        return 1 / _at_least_one(pairs)
    raise ValueError(
        f"There is no reduction {reduction!r}: choose 'matrix', the mean over all n^2 entries, or "
        "'pairs', the mean over pairs of one class."
    )


def _at_least_one(count: int | Tensor) -> int | Tensor:
    return count.clamp(min=1) if isinstance(count, Tensor) else max(1, count)


def _relative(distances: Tensor) -> Tensor:
    if not distances.numel():
        return distances
    largest = distances.max()
    return distances / largest.masked_fill(largest == 0, 1)


def refuse_scale(scale: float | int) -> None:
    """A scale that no distance can be multiplied by.

    Args:
        scale: What distances of z are to be multiplied by.

    Raises:
        ValueError: For a number that is not positive or not finite.
    """
    if not 0 < scale < math.inf:
        raise ValueError(
            f"scale = {scale}: distances of z are multiplied by it, so pass a positive number, "
            "1 for an isometry."
        )
