"""Networks that keep distances: the penalty that asks for it, and rulers of what it achieved.

`loss` compares the distances of a class before and after a map, `penalty` taps a layer and makes
the loss ready for a fit, `derivative` measures what a map does to a direction, `unit` what it does
to a class in the map's own unit, `tube` what it does on a torus with bands. `stack` holds networks
with one tap for each level of a hierarchy of labels, `stacks` trains many of them at once,
`convolution` holds one that looks at pictures. Explained in the chapters
`book/distances/isometric_regularization` and `book/distances/stacked_isometric_layers`.
"""

from companion.isometry.convolution import ConvolutionalStack
from companion.isometry.derivative import stretch
from companion.isometry.loss import isometry_loss, normalised_isometry_loss_2022, scale_loss
from companion.isometry.penalty import IsometryPenalty, isometry_penalty
from companion.isometry.stack import IsometricStack, StackHistory, fit_stack
from companion.isometry.stacks import fit_stacks, kept_at_taps, level_accuracies
from companion.isometry.tube import TubeStretches, around_tube, tube_stretches
from companion.isometry.unit import along_over_normal, class_residuals, mean_ratio, own_stretch

__all__ = [
    "ConvolutionalStack",
    "IsometricStack",
    "IsometryPenalty",
    "StackHistory",
    "TubeStretches",
    "along_over_normal",
    "around_tube",
    "class_residuals",
    "fit_stack",
    "fit_stacks",
    "isometry_loss",
    "isometry_penalty",
    "kept_at_taps",
    "level_accuracies",
    "mean_ratio",
    "normalised_isometry_loss_2022",
    "own_stretch",
    "scale_loss",
    "stretch",
    "tube_stretches",
]


def __dir__() -> list[str]:
    return __all__
