"""What a map does to a class in its own unit, on a torus, under attack, and when to stop a rival.

Headline numbers of the isometric chapter are computed a second time with NumPy, SciPy and loops.
"""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.spatial.distance
import torch
from torch import nn
from torch.nn import functional

from companion import attacks, datasets, isometry, training
from companion.isometry.tube import change_distance
from companion.training import stopping


def three_classes(seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(30, 6, generator=generator, dtype=torch.float64)
    z = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    return x, z, torch.arange(30) % 3


def stack(seed, inputs=64, width=20, classes=10, layers=2):
    return training.initialised(
        lambda: isometry.IsometricStack(inputs, [(width,) * layers], (classes,)), seed
    )


# ---- the unit of a representation -----------------------------------------------------------


def test_the_mean_ratio_is_that_of_scipys_distances():
    x, z, y = three_classes()
    ratios = []
    for c in range(3):
        own = (y == c).numpy()
        before, after = (scipy.spatial.distance.pdist(a.numpy()[own]) for a in (x, z))
        ratios.extend(after / before)
    assert float(isometry.mean_ratio(x, z, y)) == pytest.approx(np.mean(ratios), rel=1e-9)


def test_residuals_are_those_of_scipys_procrustes():
    x, z, y = three_classes(1)
    found = isometry.class_residuals(x, z, y)
    for c in range(3):
        own = y == c
        wide = functional.pad(z[own], (0, 2)).numpy()
        *_, disparity = scipy.spatial.procrustes(x[own].numpy(), wide)
        assert float(found[c]) == pytest.approx(disparity, rel=1e-9)


def test_the_size_of_a_class_counts_only_without_scale():
    x, _, y = three_classes(2)
    turn = torch.from_numpy(scipy.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0])
    assert float(isometry.class_residuals(x, 3 * x @ turn + 1, y).max()) < 1e-12
    residual = isometry.class_residuals(x, 3 * x @ turn + 1, y, scale=False)
    torch.testing.assert_close(residual, torch.full((3,), 4.0, dtype=torch.float64))


def test_sentences_of_the_unit():
    x = torch.tensor([[0.0], [1.0]])
    with pytest.raises(ValueError, match="^no two of the 2 samples have one label, but the unit"):
        isometry.mean_ratio(x, x, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="^1 pairs of one class coincide in x, so that their"):
        isometry.mean_ratio(0 * x, x, torch.tensor([0, 0]))


