"""Using a caller's model: everything is given back as it was found.

An instrument switches the model to evaluation, asks for no gradients of its weights, and must
leave no trace of either. `borrowed` is the one way to do that; `chunks` is the one way to choose
how many samples go through it at once. Used by every chapter, explained in
`book/distances/metric_structure`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["borrowed", "chunks", "refuse_logits", "refuse_nan"]

# Numbers held at once by one chunk: 2**24 float32 values are 64 MiB, small beside any network.
BUDGET = 2**24


@contextmanager
def borrowed(
    model: Callable[[Tensor], Tensor], x: Tensor | None = None
) -> Iterator[Callable[[Tensor], Tensor]]:
    """The model in evaluation mode, its weights asking for no gradient, until the block ends.

    Afterwards the mode of every submodule, `requires_grad` and `.grad` of every parameter are what
    they were, also after an exception.

    Args:
        model: A module, or a plain function, which is lent unchanged.
        x: Samples (n, ...) to ask two questions with, at the cost of two forward passes of at most
            eight samples: does the model answer the same input twice alike, and without NaN? On
            device `meta`, which holds no values, they are skipped; by default nothing is asked.

    Yields:
        The model.

    Raises:
        ValueError: For an answer that changes from call to call, or holds NaN.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    >>> with borrowed(model, torch.ones(3, 2)) as lent:
    ...     lent.training
    False
    >>> model.training
    True
    """
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    parameters = list(model.parameters()) if isinstance(model, nn.Module) else []
    modes = [module.training for module in modules]
    asked = [(parameter.requires_grad, parameter.grad) for parameter in parameters]
    try:
        for module in modules:
            module.training = False
        for parameter in parameters:
            # A gradient made inside the block would be added in place to one that was there.
            parameter.grad = None
            parameter.requires_grad_(False)
        if x is not None and not x.is_meta:
            _refuse_what_cannot_be_measured(model, x[:8])
        yield model
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        for parameter, (requires_grad, grad) in zip(parameters, asked, strict=True):
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad


def _refuse_what_cannot_be_measured(model: Callable[[Tensor], Tensor], x: Tensor) -> None:
    with torch.no_grad():
        first, second = model(x), model(x)
    refuse_nan(first)
    if not torch.equal(first, second):
        raise ValueError(
            "The model gave two different answers to the same input, in evaluation mode: a "
            "measurement needs a fixed map, so pass the model without its random part."
        )


def refuse_nan(answer: Tensor) -> None:
    """Name NaN in what a model answers, before it travels.

    Args:
        answer: What it answers (n, ...); on device `meta` nothing is asked.

    Raises:
        ValueError: For NaN, with the number of samples that have it.

    >>> refuse_nan(torch.ones(3, 2))
    """
    if not answer.is_meta and answer.isnan().any():
        bad = int(answer.flatten(1).isnan().any(dim=1).sum())
        raise ValueError(
            f"The model answers NaN for {bad} of {len(answer)} samples: a measurement needs "
            "numbers, so check its weights and the input, or train it again with a smaller step."
        )


def refuse_logits(logits: Tensor, n: int | None = None) -> None:
    """Name answers that are no logits (n, C) of two classes or more: in one column all agree.

    Args:
        logits: What a model answered, of any shape.
        n: How many samples it was given; by default None: as many as there are rows.

    Raises:
        ValueError: For other axes, another number of rows, and fewer than two columns.

    >>> refuse_logits(torch.zeros(5, 2), 5)
    """
    rows = logits.shape[:1].numel() if n is None else n
    if logits.ndim != 2 or len(logits) != rows or logits.shape[1] < 2:
        given = "" if n is None else f" for {n} samples"
        raise ValueError(
            f"The logits have shape {tuple(logits.shape)}{given}: a class and its rival are "
            "needed for each sample, so give (n, C) with C of 2 or more; for one logit z those of "
            "the two classes, (0, z)."
        )


def chunks(n: int, cost: int) -> int:
    """How many samples go through at once: at least one, at most all, about 64 MiB in between.

    Args:
        n: How many samples there are.
        cost: How many numbers (float32) are held per sample.

    Returns:
        The size of a chunk.

    >>> chunks(10_000, 784 * 16), chunks(10, 3), chunks(5, 10**9)
    (1337, 10, 1)
    """
    return max(1, min(n, BUDGET // max(1, cost)))


def __dir__() -> list[str]:
    return __all__
