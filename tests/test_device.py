"""Nothing leaves the device of its input: on device `meta` a hidden copy to the host raises.

`meta` tensors have shapes and no values, so what passes here mixes no devices, reads no value back
and depends on none. Forward, backward, second derivative and optimizer step.
"""

import pytest
import torch
from torch import nn

from companion import attacks, distances, isometry
from companion.decision import DecisionFunction, linear_walk, logit_gap, shortest_walk, walk
from companion.ensembles import fit_many
from companion.models import MLP, LeNet, representations
from companion.training import Recipe, fit

X = torch.zeros(8, 1, 8, 8, device="meta")
Z = torch.zeros(8, 5, device="meta")
Y = torch.zeros(8, dtype=torch.int64, device="meta")

# Left out, because they look at values and say so: intrinsic_dimension, neural_collapse,
# training.accuracy, and every other function that returns a Python number.
RULERS = {
    "pairwise": lambda z: distances.pairwise(z),
    "pairwise, two sets": lambda z: distances.pairwise(z, Z),
    "correlation": lambda z: distances.correlation(
        distances.pairwise(X), distances.pairwise(z), where=distances.within_class(Y)
    ),
    "cka": lambda z: distances.cka(X, z),
    "unbiased cka": lambda z: distances.cka(X, z, unbiased=True),
    "distortion": lambda z: (
        distances.distortion(distances.pairwise(X), distances.pairwise(z)).high
    ),
    "isometry_loss": lambda z: isometry.isometry_loss(X, z, Y, reduction="pairs"),
    "scale_loss": lambda z: isometry.scale_loss(X, z, Y),
    "normalised_isometry_loss_2022": lambda z: isometry.normalised_isometry_loss_2022(X, z, Y),
}


@pytest.mark.parametrize("ruler", RULERS)
def test_rulers_and_their_derivatives(ruler: str) -> None:
    z = Z.clone().requires_grad_()
    value = RULERS[ruler](z).sum()
    (gradient,) = torch.autograd.grad(value, z, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), z, allow_unused=True)
    assert value.is_meta
    assert gradient.is_meta
    assert second is None or second.is_meta


def test_procrustes() -> None:
    found = distances.procrustes(X, Z, scale=True)
    assert all(value.is_meta for value in (found.residual, found.rotation, found.shift))


@pytest.mark.parametrize("network", [MLP((64, 6, 3)), LeNet((1, 8, 8), 3)], ids=["mlp", "lenet"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_training_step(network: nn.Module, optimizer: str) -> None:
    model = network.to("meta")
    recipe = Recipe(
        epochs=2, batch_size=3, lr=0.1, optimizer=optimizer, schedule="cosine", clip_norm=1.0
    )
    history = fit(
        model, X, Y, recipe, snapshots=(0, 6), perturb=lambda model, x, y: x + 1,
        penalty=lambda model, x, y: distances.pairwise(x).mean(),
    )  # fmt: skip
    assert history.loss.is_meta
    assert history.accuracy.is_meta
    assert all(value.is_meta for value in history.snapshots[6].values())
    assert all(parameter.is_meta for parameter in model.parameters())


def test_a_training_step_with_the_isometric_penalty() -> None:
    penalty = isometry.isometry_penalty(1, "act1")
    history = fit(MLP((64, 6, 3)).to("meta"), X, Y, Recipe(epochs=1, lr=0.1), penalty=penalty)
    assert history.loss.is_meta


def test_a_stacked_training_step() -> None:
    recipe = Recipe(epochs=2, batch_size=3, lr=0.1, clip_norm=1.0)
    many = fit_many(lambda: MLP((64, 6, 3)), X, Y, recipe, seeds=(0, 1), stack=True)
    assert many.loss.is_meta
    assert many.logits(X).is_meta


def test_representations() -> None:
    record = representations(MLP((64, 6, 3)).to("meta"), X)
    assert all(z.is_meta for z in record.values())


@pytest.mark.parametrize("network", [MLP((64, 6, 3), "tanh"), LeNet((1, 8, 8), 3)])
@pytest.mark.parametrize("pair", [None, (2, 0), (Y + 1, Y)])
def test_decision_functions(network: nn.Module, pair: tuple | None) -> None:
    F = DecisionFunction(network.to("meta"), X, pair=pair, chunk=3)
    directions = X.expand(2, *X.shape)
    around = F.taylor(X)
    found = [F.rivals, F.value(X), F.values(X), F.gradient(X), F.gradients(X, 2)]
    found += [F.hvp(X, X), F.hvp(X, directions, h=0.1), around.gradient, around.hvp(directions)]
    assert all(value.is_meta for value in found)


def test_walks() -> None:
    model, lengths = MLP((64, 6, 3)).to("meta"), torch.arange(1.0, 5.0, device="meta")
    assert walk(model, X, X, lengths, both_ways=True).is_meta
    found = [*linear_walk(model, X), *shortest_walk(model, X, steps=2, rounds=1)]
    assert all(value.is_meta for value in found)


def test_the_logit_gap_and_its_derivatives() -> None:
    x = X.flatten(1).requires_grad_()
    value = logit_gap(MLP((64, 6, 3), "tanh").to("meta")(x), Y)
    (gradient,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), x)
    assert value.is_meta and gradient.is_meta and second.is_meta


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_attacks(norm: str) -> None:
    model = MLP((64, 6, 3)).to("meta")
    settings = {"eps": 0.1, "norm": norm, "bounds": (0, 1)}
    assert attacks.fgsm(model, X, Y, **settings).is_meta
    assert attacks.pgd(model, X, Y, steps=2, restarts=2, loss="logit_gap", **settings).is_meta
