"""The training loop against plain torch, and the cache of the reference networks."""

import functools
import multiprocessing
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from companion import datasets, storage, training
from companion.models import MLP, recorded
from companion.training import (
    Recipe,
    accuracy,
    fit,
    initialised,
    loop,
    reference,
    reference_data,
    reference_steps,
    references,
)
from plain import Plain


def blobs(n: int = 60, dtype=torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    return torch.randn(n, 4, generator=generator).to(dtype) + 2 * functional.one_hot(y, 4), y


def build() -> nn.Module:
    return MLP((4, 8, 3), "tanh", dtype=torch.float64)


def slow_fit(model, x, y, *, epochs, batch_size, lr, seed, make, factor, clip=None):
    """The loop of every tutorial: one DataLoader, one scheduler."""
    optimizer = make(model.parameters(), lr)
    loader = DataLoader(TensorDataset(x, y), batch_size=batch_size)
    total = epochs * len(loader)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(step / total))
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=generator)
        for inputs, labels in DataLoader(TensorDataset(x[order], y[order]), batch_size=batch_size):
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), labels).backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            scheduler.step()


CASES = {
    "adam": dict(optimizer="adam", weight_decay=0.01),
    "sgd": dict(optimizer="sgd", momentum=0.8, weight_decay=0.01),
    "cosine": dict(optimizer="adam", schedule="cosine"),
    "function": dict(optimizer="sgd", schedule=lambda t: 1 - t),
    "clip": dict(optimizer="sgd", clip_norm=0.05),
}


@pytest.mark.parametrize("case", CASES)
def test_fit_is_the_plain_loop(case: str) -> None:
    x, y = blobs(dtype=torch.float64)
    options = CASES[case]
    decay = options.get("weight_decay", 0.0)
    make = {
        "adam": lambda p, lr: torch.optim.Adam(p, lr, weight_decay=decay, fused=False),
        "sgd": lambda p, lr: torch.optim.SGD(
            p, lr, momentum=options.get("momentum", 0.9), weight_decay=decay, fused=False
        ),
    }[options["optimizer"]]
    factor = {
        "cosine": lambda t: (1 + torch.cos(torch.tensor(t * torch.pi, dtype=torch.float64))) / 2,
    }.get(case, options.get("schedule") or (lambda t: 1.0))
    slow, fast = initialised(build, 3), initialised(build, 3)
    slow_fit(
        slow, x, y, epochs=4, batch_size=25, lr=0.05, seed=5, make=make, factor=factor,
        clip=options.get("clip_norm"),
    )  # fmt: skip
    fit(fast, x, y, Recipe(epochs=4, batch_size=25, lr=0.05, **options), seed=5)
    for one, other in zip(slow.parameters(), fast.parameters(), strict=True):
        # Twelve float64 steps in fused and unfused form.
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


def test_history_counts_what_was_trained_on() -> None:
    x, y = blobs(dtype=torch.float64)
    model = initialised(build, 0)
    before = functional.cross_entropy(model(x), y)
    right = accuracy(model, x, y)
    history = fit(model, x, y, Recipe(epochs=3, lr=1e-12))
    torch.testing.assert_close(history.loss, before.detach().expand(3), rtol=1e-9, atol=0)
    assert history.accuracy.tolist() == pytest.approx([right] * 3)
    assert history.steps_per_epoch == 1
    assert repr(history).startswith("History: 3 epochs of 1 steps, at the end loss ")


def test_history_of_unequal_batches_is_a_mean_over_images() -> None:
    x, y = blobs(dtype=torch.float64)
    model = initialised(build, 0)
    whole = functional.cross_entropy(model(x), y).detach()
    history = fit(model, x, y, Recipe(epochs=1, batch_size=41, lr=1e-12))
    torch.testing.assert_close(history.loss[0], whole, rtol=1e-9, atol=0)
    assert history.steps_per_epoch == 2


def test_snapshots_are_the_run_cut_short() -> None:
    x, y = blobs(dtype=torch.float64)
    model = initialised(build, 1)
    history = fit(model, x, y, Recipe(epochs=4, batch_size=20, lr=0.01), snapshots=(0, 6, 12))
    assert list(history.snapshots) == [0, 6, 12]
    start, half = initialised(build, 1), initialised(build, 1)
    fit(half, x, y, Recipe(epochs=2, batch_size=20, lr=0.01))
    for step, other in ((0, start), (6, half), (12, model)):
        for name, value in other.state_dict().items():
            assert torch.equal(history.snapshots[step][name], value)