def test_along_over_normal_is_what_a_jacobian_gives():
    net = stack(3, inputs=5, width=7, classes=3).double()
    x, y = three_classes(3)[0][:, :5], torch.arange(30) % 3
    jacobian = torch.func.vmap(torch.func.jacrev(lambda p: net.tap(0, p[None])[0]))(x)
    along, off = [], []
    for k in range(len(x)):
        same = [j for j in range(len(x)) if y[j] == y[k] and j != k]
        nearest = min(same, key=lambda j: float((x[j] - x[k]).norm()))
        way = x[nearest] - x[k]
        second, first = net(x[k : k + 1])[0].argsort()[-2:]
        point = x[k].clone().requires_grad_()
        f = net(point[None])[0]
        (normal,) = torch.autograd.grad(f[second] - f[first], point)
        along.append(float((jacobian[k] @ way).detach().norm() / way.norm()))
        off.append(float((jacobian[k] @ normal).detach().norm() / normal.norm()))
    middle = [sorted(found)[(len(x) - 1) // 2] for found in (along, off)]
    found = isometry.along_over_normal(net, x, y, layer="tap1")
    assert float(found) == pytest.approx(middle[0] / middle[1], rel=1e-6)


# ---- the torus ------------------------------------------------------------------------------


def test_the_way_to_a_change_of_label_is_the_shorter_way_round():
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    found = change_distance(labels, 10.0)
    changes = 3.5, 9.5
    for k, way in enumerate(found):
        by_hand = min(min(abs(k - c), 10 - abs(k - c)) for c in changes)
        assert float(way) == pytest.approx(by_hand)
    assert change_distance(torch.zeros(4, dtype=torch.int64), 1.0).isinf().all()


class Widened(nn.Module):
    """Keeps the angle along the torus, moves twice as far round the tube; four bands."""

    def __init__(self):
        super().__init__()
        self.tap = nn.Identity()

    def forward(self, x):
        ring = x[:, :2].norm(dim=1)
        t = torch.atan2(x[:, 2], ring - 1)
        self.tap(torch.stack([2 * 0.66 * t, 3 * torch.atan2(x[:, 1], x[:, 0])], dim=1))
        edges = torch.arange(4) * math.pi / 2 + math.pi / 4
        return (t[:, None] - edges).cos()


def test_stretches_on_the_torus_are_those_of_a_map_known_by_formula():
    found = isometry.tube_stretches(Widened(), layer="tap", places=(0.3, 2.0), count=80)
    t = 2 * math.pi * (torch.arange(80) + 0.5) / 80
    torch.testing.assert_close(found.around, torch.full((160,), 2.0), rtol=1e-4, atol=1e-4)
    along = 3 / (1 + 0.66 * t.cos())
    torch.testing.assert_close(found.along, along.repeat(2), rtol=1e-4, atol=1e-4)
    to_change = torch.stack([(t - k * math.pi / 2).abs() for k in range(5)]).amin(dim=0)
    torch.testing.assert_close(found.distance, 0.66 * to_change.repeat(2), rtol=1e-3, atol=1e-4)
    assert repr(found) == "TubeStretches of 160 points"


def test_a_penalty_on_the_circles_moves_each_of_them_rigidly():
    """Formula (1) at zero is a rigid motion of each class: so with some room for a short run."""
    data, left = datasets.linked_circles(points=40), {}
    for beta, seed in itertools.product((None, 0, 10), range(3)):
        net = stack(seed, inputs=3, classes=2, layers=5)
        if beta is not None:
            penalty = isometry.isometry_penalty(beta, "tap1")
            training.fit(net, data.x_train, data.y_train, training.Recipe(150, 1e-2),
                         penalty=penalty, seed=seed)  # fmt: skip
        with torch.no_grad():
            z = net.tap(0, data.x_test)
        left[beta, seed] = float(isometry.class_residuals(data.x_test, z, data.y_test).mean())
    for seed in range(3):
        assert left[10, seed] < 0.025 and left[10, seed] < left[None, seed] < 0.1
        assert left[0, seed] > 0.25


# ---- attacks --------------------------------------------------------------------------------


def digits(n=120):
    data = datasets.load("digits").flat()
    return data, data.x_test[:n], data.y_test[:n]


def test_withstood_is_the_worse_of_two_attacks_image_by_image():
    data, x, y = digits()
    net = stack(0)
    training.fit(net, data.x_train, data.y_train, training.Recipe(10, 3e-3, 100))
    right = {}
    for loss in ("cross_entropy", "logit_gap"):
        worst = attacks.pgd(net, x, y, eps=0.1, norm="linf", steps=10, bounds=(0, 1), loss=loss)
        right[loss] = [
            int(net(row[None]).argmax()) == int(c) for row, c in zip(worst, y, strict=True)
        ]
    both = [a and b for a, b in zip(*right.values(), strict=True)]
    found = attacks.withstood(net, x, y, eps=0.1, steps=10, bounds=(0, 1))
    assert found.tolist() == both and 0 < sum(both) < len(both)
    alone = attacks.withstood(net, x, y, eps=0.1, steps=10, bounds=(0, 1), losses=["logit_gap"])
    assert alone.tolist() == right["logit_gap"]


def test_each_loss_can_be_the_one_that_fells_an_image():
    def model(x):
        """Sure of class 0 within a plateau of the cross-entropy, whose gap still slopes."""
        return torch.stack([200 - 200 * x[:, 0], 0 * x[:, 0]], dim=1)

    x, y = torch.zeros(1, 1), torch.tensor([0])
    how = dict(eps=1.5, steps=10)
    assert attacks.withstood(model, x, y, losses=["cross_entropy"], **how).tolist() == [True]
    assert attacks.withstood(model, x, y, **how).tolist() == [False]


def test_without_a_budget_it_is_the_accuracy():
    _, x, y = digits()
    net = stack(5)
    share = attacks.withstood(net, x, y, eps=0).double().mean()
    assert float(share) == training.accuracy(net, x, y)


@pytest.mark.parametrize("losses", [(), "cross_entropy"])
def test_the_sentence_for_no_loss(losses):
    with pytest.raises(ValueError, match="^losses = .*: each attack climbs one, so pass a"):
        attacks.withstood(
            nn.Identity(), torch.zeros(1, 2), torch.tensor([0]), eps=1, losses=losses
        )


# ---- a rival that stopped -------------------------------------------------------------------


def by_loops(net, x, y):
    with torch.no_grad():
        return -np.mean([float(net(x[k : k + 1]).log_softmax(1)[0, y[k]]) for k in range(len(y))])


def test_the_mean_loss_is_that_of_the_network_as_it_stands():
    _, x, y = digits(40)
    net = stack(1)
    assert training.mean_loss(net, x, y) == pytest.approx(by_loops(net, x, y), rel=1e-6)


def test_a_network_is_stopped_at_the_first_look_below_the_loss():
    data = datasets.load("digits").flat()
    x, y, recipe = data.x_train[:100], data.y_train[:100], training.Recipe(30, 3e-3, 10)
    net, twin = stack(2), stack(2)
    steps = training.fit_to_loss(net, x, y, recipe, loss=0.5, seed=7)
    history = training.fit(twin, x, y, recipe, seed=7, snapshots=range(steps + 1))
    losses = []
    for step in range(steps + 1):
        twin.load_state_dict(history.snapshots[step])
        losses.append(by_loops(twin, x, y))
    assert losses[-1] <= 0.5 < min(losses[:-1])
    assert all(map(torch.equal, net.state_dict().values(), twin.state_dict().values()))
    assert not net.training


def test_fewer_looks_stop_no_earlier_and_at_a_look():
    data = datasets.load("digits").flat()
    x, y, recipe = data.x_train[:300], data.y_train[:300], training.Recipe(30, 3e-3, 30)
    often, seldom = (
        training.fit_to_loss(stack(2), x, y, recipe, loss=0.5, looks=looks) for looks in (10, 2)
    )
    assert often <= seldom <= often + 5 and seldom % 5 == 0


def test_looks_that_cannot_decide_are_not_taken(monkeypatch):
    """The mean over all samples is dear: far above the loss the batches that passed suffice."""
    looks = []

    def counted(model, x, y):
        looks.append(mean_loss(model, x, y))
        return looks[-1]

    mean_loss = training.mean_loss
    monkeypatch.setattr(stopping, "mean_loss", counted)
    data = datasets.load("digits").flat()
    x, y, recipe = data.x_train[:300], data.y_train[:300], training.Recipe(30, 3e-3, 30)
    steps = training.fit_to_loss(stack(2), x, y, recipe, loss=0.2)
    assert looks[-1] <= 0.2 < min(looks[:-1])
    assert max(looks[1:]) < 0.8 and 2 < len(looks) < steps / 2


def test_a_run_that_stops_leaves_the_global_random_numbers_as_they_were():
    x, y = torch.tensor([[-1.0], [1.0]] * 20), torch.tensor([0, 1] * 20)
    net = nn.Sequential(nn.Dropout(0.1), nn.Linear(1, 2))
    before = torch.random.get_rng_state()
    training.fit_to_loss(net, x, y, training.Recipe(50, 0.1, 10), loss=0.3, seed=3)
    assert torch.equal(before, torch.random.get_rng_state())


def test_sentences_of_stopping():
    x, y = torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1])
    fit = training.fit_to_loss
    with pytest.raises(ValueError, match="^schedule = 'cosine': a run that stops earlier would"):
        fit(nn.Linear(1, 2), x, y, training.Recipe(2, 0.1, schedule="cosine"), loss=0.1)
    with pytest.raises(ValueError, match="^looks = 0: the loss is looked at once an epoch"):
        fit(nn.Linear(1, 2), x, y, training.Recipe(2, 0.1), loss=0.1, looks=0)
    with pytest.raises(ValueError, match="^y holds labels from 0 to 2 and the model gives 2"):
        training.mean_loss(nn.Linear(1, 2), x, 2 * y)
    with pytest.raises(ValueError, match=r"^The logits have shape \(2, 1\) for 2 samples"):
        training.mean_loss(nn.Linear(1, 1), x, y)
    with pytest.raises(ValueError, match="^loss = 0: the cross-entropy to stop at is a positive"):
        fit(nn.Linear(1, 2), x, y, training.Recipe(2, 0.1), loss=0)
    said = (
        r"^The mean cross-entropy of all samples never came down to loss = 1e-05 in 2 epochs, it "
    )
    with pytest.raises(ValueError, match=said):
        fit(nn.Linear(1, 2), x, y, training.Recipe(2, 0.1), loss=1e-5)


