"""The borrowed model comes back as it was, and unmeasurable models are refused."""

import inspect
import threading

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from companion import attacks, distances, ensembles, training
from companion.borrow import BUDGET, BUSY, borrowed, chunks, few_threads, refuse_logits, threads
from companion.decision import DecisionFunction


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


# ---- threads ---------------------------------------------------------------------------------


@pytest.fixture
def four():
    """A reader's process, which has several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    assert torch.get_num_threads() == 4
    torch.set_num_threads(before)


class Seen(nn.Linear):
    """A layer that notes on how many threads it works."""

    def __init__(self, *shape: int) -> None:
        super().__init__(*shape)
        self.noted = set()

    def forward(self, x):
        self.noted.add(torch.get_num_threads())
        return super().forward(x)


@pytest.mark.parametrize("times, chosen", [(0.5, 1), (1, 1), (2, 2), (100, 4)])
def test_one_thread_for_each_busy_part_of_the_largest_product(four, times, chosen) -> None:
    n, wide = 2**10, int(times * BUSY / 2**20)
    small, large = torch.empty(2**10), torch.empty(wide, 2**10)
    with threads([small, large], (n, 2**10)) as inside:
        assert inside == torch.get_num_threads() == chosen


def test_a_kernel_works_at_each_pixel_and_stacked_layers_do_not(four) -> None:
    kernel = torch.empty(32, 32, 3, 3)
    stacked = torch.empty(4, 96, 24)
    assert kernel.numel() == stacked.numel()
    shape = (64, 3, 64, 64)
    with threads([kernel], shape) as for_kernel:
        pass
    with threads([stacked], shape) as for_stacked:
        pass
    assert for_kernel == min(4, kernel.numel() * 64**2 * 64 // BUSY) > 1 and for_stacked == 1


def test_samples_that_go_through_in_chunks_count_as_one_chunk(four) -> None:
    weight = torch.empty(2**10, 2**10)
    with threads([weight], (10**9, 2**8)) as inside:
        assert inside == max(1, BUDGET // (16 * 2**8) * weight.numel() // BUSY)


@pytest.mark.parametrize(
    "weights, shape",
    [([], (5, 3)), ([torch.empty(3, 3)], ()), ([torch.empty(3, 3, device="meta")], (5, 3))],
    ids=["a function", "no samples", "elsewhere"],
)
def test_where_nothing_is_known_nothing_changes(four, weights, shape) -> None:
    with threads(weights, shape) as inside:
        assert inside == torch.get_num_threads() == 4


@pytest.mark.parametrize("blocks, chosen", [(1, 1), (5, 4)])
def test_a_large_network_keeps_its_threads_also_with_few_samples(four, blocks, chosen) -> None:
    net = nn.Sequential(*(Seen(1024, 1024) for _ in range(blocks)))
    x, y = torch.rand(6, 1024), torch.arange(6) % 2
    with borrowed(net, x):
        assert torch.get_num_threads() == chosen
    distances.through(net, x, y, layers=["0"])
    assert net[0].noted == {chosen}


def test_the_outermost_block_decides_and_an_error_changes_nothing(four) -> None:
    small, large = [torch.empty(3, 3)], [torch.empty(2**10, 2**10)]
    with threads(large, (2**12, 2)) as alone:
        assert alone == 2**32 // BUSY
    with pytest.raises(KeyError), threads(small, (5, 3)), threads(large, (2**12, 2)) as inside:
        assert inside == 1
        raise KeyError
    assert torch.get_num_threads() == 4


def test_two_at_once_leave_what_there_was(four) -> None:
    entered, left = threading.Event(), threading.Event()

    def other() -> None:
        with threads([torch.empty(3, 3)], (5, 3)):
            entered.set()
            assert left.wait(20)

    beside = threading.Thread(target=other)
    with threads([torch.empty(3, 3)], (5, 3)):
        beside.start()
        assert entered.wait(20)
    assert torch.get_num_threads() == 4
    left.set()
    beside.join()
    # A program that is asked for the first time has what was there before both.
    asked = []
    last = threading.Thread(target=lambda: asked.append(torch.get_num_threads()))
    last.start()
    last.join()
    assert asked == [4]


def test_small_networks_are_fitted_and_measured_on_one_thread(four) -> None:
    x, y = torch.rand(20, 3), torch.arange(20) % 2
    net = nn.Sequential(Seen(3, 2))
    recipe = training.Recipe(epochs=1, lr=0.1)
    training.fit(net, x, y, recipe)
    training.accuracy(net, x, y)
    attacks.pgd(net, x, y, eps=0.1, steps=2, bounds=None)
    F = DecisionFunction(net, x)
    F.gradient(x)
    taylor = F.taylor(x)
    taylor.hvp(x)
    assert net[0].noted == {1}


def test_stacked_networks_are_fitted_on_one_thread(four, monkeypatch) -> None:
    x, y = torch.rand(20, 3), torch.arange(20) % 2
    seen = set()
    logits = functional.cross_entropy
    monkeypatch.setattr(
        functional, "cross_entropy",
        lambda *a, **k: (seen.add(torch.get_num_threads()), logits(*a, **k))[1],
    )  # fmt: skip
    recipe = training.Recipe(epochs=1, lr=0.1)
    many = ensembles.fit_many(
        lambda: nn.Sequential(nn.Linear(3, 2)), x, y, recipe, seeds=(0, 1), stack=True
    )
    assert seen == {1}
    assert many.logits(x).shape == (2, 20, 2)


def test_distances_of_few_samples_are_measured_on_one_thread(four) -> None:
    seen = set()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            seen.add(torch.get_num_threads())
            return operation(*args, **(kwargs or {}))

    x, y = torch.rand(60, 5), torch.arange(60) % 2
    with Watch():
        d = distances.pairwise(x)
        distances.correlation(d, d)
        distances.intrinsic_dimension(x)
        distances.procrustes(x, x)
        distances.nearest(x, y)
    assert seen == {1}


def test_every_ruler_chooses_its_threads() -> None:
    # One mask, and a network, which chooses for itself: a large one may have few samples.
    others = ("within_class", "through")
    rulers = [getattr(distances, name) for name in distances.__all__ if name not in others]
    named = [ruler for ruler in rulers if inspect.isfunction(ruler)]
    assert len(named) > 8
    assert all("@few_threads" in inspect.getsource(ruler) for ruler in named)


def test_many_samples_are_measured_on_many_threads(four) -> None:
    working = few_threads(lambda x, *, y=None: torch.get_num_threads())
    small, large, huge = (torch.empty(n, 2**10) for n in (60, 2**12, 2**14))
    assert [working(small), working(large), working(small, y=huge)] == [1, 4, 4]
    assert working(0) == 4