def test_the_same_seed_gives_the_same_network_and_the_global_generator_stays() -> None:
    x, y = blobs()
    state = torch.random.get_rng_state()
    nets = []
    for seed in (0, 0, 1):
        net = initialised(lambda: nn.Sequential(nn.Linear(4, 8), nn.Dropout(), nn.Linear(8, 3)), 0)
        fit(net, x, y, Recipe(epochs=2, batch_size=20, lr=0.01), seed=seed)
        nets.append(net[0].weight)
    assert torch.equal(nets[0], nets[1])
    assert not torch.equal(nets[0], nets[2])
    assert torch.equal(state, torch.random.get_rng_state())


def test_penalty_and_perturb_see_the_batch() -> None:
    x, y = blobs(dtype=torch.float64)
    seen = []

    def penalty(model, inputs, labels):
        seen.append((len(inputs), labels.dtype))
        return 10 * sum(p.square().sum() for p in model.parameters())

    with_penalty, without = initialised(build, 0), initialised(build, 0)
    fit(with_penalty, x, y, Recipe(epochs=40, lr=0.05), penalty=penalty)
    fit(without, x, y, Recipe(epochs=40, lr=0.05))
    small, large = (
        sum(float(p.detach().square().sum()) for p in model.parameters())
        for model in (with_penalty, without)
    )
    assert small < 0.01 * large
    assert seen[0] == (60, torch.int64)

    flipped, plain = initialised(build, 0), initialised(build, 0)
    recipe = Recipe(epochs=5, lr=0.05)
    fit(flipped, x, y, recipe, perturb=lambda model, inputs, labels: -inputs)
    fit(plain, -x, y, recipe)
    assert torch.equal(flipped.logits.weight, plain.logits.weight)


def test_batch_normalisation_trains_and_is_left_in_evaluation() -> None:
    x, y = blobs()
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    fit(model, x, y, Recipe(epochs=2, batch_size=20, lr=0.01))
    assert not model.training
    assert int(model[1].num_batches_tracked) == 6


def test_no_epochs_leave_the_network_as_built() -> None:
    x, y = blobs(dtype=torch.float64)
    model = initialised(build, 0)
    history = fit(model, x, y, Recipe(epochs=0, lr=0.1), snapshots=(0,))
    assert torch.equal(model.logits.weight, initialised(build, 0).logits.weight)
    assert len(history.loss) == 0
    assert list(history.snapshots) == [0]
    assert repr(history) == "History: 0 epochs of 1 steps"


def test_the_bar_shows_loss_and_accuracy(monkeypatch, capsys) -> None:
    monkeypatch.delenv("COMPANION_PROGRESS", raising=False)
    clock = iter(range(0, 10_000, 3))
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(clock))
    bar = loop.progress.bar
    monkeypatch.setattr(loop.progress, "bar", lambda **options: _at_once(bar(**options)))
    x, y = blobs()
    fit(initialised(lambda: MLP((4, 3)), 0), x, y, Recipe(epochs=3, lr=0.1))
    assert "loss" in capsys.readouterr().err


def _at_once(bar):
    bar.delay, bar.mininterval = 0, 0
    return bar


def test_accuracy_in_chunks(monkeypatch) -> None:
    x, y = blobs()
    model = initialised(lambda: MLP((4, 3)), 0)
    whole = accuracy(model, x, y)
    monkeypatch.setattr("companion.borrow.BUDGET", 4 * 16 * 7)
    assert accuracy(model, x, y) == whole
    assert 0 < whole < 1


@pytest.mark.parametrize("kind", ["trained", "untrained"])
def test_accuracy_is_scikit_learns(kind) -> None:
    from sklearn.metrics import accuracy_score

    data = datasets.load("digits")
    net = reference(data, kind)
    answers = Plain(net)(data.x_test.flatten(1).numpy()).argmax(axis=1)
    known = accuracy_score(data.y_test, answers)
    assert accuracy(net, data.x_test, data.y_test) == pytest.approx(known, abs=1e-6)


