"""A torus round its tube: the direction that crosses its bands, and what a map does to it.

Explained in the chapter `book/distances/stacked_isometric_layers`.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from companion.distances import pairwise, within_class
from companion.isometry.derivative import stretch
from companion.models import representations

__all__ = ["along_tube", "own_stretch"]


def along_tube(x: Float[Tensor, "n d"], *, radius: float | int) -> Float[Tensor, "n d"]:
    """Unit directions round the tube of a torus, across its bands, at points on or near it.

    With t the angle round the tube and p the one round the axis: (-sin t cos p, -sin t sin p,
    cos t), as `datasets.torus` turns them.

    Args:
        x: Points (n, 3) near a torus round the third axis.
        radius: R, from the centre to the middle of the tube.

    Returns:
        Directions (n, 3) of length 1.

    Raises:
        ValueError: For points that do not have three coordinates.

    >>> along_tube(torch.tensor([[3.0, 0.0, 0.0], [2.0, 0.0, 1.0]]), radius=2)
    tensor([[-0.,  0.,  1.],
            [-1., -0.,  0.]])
    """
    if x.ndim != 2 or x.shape[1] != 3:
        raise ValueError(
            f"x has shape {tuple(x.shape)}: points of a torus have three coordinates, so pass "
            "(n, 3)."
        )
    axis = torch.linalg.vector_norm(x[:, :2], dim=1, keepdim=True)
    outward = x[:, :2] / axis
    arm = torch.cat([axis - radius, x[:, 2:]], dim=1)
    cos, sin = (arm / torch.linalg.vector_norm(arm, dim=1, keepdim=True)).split(1, dim=1)
    return torch.cat([-sin * outward, cos], dim=1)


def own_stretch(
    model: nn.Module,
    x: Float[Tensor, "n ..."],
    y: Int[Tensor, " m"],
    v: Float[Tensor, "n ..."],
    *,
    layer: str,
) -> Float[Tensor, " n"]:
    """Stretch |J v| of a layer in the network's own unit, so that networks can be compared.

    The unit is the mean of |z_i - z_j| / |x_i - x_j| over the pairs of one class: a layer that is
    multiplied by a number, and read through weights divided by it, is the same classifier.

    Args:
        model: A module.
        x: Samples (n, ...), no two of one class alike.
        y: Labels (n,): which pairs make the unit.
        v: Unit directions of the shape of x.
        layer: A name as `models.representations` gives it.

    Returns:
        (n,), 1 where the direction is stretched as pairs of one class are on average.

    Raises:
        ValueError: What `stretch` raises.

    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    >>> net = nn.Sequential(nn.Linear(2, 2, bias=False))
    >>> _ = net[0].weight.data.copy_(torch.tensor([[5.0, 0.0], [0.0, 10.0]]))
    >>> own_stretch(net, x, torch.zeros(2).long(), torch.eye(2)[[1, 0]], layer="0")
    tensor([2., 1.])
    """
    lengths = stretch(model, x, v, layer=layer)
    z = representations(model, x, [layer])[layer]
    same = within_class(y)
    return lengths / (pairwise(z)[same] / pairwise(x.flatten(1))[same]).mean()
