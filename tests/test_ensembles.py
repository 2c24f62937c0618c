"""Many networks at once are the same networks one after another."""

import pytest
import torch
from torch import nn

from companion.ensembles import TINY, fit_many
from companion.models import ACTIVATIONS, MLP
from companion.training import Recipe, fit, initialised

SEEDS = (0, 1, 5)


def blobs(dtype=torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(50) % 3
    return torch.randn(50, 2, 2, generator=generator).to(dtype) + y.view(-1, 1, 1), y


def one_after_another(build, x, y, recipe):
    models = [initialised(build, seed) for seed in SEEDS]
    return models, [
        fit(model, x, y, recipe, seed=seed) for model, seed in zip(models, SEEDS, strict=True)
    ]


@pytest.mark.parametrize("activation", [*ACTIVATIONS, torch.sin])
@pytest.mark.parametrize("stack", [True, False])
def test_equal_to_one_after_another(activation, stack) -> None:
    x, y = blobs()

    def build():
        return MLP((4, 6, 5, 3), activation, dtype=torch.float64)

    recipe = Recipe(epochs=4, batch_size=20, lr=0.02)
    models, histories = one_after_another(build, x, y, recipe)
    many = fit_many(build, x, y, recipe, seeds=SEEDS, stack=stack)
    assert many.stacked is stack
    for i, (model, history) in enumerate(zip(models, histories, strict=True)):
        for one, other in zip(model.parameters(), many.member(i).parameters(), strict=True):
            # Twelve float64 steps summed in another order.
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(many.loss[i], history.loss, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(many.accuracy[i], history.accuracy)
        with torch.no_grad():
            torch.testing.assert_close(many.logits(x)[i], model(x), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    "options",
    [
        dict(optimizer="sgd", momentum=0.5, weight_decay=0.01),
        dict(schedule="cosine", weight_decay=0.01),
        dict(clip_norm=0.01, optimizer="sgd"),
        dict(batch_size=None),
    ],
    ids=["sgd", "cosine", "clip", "full batch"],
)
def test_every_option_stacks(options) -> None:
    x, y = blobs()

    def build():
        return MLP((4, 6, 3), "tanh", dtype=torch.float64)

    recipe = Recipe(**dict(epochs=5, batch_size=15, lr=0.05) | options)
    models, _ = one_after_another(build, x, y, recipe)
    many = fit_many(build, x, y, recipe, seeds=SEEDS, stack=True)
    for model, other in zip(models, many.models, strict=True):
        torch.testing.assert_close(model.logits.weight, other.logits.weight, rtol=1e-9, atol=1e-9)


def test_float32_agrees_as_the_docstring_says() -> None:
    x, y = blobs(torch.float32)
    recipe = Recipe(epochs=10, batch_size=20, lr=0.01)
    models, _ = one_after_another(lambda: MLP((4, 6, 3)), x, y, recipe)
    many = fit_many(lambda: MLP((4, 6, 3)), x, y, recipe, seeds=SEEDS, stack=True)
    for model, other in zip(models, many.models, strict=True):
        for one, two in zip(model.parameters(), other.parameters(), strict=True):
            assert (one - two).abs().max() <= 1e-4 * one.abs().max()


def test_convolutions_stack() -> None:
    x = torch.randn(12, 1, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = torch.arange(12) % 2

    def build():
        return nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 2)
        ).double()

    models, _ = one_after_another(build, x, y, Recipe(epochs=3, lr=0.01))
    many = fit_many(build, x, y, Recipe(epochs=3, lr=0.01), seeds=SEEDS, stack=True)
    for model, other in zip(models, many.models, strict=True):
        torch.testing.assert_close(model[4].weight, other[4].weight, rtol=1e-9, atol=1e-9)


def test_it_chooses_by_size_and_kind() -> None:
    x, y = blobs(torch.float32)

    def stacked(build) -> bool:
        return fit_many(build, x, y, Recipe(epochs=1, lr=0.01), seeds=(0,)).stacked

    assert stacked(lambda: MLP((4, 6, 3)))
    assert not stacked(lambda: MLP((4, TINY, 3)))

    def normalised():
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3))

    assert not stacked(normalised)
    assert not stacked(lambda: nn.Sequential(MLP((4, 3)), nn.Dropout()))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.two = nn.Linear(4, 4)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.two(self.one(x.flatten(1)))


