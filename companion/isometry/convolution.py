"""A stack of tanh layers that looks at pictures through two convolutions first.

Explained in the chapter `book/distances/isometric_regularization`.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion.isometry.stack import IsometricStack

__all__ = ["ConvolutionalStack"]


class ConvolutionalStack(nn.Module):
    """Two 3 x 3 convolutions, each with ReLU and 2 x 2 max pooling, below an `IsometricStack`.

    Args:
        shape: Of a picture, (channels, height, width); samples may come flattened.
        classes: Number of labels.
        channels: Of the two convolutions.
        widths: Of the tanh layers, the last of which is tapped.

    The convolutions pad by one pixel, so that a side is halved twice. The tap is `stack.tap1`, the
    readout `stack.readout`. The published net for CIFAR-10 has channels (128, 256) and widths
    (1000,) * 4; whether it pads is not known to us.

    Beshkov, Verhellen, Lepperød (2022), arXiv 2211.01236, and their code.

    >>> ConvolutionalStack((3, 8, 8), 10, channels=(2, 4), widths=(5,))(torch.zeros(6, 192)).shape
    torch.Size([6, 10])
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        channels: tuple[int, int] = (32, 64),
        widths: Sequence[int] = (256,) * 4,
    ):
        super().__init__()
        depth, height, width = shape
        first, second = channels
        self.shape = tuple(shape)
        self.front = nn.Sequential(
            nn.Conv2d(depth, first, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        inputs = second * (height // 4) * (width // 4)
        self.stack = IsometricStack(inputs, [tuple(widths)], (classes,))

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n c"]:
        return self.stack(torch.flatten(self.front(x.reshape(len(x), *self.shape)), 1))