def test_nan_in_a_later_chunk_is_named(monkeypatch) -> None:
    x, y = blobs()
    x[50] = torch.nan
    monkeypatch.setattr("companion.borrow.BUDGET", 4 * 16 * 7)
    with pytest.raises(ValueError, match="NaN for 1 of"):
        accuracy(initialised(lambda: MLP((4, 3)), 0), x, y)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (dict(y=torch.zeros(5, dtype=torch.int64)), ValueError, "x has 60 samples and y has 5"),
        (dict(y=torch.zeros(60)), TypeError, r"y is torch.float32.*pass y.long\(\)"),
        (dict(y=torch.zeros(60, 1).long()), ValueError, r"y has shape \(60, 1\): one label per"),
        (dict(y=torch.tensor(0)), ValueError, "x has 60 samples and y has 0 labels"),
        (
            dict(model=MLP((4, 1)), y=torch.zeros(60).long()),
            ValueError,
            r"logits have shape \(60, 1\) for 60 samples: a class and its rival are needed",
        ),
        (
            dict(model=nn.Sequential(MLP((4, 3)), nn.Unflatten(1, (3, 1, 1)))),
            ValueError,
            r"logits have shape \(60, 3, 1, 1\) for 60 samples",
        ),
        (dict(until=-1.0), ValueError, "until = -1.0: the cross-entropy at which to stop is a po"),
        (dict(until=float("nan")), ValueError, "until = nan: the cross-entropy at which"),
        (
            dict(y=torch.arange(60) % 4),
            ValueError,
            "labels from 0 to 3 and the model gives 3 logits",
        ),
        (
            dict(snapshots=(0, 99)),
            ValueError,
            "step 99 was asked for: this run has the steps 0 to 2",
        ),
        (dict(snapshots=(-1,)), ValueError, "step -1 was asked for"),
        (dict(x=torch.full((60, 4), torch.nan)), ValueError, "NaN or infinite from epoch 1 on"),
    ],
)
def test_the_sentences_of_fit(change, error, sentence, as_a_user) -> None:
    x, y = blobs()
    model = initialised(lambda: MLP((4, 3)), 0)
    arguments = dict(model=model, x=x, y=y, recipe=Recipe(2, 0.1)) | change
    with pytest.raises(error, match=sentence):
        fit(**arguments)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (dict(epochs=-1), "epochs = -1: it must not be negative"),
        (dict(weight_decay=-1.0), "weight_decay = -1.0: it must not be negative"),
        (dict(momentum=-0.5), "momentum = -0.5: it must not be negative"),
        (dict(lr=float("nan")), "lr = nan: it must be positive"),
        (dict(batch_size=10.5), "batch_size = 10.5: it counts, so pass a whole"),
        (dict(epochs=0.5), "epochs = 0.5: it counts, so pass a whole"),
        (dict(batch_size=0), "batch_size = 0: it must be positive"),
        (dict(lr=0.0), "lr = 0.0: it must be positive"),
        (dict(clip_norm=-2.0), "clip_norm = -2.0: it must be positive"),
        (dict(optimizer="adamm"), "no optimizer 'adamm': choose 'adam' or 'sgd'"),
        (dict(schedule="cos"), "no schedule 'cos': pass None, 'cosine'"),
    ],
)
def test_the_sentences_of_a_recipe(change, sentence, as_a_user) -> None:
    with pytest.raises(ValueError, match=sentence):
        Recipe(**dict(epochs=2, lr=0.1) | change)


@pytest.mark.parametrize(
    ("logits", "y", "sentence"),
    [
        (torch.eye(2), torch.zeros(3).long(), "x has 2 samples and y has 3 labels"),
        (torch.eye(2), torch.tensor([[0], [1]]), r"y has shape \(2, 1\): one label per sample"),
        (torch.eye(3)[:, :1], torch.tensor([0, 0, 0]), r"shape \(3, 1\) for 3 samples"),
        (torch.eye(2)[..., None, None], torch.tensor([0, 1]), r"shape \(2, 2, 1, 1\) for 2"),
        (torch.ones(2), torch.tensor([0, 1]), r"shape \(2,\) for 2 samples"),
    ],
)
def test_what_would_broadcast_has_no_accuracy(logits, y, sentence, as_a_user) -> None:
    with pytest.raises(ValueError, match=sentence):
        accuracy(nn.Identity(), logits, y)


