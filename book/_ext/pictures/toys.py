"""What the pictures show: a few points in the plane, copies of them, and small classifiers."""

import math

import torch
from torch import Tensor, nn

from companion.models import MLP

__all__ = [
    "LETTER",
    "affine",
    "bent",
    "cloud",
    "curved",
    "linear",
    "torn",
    "turned",
    "two_classes",
]

#: An L, every side of which is walked in steps of a half: neither its turn nor its mirror image.
LETTER = torch.tensor(
    [[0.0, 0], [1, 0], [2, 0], [2, 1], [1, 1], [1, 2], [1, 3], [0, 3], [0, 2], [0, 1]]
)


def cloud(count: int, *, seed: int = 0) -> Tensor:
    """Points (count, 2) around 0."""
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))


def two_classes(count: int, *, apart: float = 3.0, wide: float = 1.0) -> tuple[Tensor, Tensor]:
    """Two clouds (2 count, 2) side by side, and their labels."""
    # As the seeds of a sunflower stand, the second class turned.
    k = torch.arange(count)
    clouds = []
    for start in (0.4, 2.0):
        angle = 2.39996 * k + start
        arm = wide * ((k + 0.5) / count).sqrt()
        clouds.append(torch.stack([arm * angle.cos(), arm * angle.sin()], dim=1))
    y = torch.arange(2).repeat_interleave(count)
    return torch.cat(clouds) + y[:, None] * torch.tensor([apart, 0.0]), y


def turned(x: Tensor, *, by: float = 40.0, scale: float = 1.0) -> Tensor:
    """The points turned around 0 by an angle in degrees."""
    t = math.radians(by)
    turn = torch.tensor([[math.cos(t), math.sin(t)], [-math.sin(t), math.cos(t)]])
    return scale * x @ turn


def torn(x: Tensor, *, by: float = 2.5) -> Tensor:
    """The points, those above the middle moved to the right."""
    above = x[:, 1] > x[:, 1].median()
    return x + above[:, None] * torch.tensor([by, 0.0])


def bent(x: Tensor, *, by: float = 1.0) -> Tensor:
    """The points, the plane bent around an axis on their left."""
    angle = by * (x[:, 1] - x[:, 1].mean()) / 2
    arm = 2.0 + x[:, 0]
    return torch.stack([arm * angle.cos() - 2, arm * angle.sin()], dim=1)


def affine() -> nn.Linear:
    """Three classes in the plane, each ahead in one direction."""
    return linear([[-1.0, -0.5], [1.1, -0.4], [0.0, 1.1]], [0.2, 0.0, -0.2])


def linear(weight: list, bias: list | None = None) -> nn.Linear:
    """A layer of these weights."""
    weight = torch.tensor(weight)
    layer = nn.Linear(*weight.T.shape, bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias))
    return layer


def curved(x: Tensor) -> Tensor:
    """Logits (n, 2) of two classes that a bent wall parts."""
    f = x[:, 1] - 1.6 + 0.45 * (x[:, 0] - 0.4).square()
    return torch.stack([-f, f], dim=1)


def through(first: list, last: list) -> MLP:
    """A network without bends: two matrices, one behind the other."""
    first, last = torch.tensor(first), torch.tensor(last)
    model = MLP((*first.T.shape, len(last)), "identity", bias=False)
    with torch.no_grad():
        model.linear1.weight.copy_(first)
        model.logits.weight.copy_(last)
    return model
