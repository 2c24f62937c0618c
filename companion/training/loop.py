"""The one training loop, which `fit`, `fit_many` and `fit_stack` share.

It knows epochs, batches, steps, schedule, clipping and curves; what a step minimises it is told.
Explained in the chapter `book/distances/metric_structure`.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from companion import borrow, progress
from companion.training.recipe import Recipe, learning_rate, optimizer_for

__all__ = ["Curves", "Turn", "batches", "refuse_divergence", "train", "wide"]

Index = Tensor | slice


@dataclass(frozen=True)
class Turn:
    """What one optimizer step minimises and shows; m networks may take a step together.

    Args:
        loss: Mean over the batch (), or one for each network (m,): their sum is minimised.
        cross_entropy: The part of it that is not a penalty, of the same shape.
        logits: (n, c) or (m, n, c).
        labels: (n,) or (m, n).
    """

    loss: Float[Tensor, "*m"]
    cross_entropy: Float[Tensor, "*m"]
    logits: Float[Tensor, "*m n c"]
    labels: Int[Tensor, "*m n"]


@dataclass(frozen=True)
class Curves:
    """Means over the samples of each epoch, (epochs, *shape) each.

    Attributes:
        loss: What was minimised, penalty included.
        cross_entropy: The part of it that is not a penalty.
        accuracy: The share of samples whose label is predicted.
    """

    loss: Tensor
    cross_entropy: Tensor
    accuracy: Tensor


def wide(values: Tensor) -> Tensor:
    """The values in float32, or wider where they were: sums over samples run in no less.

    Args:
        values: Of any shape, floating point.

    Returns:
        The same tensor where it was float32 or float64.

    >>> wide(torch.zeros(1, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return values.float() if values.dtype.itemsize < 4 else values


def batches(
    n: int, batch_size: int | None, *, generator: torch.Generator, device: torch.device
) -> Iterator[Index]:
    """Index sets of one epoch: a fresh permutation cut into batches, or everything at once.

    The permutation is drawn on the CPU, so that every device sees the same batches.

    Args:
        n: Number of samples.
        batch_size: Samples per batch; None, or n and more: all at once, in their own order.
        generator: Draws the permutation; on the CPU.
        device: Where the samples are.

    Returns:
        Each index set (batch,), or one slice.

    >>> one, cpu = torch.Generator(), torch.device("cpu")
    >>> [len(part) for part in batches(5, 2, generator=one, device=cpu)]
    [2, 2, 1]
    """
    if batch_size is None or batch_size >= n:
        yield slice(None)
    else:
        yield from torch.randperm(n, generator=generator).to(device).split(batch_size)


def train(
    turns: Callable[[int, Sequence[Index]], Iterable[Turn]],
    parameters: Iterable[Tensor],
    x: Float[Tensor, "n ..."],
    recipe: Recipe,
    *,
    seeds: Sequence[int] = (0,),
    shape: tuple[int, ...] = (),
    label: str = "fit",
    clip: Callable[[Sequence[Tensor], float], object] = nn.utils.clip_grad_norm_,
    until: float | int | None = None,
) -> Curves:
    """Take the steps of a recipe; nothing is read back from the device but for the progress bar.

    Args:
        turns: turns(step, indices) gives what is minimised on one batch, one `Turn` after the
            other: each is minimised by a step before the next is asked for.
        parameters: What the steps move.
        x: The samples (n, ...); only their number, device and dtype are used.
        recipe: How long, how fast, with which optimizer.
        seeds: One for each sequence of batches; `indices` holds one index set for each. The first
            is also that of torch's own random numbers, which are given back as they were.
        shape: Of one point of the curves: () for one network and one turn, (turns,), (m,).
        label: What the progress bar says.
        clip: clip(parameters, norm) shortens the gradients.
        until: Stop at the end of the first epoch whose mean cross-entropy is at most this, in
            every entry of `shape`; reads one value back an epoch.

    Returns:
        Means over the samples of each epoch, taken just before the step on them.
    """
    parameters = list(parameters)
    optimizer = optimizer_for(parameters, recipe)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    total = recipe.epochs * recipe.steps(len(x))
    step, meter = 0, _Meter(recipe.epochs, len(x), label)
    threads = borrow.threads(parameters, x[: recipe.batch_size].shape)
    with torch.random.fork_rng(), meter.bar, threads:
        torch.manual_seed(seeds[0])
        for _ in range(recipe.epochs):
            orders = (
                batches(len(x), recipe.batch_size, generator=generator, device=x.device)
                for generator in generators
            )
            for indices in zip(*orders, strict=True):
                for group in optimizer.param_groups:
                    group["lr"] = recipe.lr * learning_rate(recipe.schedule, step / total)
                for number, turn in enumerate(turns(step, indices)):
                    optimizer.zero_grad(set_to_none=True)
                    turn.loss.sum().backward()
                    if recipe.clip_norm is not None:
                        clip(parameters, recipe.clip_norm)
                    optimizer.step()
                    meter.add(number, turn)
                step += 1
            meter.epoch()
            if until is not None and bool((meter.epochs[-1][1] <= until).all()):
                break
    return meter.curves(x, shape)


class _Meter:
    """Losses and accuracy, summed on the device and read only when the bar shows them."""

    def __init__(self, epochs: int, n: int, label: str):
        self.n = n
        self.epochs: list[tuple[Tensor, Tensor, Tensor]] = []
        self.sums: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        self.bar = progress.bar(total=epochs, label=label, unit="epoch")
        self.read = time.monotonic()

    def add(self, number: int, turn: Turn) -> None:
        count = turn.labels.shape[-1]
        right = turn.logits.detach().argmax(dim=-1) == turn.labels
        loss, cross_entropy = (
            wide(value.detach()) * count for value in (turn.loss, turn.cross_entropy)
        )
        new = loss, cross_entropy, right.sum(dim=-1)
        if number in self.sums:
            new = tuple(old + more for old, more in zip(self.sums[number], new, strict=True))
        self.sums[number] = new

    def epoch(self) -> None:
        columns = zip(*self.sums.values(), strict=True)
        self.epochs.append(tuple(torch.stack(column) / self.n for column in columns))
        self.sums = {}
        self.bar.update()
        if not self.bar.disable and time.monotonic() - self.read > 0.5:
            loss, _, right = (float(value.mean()) for value in self.epochs[-1])
            self.bar.set_postfix_str(f"loss {loss:.3f}, accuracy {right:.3f}")
            self.read = time.monotonic()

    def curves(self, x: Tensor, shape: tuple[int, ...]) -> Curves:
        if not self.epochs:
            return Curves(*(wide(x).new_zeros(0, *shape) for _ in range(3)))
        columns = zip(*self.epochs, strict=True)
        return Curves(*(torch.stack(column).view(-1, *shape) for column in columns))


def refuse_divergence(loss: Float[Tensor, "epochs ..."]) -> None:
    """Name the epoch from which a loss is no number.

    Args:
        loss: A curve (epochs, ...); on device `meta` nothing is asked.

    Raises:
        ValueError: For NaN or infinity in it.

    >>> refuse_divergence(torch.zeros(3))
    """
    if not loss.is_meta and not loss.isfinite().all():
        bad = (~loss.isfinite()).flatten(1).any(dim=1) if loss.ndim > 1 else ~loss.isfinite()
        raise ValueError(
            f"The loss is NaN or infinite from epoch {int(bad.nonzero()[0]) + 1} on: the training "
            "diverged, so lower lr, set clip_norm, or look for NaN in the data."
        )
