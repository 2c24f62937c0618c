"""A torus whose bands are classes: how a map stretches the steps round its tube.

The decision boundary is crossed on the walk round the tube and never along it. Explained in the
chapters `book/distances/isometric_regularization` and `book/distances/stacked_isometric_layers`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from companion import borrow
from companion.isometry.derivative import stretch

__all__ = ["TubeStretches", "around_tube", "change_distance", "tube_stretches"]


@dataclass(frozen=True)
class TubeStretches:
    """What a layer does on walks round the tube, at every point of them.

    Attributes:
        distance: Arc length to the nearest change of the predicted label on the walk (m,).
        around: Stretch |J v| of the unit step round the tube (m,), in the unit of the layer.
        along: The same along the tube (m,).
    """

    distance: Float[Tensor, " m"]
    around: Float[Tensor, " m"]
    along: Float[Tensor, " m"]

    def __repr__(self) -> str:
        return f"TubeStretches of {len(self.distance)} points"


def around_tube(x: Float[Tensor, "n d"], *, radius: float | int) -> Float[Tensor, "n d"]:
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

    >>> around_tube(torch.tensor([[3.0, 0.0, 0.0], [2.0, 0.0, 1.0]]), radius=2)
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


def change_distance(labels: Int[Tensor, " n"], length: float | int) -> Float[Tensor, " n"]:
    """On a closed walk of evenly spaced points, the way to the nearest change of the label.

    A change lies halfway between two neighbours whose labels differ, the last and the first among
    them; infinity where there is none.

    Args:
        labels: Of the points, in the order of the walk (n,).
        length: Of the whole walk; distances are in its unit.

    Returns:
        One distance per point (n,), the shorter way round.

    >>> change_distance(torch.tensor([0, 0, 1, 1]), 4.0)
    tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    n = len(labels)
    place = torch.arange(n) * (length / n)
    changes = place[labels.cpu() != labels.cpu().roll(-1)] + length / (2 * n)
    if not len(changes):
        return torch.full((n,), math.inf, device=labels.device)
    gap = (place[:, None] - changes).abs()
    return torch.minimum(gap, length - gap).amin(dim=1).to(labels.device)


def tube_stretches(
    model: nn.Module,
    *,
    layer: str,
    radii: tuple[float | int, float | int] = (1.0, 0.66),
    places: Sequence[float | int] = (0.3, 1.9, 3.4, 5.0),
    count: int = 720,
) -> TubeStretches:
    """Stretches of a layer on walks round the tube of the torus of `datasets.torus`.

    Args:
        model: Maps points (n, 3) to logits; it is borrowed.
        layer: Named as `models.representations` names it.
        radii: R, from the centre to the middle of the tube, and r of the tube.
        places: The angle along the torus of each walk, in radians; by default four.
        count: Points on a walk, evenly spaced at half steps; by default 720.

    Returns:
        Distances and stretches of `len(places) * count` points.

    Raises:
        ValueError: What `isometry.stretch` refuses.

    Float32. The unit of the layer is still in the stretches: divide by `mean_ratio`.

    >>> from companion.isometry import IsometricStack
    >>> tube_stretches(IsometricStack(3, [(4,)], (2,)), layer="tap1", count=12)
    TubeStretches of 48 points
    """
    t = 2 * math.pi * (torch.arange(count) + 0.5) / count
    R, r = radii
    distances, ways = [], []
    for place in places:
        cos, sin = math.cos(place), math.sin(place)
        ring = R + r * t.cos()
        x = torch.stack([ring * cos, ring * sin, r * t.sin()], dim=1)
        around = around_tube(x, radius=R)
        along = torch.tensor([-sin, cos, 0.0]).expand_as(x)
        with borrow.borrowed(model, x) as lent, torch.no_grad():
            labels = lent(x).argmax(dim=1)
        distances.append(change_distance(labels, 2 * math.pi * r))
        ways.append(stretch(model, x, torch.stack([around, along]), layer=layer))
    return TubeStretches(torch.cat(distances), *torch.cat(ways, dim=1))
