"""The training loop: cross-entropy, seeded, on the device of the data.

Explained in the chapter `book/distances/metric_structure`.
"""

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from companion import borrow, progress

__all__ = [
    "History",
    "accuracy",
    "fit",
    "initialised",
    "batches",
    "learning_rate",
    "optimizer_for",
]

Schedule = str | Callable[[float], float] | None


@dataclass(frozen=True)
class History:
    """What happened during a fit.

    `loss` and `accuracy` (epochs,) are means over the images of an epoch, each taken at the moment
    it was trained on; `steps_per_epoch` counts optimizer steps; `snapshots` maps a step to the
    model's state at that step (0: before the first one).
    """

    loss: Float[Tensor, " epochs"]
    accuracy: Float[Tensor, " epochs"]
    steps_per_epoch: int
    snapshots: dict[int, dict[str, Tensor]] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        length = f"History: {len(self.loss)} epochs of {self.steps_per_epoch} steps"
        if not len(self.loss):
            return length
        return f"{length}, at the end loss {self.loss[-1]:.4f}, accuracy {self.accuracy[-1]:.4f}"


def initialised(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """The module that `build()` makes when torch's random numbers start at `seed`.

    The global generators are left as they were.

    >>> a, b = (initialised(lambda: nn.Linear(2, 2), 7) for _ in range(2))
    >>> torch.equal(a.weight, b.weight)
    True
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def batches(
    n: int, batch_size: int | None, *, generator: torch.Generator, device: torch.device
) -> Iterator[Tensor | slice]:
    """Index sets of one epoch: a fresh permutation cut into batches, or everything at once.

    The permutation is drawn on the CPU, so that every device sees the same batches.
    """
    if batch_size is None or batch_size >= n:
        yield slice(None)
    else:
        yield from torch.randperm(n, generator=generator).to(device).split(batch_size)


def learning_rate(schedule: Schedule, t: float) -> float:
    """Factor of the learning rate at the fraction t in [0, 1) of the run.

    `None` is constant, "cosine" is (1 + cos(pi t)) / 2 (Loshchilov and Hutter, 2017, one period),
    a function is asked.

    >>> learning_rate("cosine", 0.5), learning_rate(lambda t: 1 - t, 0.75)
    (0.5, 0.25)
    """
    if schedule is None:
        return 1.0
    if callable(schedule):
        return schedule(t)
    if schedule != "cosine":
        raise ValueError(
            f"There is no schedule {schedule!r}: pass None, 'cosine', or a function of the "
            "fraction of the run that is done."
        )
    return round((1 + math.cos(math.pi * t)) / 2, 12)


def optimizer_for(
    parameters: Iterable[Tensor], name: str, *, lr: float, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba, 2015) or SGD with momentum, fused where torch can."""
    parameters = list(parameters)
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)
    if name == "adam":
        return torch.optim.Adam(parameters, lr=lr, weight_decay=weight_decay, fused=fused)
    if name == "sgd":
        return torch.optim.SGD(
            parameters, lr=lr, momentum=momentum, weight_decay=weight_decay, fused=fused
        )
    raise ValueError(f"There is no optimizer {name!r}: choose 'adam' or 'sgd'.")


def refuse_bad_settings(
    x: Tensor,
    y: Tensor,
    *,
    epochs: int,
    batch_size: int | None,
    lr: float,
    momentum: float,
    weight_decay: float,
    clip_norm: float | None,
) -> None:
    """One sentence for each setting with which no training can start."""
    if len(x) != len(y) or len(x) == 0:
        raise ValueError(
            f"x has {len(x)} samples and y has {len(y)} labels: both must hold the same samples, "
            "at least one; pass one label per row of x."
        )
    if y.dtype != torch.int64:
        raise TypeError(f"y is {y.dtype}: labels must be int64 class numbers; pass y.long().")
    for name, value in (("batch_size", batch_size), ("lr", lr), ("clip_norm", clip_norm)):
        if value is not None and not value > 0:
            raise ValueError(f"{name} = {value}: it must be positive; choose a larger value.")
    # epochs = 0 leaves a network as it was built.
    for name, value in (
        ("epochs", epochs),
        ("momentum", momentum),
        ("weight_decay", weight_decay),
    ):
        if not value >= 0:
            raise ValueError(f"{name} = {value}: it must not be negative; choose 0 or more.")
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value is not None and value != int(value):
            raise ValueError(f"{name} = {value}: it counts, so pass a whole number.")


def refuse_labels(y: Tensor, logits: Tensor) -> None:
    """Labels without a logit of their own; looks at values, so ask once and on the CPU."""
    if y.device.type == "cpu" and not 0 <= int(y.min()) <= int(y.max()) < logits.shape[-1]:
        raise ValueError(
            f"y holds labels from {int(y.min())} to {int(y.max())} and the model gives "
            f"{logits.shape[-1]} logits: labels from 0 to {logits.shape[-1] - 1} are needed, so "
            "widen the model or renumber the labels."
        )


def refuse_divergence(loss: Tensor) -> None:
    """A loss that is no number is an error, named with its epoch."""
    if not loss.is_meta and not loss.isfinite().all():
        epoch = int((~loss.isfinite()).flatten().nonzero()[0]) % loss.shape[-1] + 1
        raise ValueError(
            f"The loss is NaN or infinite from epoch {epoch} on: the training diverged, so lower "
            "lr, set clip_norm, or look for NaN in the data."
        )