def test_a_loss_that_only_the_last_network_reaches_is_reached():
    """The mean over the last epoch is above it still, since the network learned in it."""
    x, y = torch.tensor([[-1.0], [1.0]] * 20), torch.tensor([0, 1] * 20)
    recipe = training.Recipe(1, 0.1, batch_size=10)
    net = training.initialised(lambda: nn.Linear(1, 2), 0)
    history = training.fit(net, x, y, recipe)
    last = training.mean_loss(net, x, y)
    assert last < history.cross_entropy[-1]
    net = training.initialised(lambda: nn.Linear(1, 2), 0)
    assert training.fit_to_loss(net, x, y, recipe, loss=last + 1e-6) == 4


# ---- the convolutional stack ----------------------------------------------------------------


def test_the_convolutional_stack_is_what_its_parts_make():
    net = isometry.ConvolutionalStack((3, 8, 12), 4, channels=(2, 5), widths=(6, 7)).double()
    x = torch.randn(3, 3, 8, 12, dtype=torch.float64)
    first, second = (layer for layer in net.front if isinstance(layer, nn.Conv2d))
    z = functional.max_pool2d(functional.conv2d(x, first.weight, first.bias, padding=1).relu(), 2)
    z = functional.max_pool2d(
        functional.conv2d(z, second.weight, second.bias, padding=1).relu(), 2
    )
    block = net.stack.block1
    z = (z.flatten(1) @ block.linear1.weight.T + block.linear1.bias).tanh()
    z = (z @ block.linear2.weight.T + block.linear2.bias).tanh()
    logits = z @ net.stack.readout.weight.T + net.stack.readout.bias
    torch.testing.assert_close(net(x), logits)
    torch.testing.assert_close(net(x.flatten(1)), logits)
