"""Many networks of one shape at once: the same data, one seed each.

Explained in the chapter `book/distances/metric_structure`, where every interval runs over seeds.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from companion import borrow
from companion.training import Recipe, fit, initialised
from companion.training.fitting import refuse_labels, refuse_samples
from companion.training.loop import Turn, refuse_divergence, train, wide

__all__ = ["Ensemble", "clip_each", "fit_many"]

# Weights per member below which one CPU thread gains from stacking: above it the stacked matrices
# fall out of the cache and the members are faster one by one (benchmarks/ensembles.py).
TINY = 10_000


@dataclass(frozen=True)
class Ensemble:
    """Networks fitted with one seed each.

    Args:
        models: The m modules in evaluation mode, in the order of `seeds`.
        seeds: One for each.
        loss: Mean over the samples of each epoch (m, epochs), as in `training.History`.
        accuracy: The same of the share that was right (m, epochs).
        stacked: Whether they took their steps together.
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
        """Logits of every member, without gradients; x goes through in chunks.

        Args:
            x: Samples (n, ...).

        Returns:
            (m, n, C), in the order of `seeds`.
        """
        size = borrow.chunks(len(x), 16 * x[0].numel())
        rows = []
        for model in self.models:
            with borrow.borrowed(model, x, ask=False) as lent, torch.no_grad():
                rows.append(torch.cat([lent(part) for part in x.split(size)]))
        return torch.stack(rows)

    def member(self, i: int) -> nn.Module:
        """The i-th network, a module of its own.

        Args:
            i: Its place in `seeds`.

        Returns:
            A module in evaluation mode.
        """
        return self.models[i]


def fit_many(
    build: Callable[[], nn.Module],
    x: Float[Tensor, "n ..."],
    y: Int[Tensor, " m"],
    recipe: Recipe,
    *,
    seeds: Sequence[int],
    stack: bool | None = None,
) -> Ensemble:
    """Fit one network per seed, as `fit` would one after another with `initialised(build, seed)`.

    Stacked, all members take a step in the same few operations: the gradient of the summed losses
    with respect to the stacked weights holds each member's own.

    Args:
        build: Makes a member, without arguments, a new one at each call.
        x: Samples (n, ...).
        y: Labels (n,), int64, on the device of x.
        recipe: Epochs, batches, optimizer, schedule, for all.
        seeds: One for each member: its weights, and the order of its batches.
        stack: Whether members take their steps together. None: where that is faster, on CUDA, and
            on the CPU below about 10,000 weights a member. A network with buffers (batch
            normalisation), dropout, frozen or shared weights is never stacked.

    Returns:
        The members, each a module of its own, and their curves.

    Raises:
        ValueError: What `fit` raises, for no seed, for `stack=True` where it is impossible, and
            for a `build` that returns the same module again.
        TypeError: For labels that are not int64.

    Both ways draw the same initial weights and the same batches; the sums run in another order, so
    in float64 the weights agree within 1e-9 after tens of steps, and in float32 within 1e-4 of the
    largest weight; a longer run of a network with kinks drifts apart as two machines would.

    >>> from companion.models import MLP
    >>> x, y = torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1])
    >>> both = fit_many(lambda: MLP((1, 4, 2)), x, y, Recipe(epochs=60, lr=0.1), seeds=(0, 1))
    >>> both.logits(x).argmax(dim=2).tolist()
    [[0, 1], [0, 1]]
    """
    seeds = tuple(seeds)
    if not seeds:
        raise ValueError("seeds is empty: pass one seed for each network that is wanted.")
    refuse_samples(x, y)
    models = [initialised(build, seed).to(x.device) for seed in seeds]
    _refuse_one_module(models)
    possible = _stackable(models[0], x[:2])
    if stack and not possible:
        raise ValueError(
            f"A {type(models[0]).__name__} with buffers, dropout, frozen or shared weights cannot "
            "be stacked: each member needs its own pass; leave stack at None."
        )
    if stack is None:
        weights = sum(parameter.numel() for parameter in models[0].parameters())
        stack = possible and (x.device.type == "cuda" or weights <= TINY)
    loss, accuracy = (_together if stack else _one_by_one)(models, x, y, recipe, seeds)
    return Ensemble(tuple(model.eval() for model in models), seeds, loss, accuracy, stack)


def _refuse_one_module(models: Sequence[nn.Module]) -> None:
    """Members that share weights would be one network, trained again for every seed."""
    moved = [
        id(value)
        for model in models
        for value in (*filter(lambda p: p.requires_grad, model.parameters()), *model.buffers())
    ]
    if len(set(moved)) < len(moved):
        raise ValueError(
            "build returned the same weights for two seeds: each member needs a module of its "
            "own, so make it inside build."
        )


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


def _one_by_one(models, x, y, recipe, seeds) -> tuple[Tensor, Tensor]:
    histories = [
        fit(model, x, y, recipe, seed=seed) for model, seed in zip(models, seeds, strict=True)
    ]
    return (
        torch.stack([history.loss for history in histories]),
        torch.stack([history.accuracy for history in histories]),
    )


def _together(models, x, y, recipe, seeds) -> tuple[Tensor, Tensor]:
    weights, _ = torch.func.stack_module_state(models)
    forward = _stacked_forward(models[0])

    def turns(step, indices):
        inputs, labels = _gather(x, indices), _gather(y, indices)
        logits = forward(weights, inputs)
        if step == 0:
            refuse_labels(y, logits)
        each = functional.cross_entropy(
            wide(logits).flatten(0, 1), labels.flatten(), reduction="none"
        )
        loss = each.view(labels.shape).mean(dim=1)
        yield Turn(loss, loss, logits, labels)

    curves = train(
        turns, weights.values(), x, recipe, seeds=seeds, shape=(len(models),), label="fit_many",
        clip=clip_each,
    )  # fmt: skip
    for member, model in enumerate(models):
        model.load_state_dict({name: stacked[member] for name, stacked in weights.items()})
    refuse_divergence(curves.loss)
    return curves.loss.T, curves.accuracy.T


def _gather(x: Tensor, indices: Sequence[Tensor | slice]) -> Tensor:
    if isinstance(indices[0], slice):
        return x.expand(len(indices), *x.shape)
    return x[torch.stack(indices)]


def clip_each(weights, clip_norm: float) -> None:
    """Each member's gradient to its own norm, as torch's clip_grad_norm_ does for one.

    Args:
        weights: Stacked weights (m, ...), whose gradients are shortened in place.
        clip_norm: The longest gradient that is taken as it is.

    >>> weight = torch.zeros(2, 1)
    >>> weight.grad = torch.tensor([[3.0], [0.5]])
    >>> clip_each([weight], 1.0)
    >>> weight.grad
    tensor([[1.0000],
            [0.5000]])
    """
    weights = [weight for weight in weights if weight.grad is not None]
    norms = torch.stack([weight.grad.flatten(1).norm(dim=1) for weight in weights]).norm(dim=0)
    factors = (clip_norm / (norms + 1e-6)).clamp(max=1.0)
    for weight in weights:
        weight.grad.mul_(factors.view(-1, *[1] * (weight.dim() - 1)))


def __dir__() -> list[str]:
    return __all__