def test_a_row_that_is_lost_has_no_accuracy(as_a_user) -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 4\) for 4 samples"):
        accuracy(lambda x: x[:1], torch.eye(4), torch.arange(4))


def test_penalty_and_perturbation_meet() -> None:
    """The penalty is asked at the inputs that the step is taken on."""
    x, y = blobs(dtype=torch.float64)
    recipe = Recipe(epochs=4, lr=0.05, batch_size=25)

    def size(model, inputs, labels):
        return 3 * model(inputs).square().mean()

    both, by_hand = initialised(build, 0), initialised(build, 0)
    fit(both, x, y, recipe, penalty=size, perturb=lambda model, inputs, labels: 1 - 2 * inputs)
    fit(by_hand, 1 - 2 * x, y, recipe, penalty=size)
    assert torch.equal(both.logits.weight, by_hand.logits.weight)


class Asked:
    """A penalty on a layer, which it asks for by name, or finds by a pass of its own."""

    def __init__(self, *layers: str):
        self.layers, self.passes = layers, 0

    def on(self, activations, x, y):
        assert list(activations) == list(self.layers)
        return sum(z.square().mean() for z in activations.values()) * x.square().mean()

    def __call__(self, model, x, y):
        self.passes += 1
        with recorded(model, self.layers) as record:
            model(x)
        return self.on(record.named(self.layers), x, y)


