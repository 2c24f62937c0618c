"""Using a caller's model: everything is given back as it was found.

An instrument switches the model to evaluation, asks for no gradients of its weights, and must
leave no trace of either. `borrowed` is the one way to do that; `chunks` is the one way to choose
how many samples go through it at once, `threads` how many threads work on them. Used by every
chapter, explained in `book/distances/metric_structure`.
"""

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["borrowed", "chunks", "few_threads", "refuse_logits", "refuse_nan", "threads"]

P = ParamSpec("P")
R = TypeVar("R")

# Numbers held at once by one chunk: 2**24 float32 values are 64 MiB, small beside any network.
BUDGET = 2**24

# Multiply-adds in one matrix product that keep one thread busy. A second thread saves at most half
# the time on a quiet machine; beside one other program it costs twice the time at twice this
# product, and up to a hundred times at the products of small networks: `benchmarks/threads.py`.
BUSY = 2**30

# Weights above which a network is not called small: what its layers do with them, at each word of
# a text or each patch of an image, is not to be told from their number.
LARGE = 2**22


@contextmanager
def borrowed(
    model: Callable[[Tensor], Tensor], x: Tensor | None = None, *, ask: bool = True
) -> Iterator[Callable[[Tensor], Tensor]]:
    """The model in evaluation mode, its weights asking for no gradient, until the block ends.

    Afterwards the mode of every submodule, `requires_grad` and `.grad` of every parameter are what
    they were, also after an exception. Samples in hand decide on how many `threads` it works.

    Args:
        model: A module, or a plain function, which is lent unchanged.
        x: Samples (n, ...) that will go through it; by default nothing is asked.
        ask: Two questions, at the cost of two forward passes of at most eight samples: does the
            model answer the same input twice alike, and without NaN? On device `meta`, which
            holds no values, they are skipped.

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
        with threads(parameters, () if x is None else x.shape):
            if x is not None and ask and not x.is_meta:
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


class _Here(threading.local):
    """Whether this thread is inside a block already."""

    inside = False


_here = _Here()
_lock = threading.Lock()
_blocks: list[int] = []  # For each block that is open: how many threads there were before all.


@contextmanager
def threads(weights: Iterable[Tensor], shape: Sequence[int]) -> Iterator[int]:
    """As many threads as help a network with a batch; when the block ends, as many as before.

    Small matrix products are done before a second thread has begun, and where other programs are
    at work each of them waits for it: a small network is then many times slower on two threads
    than on one. One thread for each `BUSY` multiply-adds of the largest product, at least one and
    at most as many as there were. With more than `LARGE` weights, and inside another block,
    nothing changes.

    Args:
        weights: The parameters of the network, or of several stacked ones. Without any, or where
            they are not on the CPU, nothing changes.
        shape: Of a batch (n, ...), or of all samples, of which as many as `chunks` says go through
            at once; () where it is not known: nothing changes.

    Yields:
        How many threads there are inside.

    >>> before = torch.get_num_threads()
    >>> with threads(nn.Linear(64, 100).parameters(), (100, 64)) as chosen:
    ...     chosen
    1
    >>> torch.get_num_threads() == before
    True
    """
    weights = list(weights)
    known = len(shape) and 0 < sum(weight.numel() for weight in weights) <= LARGE
    if _here.inside or not known or weights[0].device.type != "cpu":
        yield torch.get_num_threads()
        return
    with _lock:
        before = _blocks[-1] if _blocks else torch.get_num_threads()
        _blocks.append(before)
    _here.inside = True
    try:
        torch.set_num_threads(min(before, max(1, _largest_product(weights, shape) // BUSY)))
        yield torch.get_num_threads()
    finally:
        _here.inside = False
        torch.set_num_threads(before)
        with _lock:
            _blocks.pop()


def few_threads(measure: Callable[P, R]) -> Callable[P, R]:
    """The same instrument, on as many `threads` as help with the largest tensor it is given.

    Args:
        measure: A function of tensors, which compares each sample with each other: its work counts
            as pairs of samples times numbers in a sample.

    Returns:
        A function that is called as this one.

    >>> @few_threads
    ... def working(x):
    ...     return torch.get_num_threads()
    >>> working(torch.rand(5, 3))
    1
    """

    @functools.wraps(measure)
    def measured(*args: P.args, **options: P.kwargs) -> R:
        given = [one for one in (*args, *options.values()) if isinstance(one, Tensor)]
        largest = sorted(given, key=Tensor.numel)[-1:]
        with threads(largest, largest[0].shape if largest else ()):
            return measure(*args, **options)

    return measured


def _largest_product(weights: list[Tensor], shape: Sequence[int]) -> int:
    """Multiply-adds; a kernel of a convolution (four axes or more) works at each pixel."""
    sample, pixels = torch.Size(shape[1:]).numel(), torch.Size(shape[2:]).numel()
    each = max(weight.numel() * (pixels if weight.ndim > 3 else 1) for weight in weights)
    return each * chunks(shape[0], 16 * sample)


def __dir__() -> list[str]:
    return __all__
