"""What a network does to the distances of labelled samples: torn, pulled apart, and who is near.

Explained in the chapter `book/distances/metric_structure`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Real
from torch import Tensor, nn

from companion.borrow import few_threads
from companion.distances.metric import pairwise, within_class
from companion.distances.pairs import correlation
from companion.models import representations

__all__ = ["Fate", "Lost", "Neighbours", "between_within", "lost", "nearest", "through"]


@dataclass(frozen=True, repr=False)
class Fate:
    """What a representation has made of the distances of the input.

    Attributes:
        within: Correlation r of the distances of one class with those of the input (no unit).
        apart: Distance between classes over distance within, divided by the same at the input.
    """

    within: Float[Tensor, ""]
    apart: Float[Tensor, ""]

    def __repr__(self) -> str:
        return f"Fate(within={float(self.within):.4g}, apart={float(self.apart):.4g})"


@dataclass(frozen=True, repr=False)
class Lost:
    """What training has taken from the correlation r with the distances of the input (no unit).

    Attributes:
        within: r before it minus r after it, over the pairs of equal label.
        between: The same over the pairs of different label.
    """

    within: Float[Tensor, ""]
    between: Float[Tensor, ""]

    @property
    def beyond(self) -> Float[Tensor, ""]:
        """How much more the pairs of equal label have lost than the others."""
        return self.within - self.between

    def __repr__(self) -> str:
        return f"Lost(within={float(self.within):.4g}, between={float(self.between):.4g})"


@dataclass(frozen=True, eq=False, repr=False)
class Neighbours:
    """The nearest other sample of the own class and of another one, for each sample.

    Attributes:
        own: Distance to the nearest other sample with the same label (n,), in units of x.
        other: Distance to the nearest sample with another label (n,).
        own_place: The place of that sample among the samples (n,).
        other_place: The place of that one.
    """

    own: Float[Tensor, " n"]
    other: Float[Tensor, " n"]
    own_place: Int[Tensor, " n"]
    other_place: Int[Tensor, " n"]

    def __repr__(self) -> str:
        own, other = (f"{float(way.median()):.4g}" for way in (self.own, self.other))
        return f"Neighbours(of {len(self.own)} samples; medians: own {own}, other {other} away)"


@few_threads
def nearest(x: Float[Tensor, "n ..."], y: Int[Tensor, " n"]) -> Neighbours:
    """How far away the nearest other sample of the same class lies, and that of another class.

    Args:
        x: Samples (n, ...), floating point; axes after the first are flattened.
        y: Labels (n,), any whole numbers.

    Returns:
        Two distances and two places for each sample, in units of x. A sample is never its own
        neighbour; of equally near ones, any.

    Raises:
        TypeError: For integers in x.
        ValueError: For labels that do not match, a class with one sample, or a single class.

    Cost: that of `pairwise`, and two matrices of its size.

    >>> x = torch.tensor([0., 1., 4., 6.])
    >>> nearest(x, torch.tensor([0, 0, 1, 1])).other
    tensor([4., 3., 3., 5.])
    """
    same = _same(x, y)
    different = y[:, None] != y
    for mask, lacks in ((same, "other sample of its class"), (different, "sample of another one")):
        alone = ~mask.any(1)
        if alone.any():
            first = int(alone.nonzero()[0])
            raise ValueError(
                f"sample {first} with label {int(y[first])} has no {lacks}: every class needs two "
                "samples and there must be two classes, so pass more of them."
            )
    d = pairwise(x)
    own, own_place = d.masked_fill(~same, torch.inf).min(1)
    other, other_place = d.masked_fill(~different, torch.inf).min(1)
    return Neighbours(own, other, own_place, other_place)


@few_threads
def between_within(d: Real[Tensor, "n n"], y: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """Mean distance of two samples of different label over that of two of equal label (no unit).

    The diagonal is no pair. 1 where labels say nothing about distance.

    Args:
        d: Distances (n, n), as `pairwise` gives them; whole numbers (steps in a graph) are exact.
        y: Labels (n,), any whole numbers.

    Returns:
        One number in the dtype of d, of whole numbers in torch's default.

    Raises:
        ValueError: For labels that do not match, and where there is no pair of equal or none of
            different label.

    >>> between_within(pairwise(torch.tensor([0., 1., 4., 6.])), torch.tensor([0, 0, 1, 1]))
    tensor(3.)
    """
    same = _same(d, y)
    different = y[:, None] != y
    if not (same.any() and different.any()):
        raise ValueError(
            f"{len(y)} labels of {len(y.unique())} classes make no pair of equal or none of "
            "different label: both are needed, so pass two classes, one of two samples or more."
        )
    dtype = d.dtype if d.is_floating_point() else torch.get_default_dtype()
    return d[different].to(dtype).mean() / d[same].to(dtype).mean()


def through(
    model: nn.Module,
    x: Float[Tensor, "n ..."],
    y: Int[Tensor, " n"],
    *,
    layers: list[str] | None = None,
) -> dict[str, Fate]:
    """What each layer of a network has made of the distances of labelled samples.

    `within` is the Pearson correlation of d_ij = |z_i - z_j| with the same at the input over the
    pairs of equal label: 1 where a class is only moved and scaled, less where it is torn. `apart`
    is `between_within` of the layer over that of the input: above 1 where classes move apart.

    Args:
        model: A module.
        x: Samples (n, ...), floating point.
        y: Labels (n,), any whole numbers.
        layers: Names of layers, as in `models.representations`; by default all.

    Returns:
        For "input" and each layer, in this order, the two numbers.

    Raises:
        TypeError: For integers in x.
        ValueError: What `between_within`, `correlation` and `representations` refuse.

    Cost: `pairwise` for every layer; two matrices (n, n) at a time.

    >>> net = nn.Sequential(nn.Flatten(), nn.Identity())
    >>> through(net, torch.tensor([[0.], [1.], [3.], [6.], [7.]]), torch.tensor([0, 0, 0, 1, 1]))
    {'input': Fate(within=1, apart=1), '0': Fate(within=1, apart=1), '1': Fate(within=1, apart=1)}
    """
    same, d = _same(x, y), pairwise(x)
    start = between_within(d, y)
    one = torch.ones_like(start)
    fates = {"input": Fate(one, one)}
    for name, z in representations(model, x, layers).items():
        e = pairwise(z)
        fates[name] = Fate(correlation(d, e, where=same), between_within(e, y) / start)
    return fates


@few_threads
def lost(
    x: Float[Tensor, "n ..."],
    before: Float[Tensor, "n ..."],
    after: Float[Tensor, "n ..."],
    y: Int[Tensor, " n"],
) -> Lost:
    """What training has taken from the correlation with the input's distances, and from whom.

    r(d^x, d^before) - r(d^x, d^after) over the pairs of equal label, and over those of different
    label, Pearson's r. If both lose alike, the labels have no part in it: all pairs were torn.

    Args:
        x: Samples (n, ...), floating point.
        before: What a layer makes of them (n, ...) before training.
        after: What the same layer makes of them (n, ...) after it.
        y: The labels (n,) that say which pairs are equal; any whole numbers.

    Returns:
        Two differences of correlations, positive where training took something.

    Raises:
        TypeError: For integers in x, before or after.
        ValueError: For labels that do not match, and what `correlation` refuses.

    Cost: `pairwise` of each of the three; four matrices (n, n) at a time.

    >>> x, torn = torch.tensor([0., 1., 3., 6., 7., 9.]), torch.tensor([0., 2., 3., 6., 8., 9.])
    >>> lost(x, 5 * x, torn, torch.tensor([0, 0, 0, 1, 1, 1]))      # r: 1, then 1/2 and 13/14
    Lost(within=0.5, between=0.07143)
    """
    same = _same(x, y)
    different = y[:, None] != y
    d, start, end = pairwise(x), pairwise(before), pairwise(after)
    return Lost(
        *(
            correlation(d, start, where=pairs) - correlation(d, end, where=pairs)
            for pairs in (same, different)
        )
    )


def _same(samples: Tensor, y: Tensor) -> Tensor:
    if y.shape != samples.shape[:1]:
        raise ValueError(
            f"there are {len(samples)} samples and y has shape {tuple(y.shape)}: every sample "
            f"needs one label, so pass y of shape ({len(samples)},)."
        )
    return within_class(y)