@pytest.mark.parametrize("perturb", [None, lambda model, x, y: -x])
def test_a_penalty_that_asks_for_a_layer_gets_it_from_the_pass_that_is_made(perturb) -> None:
    x, y = blobs(dtype=torch.float64)
    passes = []
    asks = Asked("act1", "logits")
    found = []
    for penalty in (asks, lambda *given: Asked("act1", "logits")(*given)):
        model = initialised(build, 0)
        model.register_forward_pre_hook(lambda *_: passes.append(1))
        history = fit(
            model, x, y, Recipe(epochs=3, lr=0.05, batch_size=30), penalty=penalty, perturb=perturb
        )
        found.append((history, model.state_dict(), len(passes)))
        passes.clear()
    (one, weights, once), (two, others, twice) = found
    assert (once, twice, asks.passes) == (6, 12, 0)
    # One backward pass through what two made before: sums in another order.
    for name, value in weights.items():
        torch.testing.assert_close(value, others[name], rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(one.loss, two.loss, rtol=1e-9, atol=0)
    torch.testing.assert_close(one.cross_entropy, two.cross_entropy, rtol=1e-9, atol=0)
    assert (one.loss > one.cross_entropy).all()


def test_a_penalty_that_asks_for_what_is_not_called_is_told_the_names() -> None:
    x, y = blobs(dtype=torch.float64)
    with pytest.raises(ValueError, match="no layer named 'act9': it calls linear1, act1, logits"):
        fit(initialised(build, 0), x, y, Recipe(1, 0.1), penalty=Asked("act9"))


def test_the_cross_entropy_stands_beside_the_loss() -> None:
    x, y = blobs(dtype=torch.float64)
    history = fit(initialised(build, 0), x, y, Recipe(2, 1e-12), penalty=lambda *_: torch.ones(()))
    torch.testing.assert_close(history.loss, history.cross_entropy + 1)
    plain = fit(initialised(build, 0), x, y, Recipe(2, 1e-12))
    torch.testing.assert_close(history.cross_entropy, plain.loss, rtol=1e-9, atol=0)
    assert torch.equal(plain.loss, plain.cross_entropy)


def test_it_stops_at_a_cross_entropy_with_its_schedule_unchanged() -> None:
    x, y = blobs(dtype=torch.float64)
    recipe = Recipe(epochs=20, lr=0.05, batch_size=20, schedule="cosine")
    steps = range(0, 61, 3)
    whole = fit(initialised(build, 1), x, y, recipe, snapshots=steps)
    level = float(whole.cross_entropy[6])
    assert whole.cross_entropy[5] > level
    early = initialised(build, 1)
    history = fit(early, x, y, recipe, until=level, snapshots=steps)
    assert torch.equal(history.loss, whole.loss[:7])
    assert list(history.snapshots) == list(range(0, 22, 3))
    for name, value in early.state_dict().items():
        assert torch.equal(value, whole.snapshots[21][name])
        assert torch.equal(value, history.snapshots[21][name])
    assert not early.training


def test_a_penalty_does_not_count_where_it_stops() -> None:
    x, y = blobs(dtype=torch.float64)
    recipe, models = Recipe(epochs=9, lr=0.05), [initialised(build, 1) for _ in range(2)]
    plain = fit(models[0], x, y, recipe)
    level = float(plain.cross_entropy[4])
    history = fit(models[1], x, y, recipe, until=level, penalty=lambda *_: torch.ones(()))
    assert len(history.loss) == 5


@pytest.mark.parametrize(
    ("epochs", "sentence"),
    [
        (
            3,
            r"never came down to until = 0.001 in 3 epochs, it was \d.\d+ at its lowest",
        ),
        (0, r"never came down to until = 0.001 in 0 epochs: train for more epochs, or stop"),
    ],
)
def test_a_loss_that_is_never_reached_is_an_error(epochs, sentence) -> None:
    x, y = blobs(dtype=torch.float64)
    model, other = initialised(build, 1), initialised(build, 1)
    with pytest.raises(ValueError, match=sentence):
        fit(model, x, y, Recipe(epochs, 0.01), until=1e-3)
    # What was trained is kept.
    fit(other, x, y, Recipe(epochs, 0.01))
    assert torch.equal(model.logits.weight, other.logits.weight)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_curves_of_low_precision_are_sums_in_float32(dtype) -> None:
    # 4,000 samples with a loss of 33: their sum is beyond float16, and bfloat16 has three digits.
    n = 4000
    x, y = torch.zeros(n, 1, dtype=dtype), torch.arange(n) % 2
    model = nn.Linear(1, 2, dtype=dtype)
    with torch.no_grad():
        model.bias.copy_(torch.tensor([33.0, -33.0]))
    history = fit(model, x, y, Recipe(epochs=1, lr=1e-6, batch_size=7))
    assert history.loss.dtype == torch.float32
    assert float(history.loss) == pytest.approx(33, rel=1e-4)
    assert float(history.accuracy) == 0.5


# Reference networks ------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A data set of 40 points and recipes of a blink, with a cache of their own."""
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    x, y = blobs(40)
    monkeypatch.setitem(
        references.RECIPES,
        ("digits", "mlp"),
        references.Row(
            Recipe(30, 1e-2, 20, schedule="cosine"),
            (
                Recipe(1, 1e-3, 20, schedule="cosine"),
                Recipe(300, 1e-2, 20, schedule="cosine"),
            ),
            n_memorized=30,
        ),
    )
    return datasets.Dataset(x, y, x, y, "blobs", ("a", "b", "c"))


def same(one: nn.Module, other: nn.Module) -> bool:
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def files(tmp_path):
    return sorted((tmp_path / "networks").glob("*.pt"))


def counted(monkeypatch) -> list:
    fits = []
    true_fit = references.fit
    monkeypatch.setattr(references, "fit", lambda *a, **o: fits.append(1) or true_fit(*a, **o))
    return fits


def test_a_reference_is_trained_once(small, tmp_path, monkeypatch) -> None:
    fits = counted(monkeypatch)
    one, two = reference(small), reference(small)
    assert len(fits) == 1
    assert same(one, two)
    assert not one.training
    assert len(files(tmp_path)) == 1
    assert accuracy(one, small.x_train, small.y_train) > 0.9


def test_each_choice_is_a_network_of_its_own(small) -> None:
    first = reference(small)
    assert not same(first, reference(small, seed=1))
    assert not same(first, reference(small, "untrained"))
    assert not same(first, reference(small, "trained_small"))
    assert not same(first, reference(small, recipe=Recipe(2, 1e-2)))
    assert not same(first, reference(replace(small, y_train=small.y_train.flip(0))))
    assert same(first, reference(small))


def test_a_tensor_changed_in_place_is_noticed(small) -> None:
    first = reference(small)
    small.x_train[0] += 1
    assert not same(first, reference(small))


def test_untrained_is_step_zero_of_trained(small) -> None:
    assert same(reference(small, "untrained"), reference(small, step=0))
    assert reference_steps(small, "untrained") == (0,)


def test_untrained_has_no_other_step(small) -> None:
    for step in (2, "fitted"):
        with pytest.raises(
            ValueError, match="of the untrained network was not kept: it has step 0"
        ):
            reference(small, "untrained", step=step)
    with pytest.raises(ValueError, match="no reference model"):
        reference_steps(small, "untrained", model="resnet")


def test_a_recipe_without_epochs_keeps_the_start(small) -> None:
    assert reference_steps(small, recipe=Recipe(0, 1e-2)) == (0,)


def test_the_same_weights_bent_otherwise_are_another_network(small) -> None:
    def build(data):
        return MLP((4, 8, 3))

    relu = reference(small, model=build)

    def build(data):
        return MLP((4, 8, 3), torch.tanh)

    tanh = reference(small, model=build)
    assert not same(relu, tanh)

    def build(data):
        return MLP((4, 8, 3), torch.sin)

    assert not same(tanh, reference(small, model=build))


def test_a_builder_needs_no_name(small) -> None:
    build = functools.partial(lambda width, data: MLP((4, width, 3)), 5)
    assert reference(small, model=build).linear1.out_features == 5


def test_the_steps(small) -> None:
    steps = reference_steps(small)
    assert steps[0] == 0
    assert steps[1] == 2
    assert steps[-1] == 60
    assert list(steps) == sorted(set(steps))
    last = reference(small, step=steps[-1])
    assert same(last, reference(small))
    fitted = reference(small, step="fitted")
    assert any(same(fitted, reference(small, step=step)) for step in steps[1:])


def test_the_memorized_network_and_its_twin(small, monkeypatch) -> None:
    fits = counted(monkeypatch)
    own = reference_data(small, "memorized")
    assert len(own.x_train) == 30
    assert torch.equal(own.x_train, small.x_train[:30])
    assert torch.equal(own.y_train.bincount(), small.y_train[:30].bincount())
    assert not torch.equal(own.y_train, small.y_train[:30])
    net = reference(small, "memorized")
    # The first recipe of the fixture is too short: it was tried and the second one taken.
    assert len(fits) == 2
    assert accuracy(net, own.x_train, own.y_train) >= 0.99
    twin = reference_data(small, "trained_small")
    assert torch.equal(twin.x_train, own.x_train)
    assert torch.equal(twin.y_train, small.y_train[:30])
    # The twin takes the recipe that the memorized network needed.
    assert reference_steps(small, "trained_small")[-1] == reference_steps(small, "memorized")[-1]


def test_the_twin_trains_the_memorized_network_first(small) -> None:
    assert reference_steps(small, "trained_small")[-1] == 600


def test_a_builder_is_known_by_what_it_does(small, monkeypatch) -> None:
    fits = counted(monkeypatch)

    def tanh(data):
        return MLP((4, 8, 3), "tanh")

    reference(small, model=tanh)
    reference(small, model=tanh)
    assert len(fits) == 1

    def tanh(data):
        return MLP((4, 9, 3), "tanh")

    reference(small, model=tanh)
    assert len(fits) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-50],
        lambda raw: b"",
        lambda raw: raw[:500] + bytes([raw[500] ^ 1]) + raw[501:],
        lambda raw: b"0" * 64 + raw[64:],
    ],
    ids=["cut off", "empty", "one bit", "checksum"],
)
def test_a_damaged_file_is_made_anew(small, tmp_path, damage) -> None:
    first = reference(small)
    (path,) = files(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    assert same(first, reference(small))
    whole = path.read_bytes()
    assert storage.checksum(whole[64:]).encode() == whole[:64]


def test_no_folder_no_cache(small, monkeypatch) -> None:
    monkeypatch.setattr(storage, "cache", lambda: None)
    fits = counted(monkeypatch)
    assert same(reference(small), reference(small))
    assert len(fits) == 2


def test_a_full_disk_loses_no_network(small, monkeypatch) -> None:
    def full(path):
        raise OSError("no space left")

    monkeypatch.setattr(storage, "written", full)
    with pytest.warns(UserWarning, match="not kept for the next run: no space left"):
        net = reference(small)
    assert accuracy(net, small.x_train, small.y_train) > 0.9


def _train(data) -> None:
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    reference(data)


def test_two_processes_at_once(small, tmp_path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_train, args=(small,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(files(tmp_path)) == 1
    assert not list(tmp_path.rglob("*.part*"))
    assert same(reference(small), training.reference(small))


def test_the_sentences_of_reference(small, monkeypatch) -> None:
    with pytest.raises(ValueError, match="no kind 'fitted': choose one of trained, untrained"):
        reference(small, "fitted")
    with pytest.raises(ValueError, match="no reference model 'resnet': choose one of mlp, linear"):
        reference(small, model="resnet")
    with pytest.raises(
        ValueError, match=r"Step 7 of the trained network was not kept: choose .* 60"
    ):
        reference(small, step=7)
    with pytest.raises(ValueError, match="never reached a training accuracy of 0.99"):
        reference(small, step="fitted", recipe=Recipe(1, 1e-4))
    with pytest.raises(ValueError, match="must reach 0.99, so pass a recipe with more epochs"):
        reference(small, "memorized", recipe=Recipe(1, 1e-4))


def test_a_builder_that_keeps_its_network_gets_it_back_as_it_was(small) -> None:
    kept = initialised(lambda: MLP((4, 8, 3)), 7)
    before = kept.state_dict()["linear1.weight"].clone()
    nets = [reference(small, model=lambda data: kept, seed=seed) for seed in (0, 1)]
    assert torch.equal(kept.linear1.weight, before)
    assert not same(*nets)
    assert same(reference(small, "untrained", model=lambda data: kept), kept)


def test_a_frozen_part_stays_as_it_was_built(small) -> None:
    def whole(data):
        return MLP((4, 8, 3))

    def frozen(data):
        network = MLP((4, 8, 3))
        network.linear1.requires_grad_(False)
        return network

    nets = [reference(small, model=build) for build in (whole, frozen)]
    start = reference(small, "untrained", model=whole)
    assert torch.equal(nets[1].linear1.weight, start.linear1.weight)
    assert not torch.equal(nets[0].linear1.weight, start.linear1.weight)
    assert not torch.equal(nets[1].logits.weight, start.logits.weight)
    assert [weight.requires_grad for weight in nets[1].parameters()] == [False, False, True, True]


def test_the_linear_reference_is_one_matrix_and_the_others_are_not(small) -> None:
    x = torch.randn(200, 4, generator=torch.Generator().manual_seed(1))
    left = {}
    for model in ("linear", "mlp"):
        network = reference(small, model=model)
        layers = [layer for layer in network.children() if isinstance(layer, nn.Linear)]
        assert len(layers) == 3
        matrix, shift = torch.eye(4), torch.zeros(4)
        for layer in layers:
            matrix, shift = layer.weight @ matrix, layer.weight @ shift + layer.bias
        left[model] = (network(x) - (x @ matrix.T + shift)).abs().max() / network(x).abs().max()
    assert left["linear"] < 1e-5
    assert left["mlp"] > 0.1


def test_trained_long_is_trained_four_times_as_long(small) -> None:
    assert reference_steps(small, "trained_long")[-1] == 4 * 60
    assert reference_steps(small, "trained_long", recipe=Recipe(2, 1e-2, 20))[-1] == 4 * 4
    own = reference_data(small, "trained_long")
    assert torch.equal(own.y_train, small.y_train)
    by_hand = reference(small, recipe=Recipe(120, 1e-2, 20, schedule="cosine"))
    # The schedule is stretched over the longer run.
    assert same(reference(small, "trained_long"), by_hand)


@pytest.mark.parametrize("name", ["../../outside", "/etc/outside", "a/b", "..", "n" * 300])
def test_the_name_of_a_data_set_does_not_leave_the_folder(
    small, tmp_path, name, monkeypatch
) -> None:
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "one" / "cache"))
    named = replace(small, name=name)
    one = reference(named, recipe=Recipe(1, 1e-2))
    assert len(files(tmp_path / "one" / "cache")) == 1
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 1
    assert same(one, reference(named, recipe=Recipe(1, 1e-2)))


def test_a_schedule_of_ones_own_trains_a_reference(small) -> None:
    recipes = [Recipe(2, 1e-2, 20, schedule=f) for f in (lambda t: 1.0, lambda t: 1 - t)]
    assert not same(*(reference(small, recipe=recipe) for recipe in recipes))


def test_another_recipe_does_not_memorize_more_images(small) -> None:
    recipe = Recipe(300, 1e-2, 20)
    assert len(reference_data(small, "memorized", recipe=recipe).x_train) == 30
    assert len(reference_data(small, recipe=recipe, kind="trained").x_train) == 40
