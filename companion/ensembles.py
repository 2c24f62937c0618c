"""Many networks of one shape at once: the same data, one seed each.

Explained in the chapter `book/distances/metric_structure`, where every interval runs over seeds.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from companion import borrow, progress
from companion.training import fit, initialised
from companion.training.fitting import (
    Schedule,
    batches,
    learning_rate,
    optimizer_for,
    refuse_bad_settings,
    refuse_divergence,
    refuse_labels,
)

__all__ = ["Ensemble", "fit_many"]

# Weights per member below which one CPU thread gains from stacking: above it the stacked matrices
# fall out of the cache and the members are faster one by one (benchmarks/ensembles.py).
TINY = 10_000


@dataclass(frozen=True)
class Ensemble:
    """Networks fitted with one seed each.

    `models` are the m modules in evaluation mode, in the order of `seeds`; `loss` and `accuracy`
    (m, epochs) are the curves of `training.History`; `stacked` says how they were trained.
    """

    models: tuple[nn.Module, ...]
    seeds: tuple[int, ...]
    loss: Float[Tensor, "m epochs"]
    accuracy: Float[Tensor, "m epochs"]
    stacked: bool

    def __repr__(self) -> str:
        end = f", training accuracy {self.accuracy[:, -1].mean():.4f}" if self.loss.numel() else ""
        return f"Ensemble of {len(self.models)} {type(self.models[0]).__name__}{end}"

    def logits(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "m n c"]:
        """Logits of every member, without gradients; x goes through in chunks."""
        size = borrow.chunks(len(x), 16 * x[0].numel())
        rows = []
        for model in self.models:
            with borrow.borrowed(model) as lent, torch.no_grad():
                rows.append(torch.cat([lent(part) for part in x.split(size)]))
        return torch.stack(rows)

    def member(self, i: int) -> nn.Module:
        """The i-th network, a module of its own."""
        return self.models[i]


def fit_many(
    build: Callable[[], nn.Module],
    x: Float[Tensor, "n ..."],
    y: Int[Tensor, " m"],
    *,
    seeds: Sequence[int],
    epochs: int,
    batch_size: int | None = None,
    lr: float,
    optimizer: str = "adam",
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    schedule: Schedule = None,
    clip_norm: float | None = None,
    stack: bool | None = None,
    progress: bool = True,
) -> Ensemble:
    """Fit one network per seed, as `fit` would one after another with `initialised(build, seed)`.

    Stacked, all members take a step in the same few operations: the gradient of the summed losses
    with respect to the stacked weights holds each member's own.
    `stack=None` stacks where that is faster: on CUDA, and on the CPU below about 10,000 weights a
    member. A network with buffers (batch normalisation), dropout, frozen or shared weights is
    never stacked.

    Both ways draw the same initial weights and the same batches; the sums run in another order, so
    in float64 the weights agree within 1e-9 after tens of steps, and in float32 within 1e-4 of the
    largest weight; a longer run of a network with kinks drifts apart as two machines would.

    Raises what `fit` raises, and `ValueError` for no seed, or `stack=True` where it is impossible.

    >>> from companion.models import MLP
    >>> x, y = torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1])
    >>> options = dict(epochs=60, lr=0.1, progress=False)
    >>> both = fit_many(lambda: MLP((1, 4, 2)), x, y, seeds=(0, 1), **options)
    >>> both.logits(x).argmax(dim=2).tolist()
    [[0, 1], [0, 1]]
    """
    seeds = tuple(seeds)
    if not seeds:
        raise ValueError("seeds is empty: pass one seed for each network that is wanted.")
    settings = dict(
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
    )
    refuse_bad_settings(x, y, **settings)
    models = [initialised(build, seed).to(x.device) for seed in seeds]
    possible = _stackable(models[0], x[:2])
    if stack and not possible:
        raise ValueError(
            f"A {type(models[0]).__name__} with buffers, dropout, frozen or shared weights cannot "
            "be stacked: each member needs its own pass; leave stack at None."
        )
    if stack is None:
        weights = sum(parameter.numel() for parameter in models[0].parameters())
        stack = possible and (x.device.type == "cuda" or weights <= TINY)
    settings |= dict(optimizer=optimizer, schedule=schedule, progress=progress)
    curves = _together if stack else _one_by_one
    loss, accuracy = curves(models, x, y, seeds, **settings)
    return Ensemble(tuple(model.eval() for model in models), seeds, loss, accuracy, stack)


def _stackable(model: nn.Module, x: Tensor) -> bool:
    """Whether one function of stacked weights is what the members would do one by one."""
    named = list(model.named_parameters(remove_duplicate=False))
    shared = len(named) > len(list(model.parameters()))
    frozen = not all(parameter.requires_grad for _, parameter in named)
    random = any(isinstance(module, nn.modules.dropout._DropoutNd) for module in model.modules())
    if shared or frozen or random or next(model.buffers(), None) is not None:
        return False
    try:
        # Dropout written as a function, or a branch on values, shows itself only in a pass.
        with torch.no_grad():
            _stacked_forward(model)(torch.func.stack_module_state([model])[0], x[None])
    except RuntimeError:
        return False
    return True


def _stacked_forward(model: nn.Module) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    skeleton = copy.deepcopy(model)
    return torch.vmap(lambda own, part: torch.func.functional_call(skeleton, own, (part,)))


def _one_by_one(models, x, y, seeds, **settings) -> tuple[Tensor, Tensor]:
    histories = [
        fit(model, x, y, seed=seed, **settings) for model, seed in zip(models, seeds, strict=True)
    ]
    return (
        torch.stack([history.loss for history in histories]),
        torch.stack([history.accuracy for history in histories]),
    )


def _together(
    models, x, y, seeds, *, epochs, batch_size, lr, optimizer, momentum, weight_decay, schedule,
    clip_norm, progress,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    weights, _ = torch.func.stack_module_state(models)
    forward = _stacked_forward(models[0])
    optimizer = optimizer_for(
        weights.values(), optimizer, lr=lr, momentum=momentum, weight_decay=weight_decay
    )
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    losses, accuracies, step = [], [], 0
    total = epochs * math.ceil(len(x) / (batch_size or len(x)))
    with _bar(epochs, progress) as bar:
        for _ in range(epochs):
            loss_sum, correct = 0.0, 0.0
            orders = (
                batches(len(x), batch_size, generator=generator, device=x.device)
                for generator in generators
            )
            for indices in zip(*orders, strict=True):
                inputs, labels = _gather(x, indices), _gather(y, indices)
                for group in optimizer.param_groups:
                    group["lr"] = lr * learning_rate(schedule, step / total)
                logits = forward(weights, inputs)
                if step == 0:
                    refuse_labels(y, logits)
                loss = (
                    functional.cross_entropy(
                        logits.flatten(0, 1), labels.flatten(), reduction="none"
                    )
                    .view(labels.shape)
                    .mean(dim=1)
                )
                optimizer.zero_grad(set_to_none=True)
                loss.sum().backward()
                if clip_norm is not None:
                    _clip_each(weights.values(), clip_norm)
                optimizer.step()
                step += 1
                loss_sum = loss_sum + loss.detach() * labels.shape[1]
                correct = correct + (logits.detach().argmax(dim=2) == labels).sum(dim=1)
            losses.append(loss_sum / len(x))
            accuracies.append(correct / len(x))
            bar.update()
    for member, model in enumerate(models):
        model.load_state_dict({name: stacked[member] for name, stacked in weights.items()})
    if not losses:
        return x.new_zeros(len(models), 0), x.new_zeros(len(models), 0)
    refuse_divergence(torch.stack(losses, dim=1))
    return torch.stack(losses, dim=1), torch.stack(accuracies, dim=1)


def _gather(x: Tensor, indices: Sequence[Tensor | slice]) -> Tensor:
    if isinstance(indices[0], slice):
        return x.expand(len(indices), *x.shape)
    return x[torch.stack(indices)]


def _bar(epochs: int, shown: bool):
    return progress.bar(total=epochs, label="fit_many", unit="epoch", shown=shown)


def _clip_each(weights, clip_norm: float) -> None:
    """Each member's gradient to its own norm, as torch's clip_grad_norm_ does for one."""
    weights = [weight for weight in weights if weight.grad is not None]
    norms = torch.stack([weight.grad.flatten(1).norm(dim=1) for weight in weights]).norm(dim=0)
    factors = (clip_norm / (norms + 1e-6)).clamp(max=1.0)
    for weight in weights:
        weight.grad.mul_(factors.view(-1, *[1] * (weight.dim() - 1)))
