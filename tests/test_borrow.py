"""The borrowed model comes back as it was, and unmeasurable models are refused."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from companion.borrow import BUDGET, borrowed, chunks, refuse_logits


def network() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    model[1].eval()
    model[0].bias.requires_grad_(False)
    model(torch.randn(5, 3, generator=torch.Generator().manual_seed(0))).sum().backward()
    return model


def found(model: nn.Module) -> tuple:
    return (
        [module.training for module in model.modules()],
        [parameter.requires_grad for parameter in model.parameters()],
        [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        {name: value.clone() for name, value in model.state_dict().items()},
    )


def assert_same(before: tuple, after: tuple) -> None:
    assert before[:2] == after[:2]
    for one, other in zip(before[2], after[2], strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)
    assert all(torch.equal(value, after[3][name]) for name, value in before[3].items())


def test_mode_flags_gradients_and_buffers_come_back() -> None:
    model = network()
    before = found(model)
    x = torch.ones(2, 3, requires_grad=True)
    with borrowed(model, x) as lent:
        assert not any(module.training for module in lent.modules())
        assert not any(parameter.requires_grad for parameter in lent.parameters())
        lent(x).sum().backward()
    assert x.grad is not None
    assert_same(before, found(model))


def test_they_come_back_after_an_exception_too() -> None:
    model = network()
    before = found(model)
    with pytest.raises(KeyError), borrowed(model):
        raise KeyError
    assert_same(before, found(model))


def test_a_gradient_made_inside_does_not_leak() -> None:
    model = nn.Linear(2, 1)
    with borrowed(model) as lent:
        for parameter in lent.parameters():
            parameter.requires_grad_(True)
        lent(torch.ones(1, 2)).sum().backward()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_function_is_lent_unchanged() -> None:
    with borrowed(torch.sin, torch.ones(2)) as lent:
        assert lent is torch.sin


class Coin(nn.Module):
    def forward(self, x):
        return functional.dropout(x, 0.5, training=True)


def test_the_sentence_for_random_answers() -> None:
    with (
        torch.random.fork_rng(),
        pytest.raises(ValueError, match="two different answers to the same input"),
        borrowed(Coin(), torch.ones(4, 100)),
    ):
        pass


def test_the_sentence_for_nan_counts_the_samples() -> None:
    x = torch.tensor([[1.0], [-1.0], [-2.0]])
    with (
        pytest.raises(ValueError, match=r"NaN for 2 of 3 samples.*smaller step"),
        borrowed(torch.sqrt, x),
    ):
        pass


def test_a_model_is_given_back_when_it_is_refused() -> None:
    model = nn.Sequential(nn.Linear(1, 1), Coin())
    with pytest.raises(ValueError), borrowed(model, torch.ones(8, 1)):
        pass
    assert model.training
    assert model[0].weight.requires_grad


def test_meta_is_not_looked_at() -> None:
    with borrowed(nn.Linear(2, 2, device="meta"), torch.ones(3, 2, device="meta")) as lent:
        assert lent(torch.ones(3, 2, device="meta")).is_meta


@pytest.mark.parametrize(
    ("shape", "n", "sentence"),
    [
        ((4,), None, r"logits have shape \(4,\): a class and its rival"),
        ((), None, r"logits have shape \(\): "),
        ((4, 1), None, r"logits have shape \(4, 1\): .* those of the two classes, \(0, z\)"),
        ((4, 3, 1), None, r"logits have shape \(4, 3, 1\): .* give \(n, C\) with C of 2 or more"),
        ((4, 3), 5, r"logits have shape \(4, 3\) for 5 samples: "),
    ],
)
def test_answers_that_are_no_logits(shape: tuple[int, ...], n: int | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        refuse_logits(torch.zeros(shape), n)


def test_logits_pass() -> None:
    refuse_logits(torch.zeros(4, 2))
    refuse_logits(torch.zeros(4, 2), 4)
    refuse_logits(torch.zeros(0, 2), 0)


@pytest.mark.parametrize(
    ("n", "cost", "expected"),
    [
        (10, 1, 10),
        (10, BUDGET, 1),
        (10, 10 * BUDGET, 1),
        (10, BUDGET // 3, 3),
        (0, 5, 1),
        (4, 0, 4),
    ],
)
def test_chunks(n: int, cost: int, expected: int) -> None:
    assert chunks(n, cost) == expected