def fit(
    model: nn.Module,
    x: Float[Tensor, "n ..."],
    y: Int[Tensor, " m"],
    *,
    epochs: int,
    batch_size: int | None = None,
    lr: float,
    optimizer: str = "adam",
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    schedule: Schedule = None,
    clip_norm: float | None = None,
    penalty: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = None,
    perturb: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = None,
    snapshots: Collection[int] = (),
    seed: int = 0,
    progress: bool = True,
) -> History:
    """Train the model in place on cross-entropy; it is left in evaluation mode.

    `batch_size=None` takes all samples in every step. `penalty(model, x, y)` is a scalar added to
    the loss, its weight inside; `perturb(model, x, y)` replaces the inputs of a step, for
    adversarial training; `snapshots` are steps (0: before the first) whose weights are kept.
    `seed` draws the order of the samples and whatever the model draws (dropout); the global
    generators are left as they were. x, y and model are on one device, and nothing is read back
    from it but for the progress bar, twice a second.

    Raises `ValueError` for labels of another length or without a logit, settings out of range, an
    unknown optimizer or schedule, a snapshot beyond the last step, and a loss that became NaN;
    `TypeError` for labels that are not int64.

    >>> x, y = torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1])
    >>> model = initialised(lambda: nn.Linear(1, 2), seed=0)
    >>> history = fit(model, x, y, epochs=50, lr=0.1, progress=False)
    >>> accuracy(model, x, y)
    1.0
    """
    refuse_bad_settings(
        x,
        y,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
    )
    steps_per_epoch = math.ceil(len(x) / (batch_size or len(x)))
    total = epochs * steps_per_epoch
    snapshots = set(snapshots)
    if snapshots and not 0 <= min(snapshots) <= max(snapshots) <= total:
        outside = max(snapshots, key=lambda step: abs(step - total / 2))
        raise ValueError(
            f"A snapshot at step {outside} was asked for: this run has the steps 0 to {total}; "
            "choose among these."
        )
    optimizer = optimizer_for(
        model.parameters(), optimizer, lr=lr, momentum=momentum, weight_decay=weight_decay
    )
    generator = torch.Generator().manual_seed(seed)
    meter = _Meter(epochs, len(x), progress)
    kept: dict[int, dict[str, Tensor]] = {}
    step = 0
    model.train()
    with torch.random.fork_rng(), meter.bar:
        torch.manual_seed(seed)
        for _ in range(epochs):
            for index in batches(len(x), batch_size, generator=generator, device=x.device):
                if step in snapshots:
                    kept[step] = _state(model)
                for group in optimizer.param_groups:
                    group["lr"] = lr * learning_rate(schedule, step / total)
                inputs, labels = x[index], y[index]
                if perturb is not None:
                    inputs = perturb(model, inputs, labels)
                logits = model(inputs)
                if step == 0:
                    refuse_labels(y, logits)
                loss = functional.cross_entropy(logits, labels)
                if penalty is not None:
                    loss = loss + penalty(model, inputs, labels)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                if clip_norm is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
                optimizer.step()
                step += 1
                meter.batch(loss.detach(), logits.detach(), labels)
            meter.epoch()
    model.eval()
    if total in snapshots:
        kept[total] = _state(model)
    loss, correct = meter.curves(x)
    refuse_divergence(loss)
    return History(loss, correct, steps_per_epoch, kept)


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


class _Meter:
    """Loss and accuracy, summed on the device and read only when the bar shows them."""

    def __init__(self, epochs: int, n: int, shown: bool):
        self.n = n
        self.losses: list[Tensor] = []
        self.accuracies: list[Tensor] = []
        self.bar = progress.bar(total=epochs, label="fit", unit="epoch", shown=shown)
        self.read = time.monotonic()
        self.loss: Tensor | float = 0.0
        self.correct: Tensor | float = 0.0

    def batch(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        self.loss = self.loss + loss * len(labels)
        self.correct = self.correct + (logits.argmax(dim=1) == labels).sum()

    def epoch(self) -> None:
        self.losses.append(self.loss / self.n)
        self.accuracies.append(self.correct / self.n)
        self.loss, self.correct = 0.0, 0.0
        self.bar.update()
        if not self.bar.disable and time.monotonic() - self.read > 0.5:
            self.bar.set_postfix_str(
                f"loss {float(self.losses[-1]):.3f}, accuracy {float(self.accuracies[-1]):.3f}"
            )
            self.read = time.monotonic()

    def curves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self.losses:
            return x.new_zeros(0), x.new_zeros(0)
        return torch.stack(self.losses), torch.stack(self.accuracies)


def accuracy(model: nn.Module, x: Float[Tensor, "n ..."], y: Int[Tensor, " m"]) -> float:
    """Share of the samples whose largest logit is the label's, in [0, 1].

    The model is borrowed (evaluation mode, everything as before afterwards); x goes through in
    chunks. Raises `ValueError` for labels of another length, an empty x, and NaN in an answer.

    >>> accuracy(nn.Identity(), torch.eye(4)[:, :3], torch.tensor([0, 1, 2, 2]))
    0.75
    """
    if len(x) != len(y) or len(x) == 0:
        raise ValueError(
            f"x has {len(x)} samples and y has {len(y)} labels: both must hold the same samples, "
            "at least one; pass one label per row of x."
        )
    size = borrow.chunks(len(x), 16 * x[0].numel())
    with borrow.borrowed(model, x) as lent, torch.no_grad():
        correct = 0
        for part, labels in zip(x.split(size), y.split(size), strict=True):
            logits = lent(part)
            borrow.refuse_nan(logits)
            correct += (logits.argmax(dim=1) == labels).sum()
    return float(correct) / len(x)
