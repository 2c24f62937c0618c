"""What a map does to a class, in the unit of the map.

z / 2 with a readout of twice the size is the same classifier: a length in a representation means
something only over another length of it. Explained in the chapter
`book/distances/isometric_regularization`.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from companion.decision import DecisionFunction
from companion.distances import nearest, pairwise, procrustes, within_class
from companion.isometry.derivative import stretch
from companion.models import representations

__all__ = ["along_over_normal", "class_residuals", "mean_ratio", "own_stretch"]


def mean_ratio(
    x: Float[Tensor, "n ..."], z: Float[Tensor, "n ..."], y: Int[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Mean of |z_i - z_j| / |x_i - x_j| over the pairs of one class: the unit of z.

    Args:
        x: Samples (n, ...), floating point; axes after the first are flattened.
        z: What a map makes of them (n, ...), flattened alike.
        y: Labels (n,), whole numbers.

    Returns:
        A length of z per length of x; 1 for an isometry of each class.

    Raises:
        ValueError: Where no two samples share a label, and where two that do coincide in x.
        TypeError: For samples that are not floating point.

    >>> x, z = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([[0.0], [3.0], [9.0]])
    >>> mean_ratio(x, z, torch.tensor([0, 0, 1]))
    tensor(3.)
    """
    same = within_class(y)
    before, after = pairwise(x)[same], pairwise(z)[same]
    if not len(before):
        raise ValueError(
            f"no two of the {len(y)} samples have one label, but the unit is a mean over pairs of "
            "a class: pass more samples of each."
        )
    if not x.is_meta and (before == 0).any():
        raise ValueError(
            f"{int((before == 0).sum()) // 2} pairs of one class coincide in x, so that their "
            "ratio is no number: leave one of each out."
        )
    return (after / before).mean()


def class_residuals(
    x: Float[Tensor, "n ..."],
    z: Float[Tensor, "n ..."],
    y: Int[Tensor, " n"],
    *,
    scale: bool = True,
) -> Float[Tensor, " C"]:
    """Of each class, the part of its image that no rigid motion explains (no unit).

    The Procrustes residual of the samples of a class, class by class in the order of the labels.

    Args:
        x: Samples (n, ...), floating point; axes after the first are flattened.
        z: What a map makes of them (n, ...), flattened alike.
        y: Labels (n,), whole numbers.
        scale: Whether each class may also be multiplied by a factor, by which networks with units
            of their own are compared (the default); False holds the size against them as well.

    Returns:
        One number per class (C,), between 0 and 1 with `scale`.

    Raises:
        ValueError: As `distances.procrustes`, among others for a class with one sample.
        TypeError: For samples that are not floating point.

    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> class_residuals(x, 5 * x.flip(1), torch.tensor([3, 3, 3])).round(decimals=6)
    tensor([0.])
    """
    own = (y == label for label in y.unique())
    return torch.stack([procrustes(x[at], z[at], scale=scale).residual for at in own])


def along_over_normal(
    model: nn.Module | Callable[[Tensor], Tensor],
    x: Float[Tensor, "n ..."],
    y: Int[Tensor, " n"],
    *,
    layer: str,
) -> Float[Tensor, ""]:
    """Stretch along the data over stretch off them, of one layer (no unit, none of its own).

    Median over the samples of |J v| towards the nearest sample of the class, over the median along
    n, the unit gradient of the runner-up's logit minus the predicted one's.

    Args:
        model: A module that maps (n, ...) to logits (n, C); it is borrowed.
        x: Samples (n, ...), floating point, no two of a class alike.
        y: Labels (n,), whole numbers.
        layer: Whose derivative J is, named as `models.representations` names it.

    Returns:
        One number; 1 where both ways are stretched alike.

    Raises:
        ValueError: What `distances.nearest`, `isometry.stretch` and `DecisionFunction` refuse.
        TypeError: For samples that are not floating point.

    >>> from companion.models import MLP
    >>> model, x = MLP((2, 2, 2), "identity"), torch.tensor([[1.0, 0.0], [1.0, 1.0]] * 2)
    >>> _ = model.load_state_dict({"linear1.weight": torch.tensor([[3.0, 0.0], [0.0, 1.0]]),
    ...     "linear1.bias": torch.zeros(2), "logits.bias": torch.zeros(2),
    ...     "logits.weight": torch.tensor([[1.0, 0.0], [-1.0, 0.0]])})
    >>> x = x + torch.tensor([[0.0], [0.0], [5.0], [5.0]])
    >>> round(float(along_over_normal(model, x, torch.tensor([0, 0, 1, 1]), layer="act1")), 4)
    0.3333
    """
    own = x[nearest(x, y).own_place] - x
    normal = DecisionFunction(model, x).gradient(x)
    v = torch.stack([own, normal])
    size = v.flatten(2).norm(dim=2).view(*v.shape[:2], *[1] * (x.ndim - 1))
    along, off = stretch(model, x, v / size, layer=layer).median(dim=1).values
    return along / off


def own_stretch(
    model: nn.Module,
    x: Float[Tensor, "n ..."],
    y: Int[Tensor, " m"],
    v: Float[Tensor, "n ..."],
    *,
    layer: str,
) -> Float[Tensor, " n"]:
    """Stretch |J v| of a layer in the network's own unit, so that networks can be compared.

    The unit is `mean_ratio`: a layer that is multiplied by a number, and read through weights
    divided by it, is the same classifier.

    Args:
        model: A module.
        x: Samples (n, ...), no two of one class alike.
        y: Labels (n,): which pairs make the unit.
        v: Unit directions of the shape of x.
        layer: A name as `models.representations` gives it.

    Returns:
        (n,), 1 where the direction is stretched as pairs of one class are on average.

    Raises:
        ValueError: What `stretch` and `mean_ratio` refuse.

    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    >>> net = nn.Sequential(nn.Linear(2, 2, bias=False))
    >>> _ = net[0].weight.data.copy_(torch.tensor([[5.0, 0.0], [0.0, 10.0]]))
    >>> own_stretch(net, x, torch.zeros(2).long(), torch.eye(2)[[1, 0]], layer="0")
    tensor([2., 1.])
    """
    lengths = stretch(model, x, v, layer=layer)
    return lengths / mean_ratio(x, representations(model, x, [layer])[layer], y)