class FunctionalDropout(MLP):
    def forward(self, x):
        return nn.functional.dropout(super().forward(x), 0.1, self.training)


class Unused(MLP):
    def __init__(self, sizes):
        super().__init__(sizes)
        self.spare = nn.Parameter(torch.ones(3))


def frozen() -> nn.Module:
    model = MLP((4, 6, 3))
    model.linear1.weight.requires_grad_(False)
    return model


@pytest.mark.parametrize("build", [Tied, frozen, lambda: FunctionalDropout((4, 6, 3))])
def test_what_cannot_be_stacked_goes_one_by_one(build) -> None:
    x, y = blobs(torch.float32)
    recipe = Recipe(epochs=2, lr=0.01, clip_norm=1.0)
    many = fit_many(build, x, y, recipe, seeds=SEEDS)
    assert not many.stacked
    models, _ = one_after_another(build, x, y, recipe)
    assert torch.equal(many.logits(x)[1], models[1](x).detach())


def test_a_weight_that_is_never_used_stacks() -> None:
    x, y = blobs(torch.float32)
    recipe = Recipe(epochs=2, lr=0.01, clip_norm=0.1)
    many = fit_many(lambda: Unused((4, 6, 3)), x, y, recipe, seeds=SEEDS)
    assert many.stacked


def test_members_share_nothing() -> None:
    x, y = blobs(torch.float32)
    many = fit_many(lambda: MLP((4, 6, 3)), x, y, Recipe(epochs=1, lr=0.01), seeds=SEEDS)
    before = many.member(1).logits.weight.clone()
    with torch.no_grad():
        many.member(0).logits.weight.zero_()
    assert torch.equal(many.member(1).logits.weight, before)
    assert repr(many).startswith("Ensemble of 3 MLP, training accuracy 0.")


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu() -> None:
    x, y = blobs()

    def build():
        return MLP((4, 6, 3), "tanh", dtype=torch.float64)

    recipe = Recipe(epochs=4, batch_size=20, lr=0.02)
    here, there = (fit_many(build, x.to(d), y.to(d), recipe, seeds=SEEDS) for d in ("cpu", "cuda"))
    assert there.stacked
    torch.testing.assert_close(here.logits(x), there.logits(x.cuda()).cpu(), rtol=1e-8, atol=1e-8)


def test_the_sentences() -> None:
    x, y = blobs(torch.float32)
    recipe = Recipe(epochs=1, lr=0.01)
    with pytest.raises(ValueError, match="seeds is empty: pass one seed"):
        fit_many(lambda: MLP((4, 3)), x, y, recipe, seeds=())
    with pytest.raises(
        ValueError, match="with buffers, dropout, frozen or shared weights cannot be"
    ):
        fit_many(lambda: nn.BatchNorm1d(3), x, y, recipe, seeds=SEEDS, stack=True)
    with pytest.raises(ValueError, match="y holds labels from 0 to 2 and the model gives 2 logi"):
        fit_many(lambda: MLP((4, 2)), x, y, recipe, seeds=SEEDS, stack=True)
    for again in (MLP((4, 3)), nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4, affine=False))):
        with pytest.raises(ValueError, match="the same weights for two seeds: each member needs"):
            fit_many(lambda again=again: again, x, y, recipe, seeds=SEEDS)
    bad = x.clone()
    bad[0] = torch.nan
    with pytest.raises(ValueError, match="from epoch 1 on: the training diverged"):
        fit_many(lambda: MLP((4, 3)), bad, y, recipe, seeds=SEEDS, stack=True)
