"""Decision functions: planes and quadrics are known, torch.func is another way to the others."""

import copy
import re

import pytest
import torch
from torch import nn
from torch.func import jacrev
from torch.utils._python_dispatch import TorchDispatchMode

from companion import borrow
from companion.decision import DecisionFunction, logit_gap, logit_gaps
from companion.models import MLP, LeNet
from companion.training import initialised


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=dice(seed), dtype=torch.float64)


def affine():
    model = initialised(lambda: nn.Linear(5, 4).double(), 0)
    return model, draw(7, 5)


class Quadric(nn.Module):
    """f_j = x^T A_j x / 2 + b_j^T x."""

    def __init__(self):
        super().__init__()
        a = draw(3, 6, 6)
        self.a, self.b = nn.Parameter((a + a.mT) / 2), nn.Parameter(draw(3, 6, seed=1))

    def forward(self, x):
        return torch.einsum("nd,cde,ne->nc", x, self.a, x) / 2 + x @ self.b.T


class SoftLeNet(nn.Module):
    """A smooth one: the first layers of LeNet with softplus and means for maxima."""

    def __init__(self):
        super().__init__()
        smooth = nn.Softplus(beta=5)
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), smooth, nn.AvgPool2d(2), nn.Conv2d(4, 6, 3), smooth,
            nn.Flatten(), nn.Linear(24, 3),
        )  # fmt: skip

    def forward(self, x):
        return self.layers(x)


def networks():
    yield "tanh", MLP((5, 8, 8, 4), "tanh"), draw(6, 5)
    yield "softplus", MLP((5, 8, 8, 4), "softplus", beta=5.0), draw(6, 5)
    yield "convolutions", SoftLeNet(), draw(4, 1, 8, 8)


NETWORKS = {name: (net.double(), x) for name, net, x in networks()}


def one_by_one(what, model, x, own, rival):
    """what (jacrev, or that twice) of the decision function at each sample, in a loop."""
    found = []
    for at, i, j in zip(x, rival.tolist(), own.tolist(), strict=True):
        found.append(what(lambda z, i=i, j=j: model(z[None])[0, i] - model(z[None])[0, j])(at))
    return torch.stack(found).detach()


# --- closed forms --------------------------------------------------------------------------------


def test_an_affine_model_has_planes():
    model, x = affine()
    F = DecisionFunction(model, x)
    f, w = model(x).detach(), model.weight.detach()
    own, rival = f.topk(2, dim=1).indices.T
    assert torch.equal(F.own, own) and torch.equal(F.rival, rival)
    row = torch.arange(7)
    torch.testing.assert_close(F.value(x), f[row, rival] - f[row, own])
    for at in (x, x + 3):  # the same everywhere
        torch.testing.assert_close(F.gradient(at), w[rival] - w[own])
    v = draw(2, 7, 5, seed=3)
    assert torch.equal(F.hvp(x, v), torch.zeros_like(v))
    assert torch.equal(F.hvp(x, v[0]), torch.zeros_like(x))
    torch.testing.assert_close(F.hvp(x, v, h=0.1), torch.zeros_like(v), rtol=0, atol=1e-13)


def test_a_quadric_is_its_own_expansion():
    model, x = Quadric(), draw(7, 6, seed=2)
    F = DecisionFunction(model, x)
    a = (model.a[F.rival] - model.a[F.own]).detach()
    b = (model.b[F.rival] - model.b[F.own]).detach()
    torch.testing.assert_close(F.gradient(x), (a @ x[:, :, None])[:, :, 0] + b)
    v = draw(7, 6, seed=3)
    expected = (a @ v[:, :, None])[:, :, 0]
    torch.testing.assert_close(F.hvp(x, v), expected)
    # A difference of the gradients of a quadric is exact at every step, also a long one.
    for h in (1e-3, 0.5, 40):
        torch.testing.assert_close(F.hvp(x, v, h=h), expected, rtol=1e-9, atol=1e-9)
    around = F.taylor(x)
    series = around.value + (around.gradient * v).sum(1) + (v * around.hvp(v)).sum(1) / 2
    torch.testing.assert_close(F.value(x + v), series)


def test_a_difference_sees_the_kink_within_its_step():
    # F = |x_0| - 1 has slopes -1 and 1: two over the 2 h between them, times |v|.
    model = lambda x: torch.stack([0 * x[:, 0] + 1, x[:, 0].abs()], dim=1)  # noqa: E731
    x = torch.tensor([[0.05, 0.0], [0.5, 0.0]])
    F = DecisionFunction(model, x)
    v = torch.tensor([[3.0, 0.0], [3.0, 0.0]])
    assert torch.equal(F.hvp(x, v), torch.zeros_like(x))
    torch.testing.assert_close(F.hvp(x, v, h=0.1), torch.tensor([[30.0, 0.0], [0.0, 0.0]]))


def test_a_step_is_as_long_whatever_the_length_of_the_direction():
    model, x = NETWORKS["tanh"]
    F = DecisionFunction(model, x)
    v = draw(6, 5, seed=4)
    assert torch.equal(F.hvp(x, 0 * v, h=0.1), torch.zeros_like(x))
    torch.testing.assert_close(F.hvp(x, -50 * v, h=0.1), -50 * F.hvp(x, v, h=0.1))


def test_the_logit_gap_is_the_rivals_lead():
    logits = torch.tensor([[1.0, 4.0, 2.0], [5.0, 0.0, 3.0]])
    y = torch.tensor([1, 2])
    assert logit_gap(logits, y).tolist() == [-2.0, 2.0]
    inf = torch.inf
    assert logit_gaps(logits, y).tolist() == [[-3.0, -inf, -2.0], [2.0, -3.0, -inf]]
    model = lambda x: x  # noqa: E731
    assert torch.equal(DecisionFunction(model, logits).value(logits), torch.tensor([-2.0, -2.0]))


# --- the pair ------------------------------------------------------------------------------------


def test_rivals_are_ranked_where_the_function_was_made():
    logits = torch.tensor([[1.0, 4.0, 2.0, 0.0], [9.0, 9.0, -torch.inf, 9.0]])
    F = DecisionFunction(lambda x: x, logits)
    assert F.own.tolist() == [1, 0]
    assert F.rivals.tolist() == [[2, 0, 3], [1, 3, 2]]
    assert F.rival.tolist() == [2, 1]
    assert F.values(logits).tolist() == [[-2.0, -3.0, -4.0], [0.0, 0.0, -torch.inf]]
    # Beyond the boundary it is the same function, and positive.
    behind = torch.tensor([[1.0, 4.0, 7.0, 9.0], [9.0, 5.0, 0.0, 0.0]])
    assert F.value(behind).tolist() == [3.0, -4.0]
    other = DecisionFunction(lambda x: x, logits, pair=(torch.tensor([0, 1]), 3))
    assert other.rivals.tolist() == [[1, 2, 0], [0, 1, 2]]
    assert other.value(logits).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_other_side_sees_everything_negated(name):
    model, x = NETWORKS[name]
    F = DecisionFunction(model, x)
    G = DecisionFunction(model, x, pair=(F.own, F.rival))
    v = draw(2, *x.shape, seed=5)
    for ours, theirs in (
        (F.value(x), G.value(x)),
        (F.gradient(x), G.gradient(x)),
        (F.hvp(x, v), G.hvp(x, v)),
        (F.hvp(x, v, h=0.3), G.hvp(x, v, h=0.3)),
    ):
        assert ours.abs().max() > 0 and torch.equal(ours, -theirs)


def test_two_numbers_are_one_pair_for_all():
    model, x = NETWORKS["tanh"]
    same = torch.full((6,), 3), torch.full((6,), 1, dtype=torch.int32)
    assert torch.equal(
        DecisionFunction(model, x, pair=(3, 1)).gradient(x),
        DecisionFunction(model, x, pair=same).gradient(x),
    )
    f = model(x).detach()
    assert torch.equal(DecisionFunction(model, x, pair=(3, 1)).value(x), f[:, 3] - f[:, 1])


# --- against torch.func --------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_derivatives_are_those_of_torch(name):
    model, x = NETWORKS[name]
    F = DecisionFunction(model, x)
    assert (F.value(x) < 0).all()
    slope = one_by_one(jacrev, model, x, F.own, F.rival)
    torch.testing.assert_close(F.gradient(x), slope)
    for k, rival in enumerate(F.rivals.T):
        each = one_by_one(jacrev, model, x, F.own, rival)
        torch.testing.assert_close(F.gradients(x)[:, k], each)
    v = draw(3, *x.shape, seed=6)
    H = one_by_one(lambda f: jacrev(jacrev(f)), model, x, F.own, F.rival)
    H = H.reshape(len(x), x[0].numel(), -1)
    expected = torch.einsum("nde,kne->knd", H, v.flatten(2)).reshape(v.shape)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(F.hvp(x, v), expected)
    # The error of a central difference falls with the square of its step.
    far, near = ((F.hvp(x, v, h=h) - expected).abs().max() for h in (1e-2, 1e-3))
    assert 80 < far / near < 120


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
@pytest.mark.parametrize("name", NETWORKS)
def test_forward_over_reverse_agrees(name):
    model, x = NETWORKS[name]
    F = DecisionFunction(model, x)
    v = draw(*x.shape, seed=7)

    def total(z):
        f = model(z)
        return (f.gather(1, F.rival[:, None]) - f.gather(1, F.own[:, None])).sum()

    with torch.no_grad():
        _, product = torch.func.jvp(torch.func.grad(total), (x,), (v,))
    torch.testing.assert_close(F.hvp(x, v), product)


# --- one answer, however it is asked -------------------------------------------------------------


def answers(F, x):
    v = draw(2, *x.shape, seed=8)
    value, gradient = F.value_and_gradient(x)
    values, gradients = F.values_and_gradients(x, 2)
    around, rough = F.taylor(x), F.taylor(x, h=0.2)
    return {
        "value": [value, F.value(x), around.value, rough.value],
        "gradient": [gradient, F.gradient(x), around.gradient, rough.gradient],
        "values": [values, F.values(x)[:, :2]],
        "gradients": [gradients, F.gradients(x, 2), F.gradients(x)[:, :2]],
        "hvp": [F.hvp(x, v), around.hvp(v), torch.stack([around.hvp(one) for one in v])],
        "difference": [F.hvp(x, v, h=0.2), rough.hvp(v), torch.stack([rough.hvp(a) for a in v])],
        "rivals": [F.rivals],
    }


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("chunk", [1, 3, None, "budget"])
def test_chunks_change_nothing(name, chunk, monkeypatch):
    model, x = NETWORKS[name]
    whole = answers(DecisionFunction(model, x, chunk=len(x)), x)
    if chunk == "budget":
        monkeypatch.setattr(borrow, "BUDGET", 2 * 16 * x[0].numel() * 3)
        chunk = None
    found = answers(DecisionFunction(model, x, chunk=chunk), x)
    for what, ways in found.items():
        for way in ways:
            torch.testing.assert_close(way, whole[what][0], rtol=1e-10, atol=1e-12)


def test_several_directions_take_smaller_chunks(monkeypatch):
    model, x = NETWORKS["tanh"]
    sizes = []

    def watched(z):
        sizes.append(len(z))
        return model(z)

    monkeypatch.setattr(borrow, "BUDGET", 2 * 16 * 5 * 6)
    F = DecisionFunction(watched, x)
    sizes.clear()
    F.gradient(x)
    F.gradients(x)
    F.hvp(x, x)
    assert sizes == [6] + [2] * 3 + [3] * 2


@pytest.mark.parametrize("grad", [True, False])
def test_results_carry_no_graph_and_x_stays_as_it_is(grad):
    model, x = NETWORKS["tanh"]
    expected = answers(DecisionFunction(model, x), x)
    x = x.clone().requires_grad_()
    with torch.set_grad_enabled(grad):
        for what, ways in answers(DecisionFunction(model, x), x).items():
            assert not any(way.requires_grad for way in ways)
            torch.testing.assert_close(ways, expected[what])
    assert x.requires_grad and x.grad is None and x.is_leaf


def test_the_model_comes_back_after_every_call():
    net = nn.Sequential(nn.Linear(5, 8), nn.Dropout(), nn.Tanh(), nn.Linear(8, 3)).double()
    x = draw(6, 5)
    net(x).sum().backward()
    before = [p.grad.clone() for p in net.parameters()]
    F = DecisionFunction(net, x)
    around = F.taylor(x)
    for _ in range(2):
        found = answers(F, x) | {"late": [around.hvp(x)]}
        assert net.training and all(p.requires_grad for p in net.parameters())
        assert all(torch.equal(p.grad, g) for p, g in zip(net.parameters(), before, strict=True))
    # F goes with its model: what is trained in between shows.
    with torch.no_grad():
        net[3].weight *= 2
        net[3].bias *= 2
    torch.testing.assert_close(F.value(x), 2 * found["value"][0])


class Host(TorchDispatchMode):
    """What reads values back from a device, as far as a CPU shows it."""

    def __init__(self):
        super().__init__()
        self.read = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.name() in ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal"):
            self.read.append(func.name())
        return func(*args, **kwargs or {})


@pytest.mark.parametrize("name", NETWORKS)
def test_no_call_waits_for_the_device(name):
    model, x = NETWORKS[name]
    F = DecisionFunction(model, x)
    with Host() as host:
        answers(F, x)
    assert host.read == []
    with Host() as host:
        DecisionFunction(model, x)
    assert host.read


# --- what is to be written on it -----------------------------------------------------------------


def deepfool(model, x, steps=50):
    F, delta = DecisionFunction(model, x), torch.zeros_like(x)
    for _ in range(steps):
        values, normals = F.values_and_gradients(x + 1.02 * delta)
        lengths = normals.flatten(2).norm(dim=2)
        nearest = (values.abs() / lengths).argmin(dim=1, keepdim=True)
        step = -values / lengths.square() * (values < 0).all(dim=1, keepdim=True)
        delta = delta + torch.einsum(
            "nk,nkd->nd", step.gather(1, nearest), normals.take_along_dim(nearest[:, :, None], 1)
        )
    return 1.02 * delta


def test_deepfool_needs_values_and_gradients():
    model, x = affine()
    f, w = model(x).detach(), model.weight.detach()
    own = f.argmax(dim=1)
    far = (f.amax(dim=1, keepdim=True) - f) / (w[own][:, None] - w).norm(dim=2)
    margin = far.nan_to_num(torch.inf).amin(dim=1)
    torch.testing.assert_close(deepfool(model, x).norm(dim=1), 1.02 * margin)


def test_lanczos_needs_directions_one_after_another():
    model, x = Quadric(), draw(7, 6, seed=2)
    F = DecisionFunction(model, x)
    around, q = F.taylor(x), [nn.functional.normalize(draw(7, 6, seed=9), dim=1)]
    for _ in range(5):
        w = around.hvp(q[-1])
        for _ in range(2):
            for old in q:
                w = w - (w * old).sum(dim=1, keepdim=True) * old
        q.append(nn.functional.normalize(w, dim=1))
    basis = torch.stack(q)
    small = torch.einsum("ind,jnd->nij", basis, F.hvp(x, basis))
    a = (model.a[F.rival] - model.a[F.own]).detach()
    torch.testing.assert_close(torch.linalg.eigvalsh(small), torch.linalg.eigvalsh(a))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_results_have_the_dtype_of_the_input(dtype):
    model, x = copy.deepcopy(NETWORKS["tanh"][0]).to(dtype), draw(6, 5).to(dtype)
    found = answers(DecisionFunction(model, x), x)
    rivals = found.pop("rivals")
    assert {way.dtype for ways in found.values() for way in ways} == {dtype}
    assert rivals[0].dtype == torch.int64
    # A direction whose square overflows is a direction all the same.
    v = torch.full_like(x, 300)
    assert DecisionFunction(model, x).hvp(x, v, h=0.5).isfinite().all()


def test_images_with_kinks_pass():
    model, x = LeNet((1, 8, 8), 10), torch.rand(4, 1, 8, 8, generator=dice())
    F = DecisionFunction(model, x)
    assert F.gradients(x, 3).shape == (4, 3, 1, 8, 8)
    assert F.hvp(x, x.expand(2, -1, -1, -1, -1)).abs().max() == 0


# --- the sentences -------------------------------------------------------------------------------


def made(x=None, model=None, **given):
    x = torch.rand(4, 3, generator=dice()) if x is None else x
    return DecisionFunction(model or MLP((3, 4, 2)), x, **given)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"x": torch.rand(0, 3)}, "x has shape (0, 3): pass samples (n, ...), at least one."),
        ({"x": torch.tensor(1.0)}, "x has shape (): pass samples"),
        ({"chunk": 0}, "chunk = 0: it counts samples, so pass 1 or more, or None."),
        ({"model": lambda x: x[:, :1]}, "The logits have shape (4, 1): a class and its rival"),
        ({"model": lambda x: x[:, :, None]}, "The logits have shape (4, 3, 1): a class and"),
        ({"model": lambda x: x[:, 0]}, "The logits have shape (4,): a class and its rival"),
        ({"model": lambda x: x * torch.nan}, "The model answers NaN for 4 of 4 samples"),
        ({"model": lambda x: torch.rand(len(x), 2)}, "two different answers to the same input"),
        ({"pair": (1, 1)}, "The rival is the own class for 4 of 4 samples: a class has no"),
        ({"pair": (torch.tensor([0, 1, 1, 0]), 1)}, "The rival is the own class for 2 of 4"),
        ({"pair": (2, 0)}, "The rival class goes from 2 to 2 and the model gives 2 logits: pass"),
        ({"pair": (0, torch.tensor([0, 1, -1, 0]))}, "The own class goes from -1 to 1 and the"),
        ({"pair": (0, torch.ones(4, 1).long())}, "The own class has shape (4, 1) for 4 samples"),
        ({"pair": (torch.ones(3).long(), 0)}, "The rival class has shape (3,) for 4 samples"),
    ],
)
def test_the_sentences(as_a_user, given, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        made(**given)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"x": torch.ones(4, 3, dtype=torch.uint8)}, "x is torch.uint8: F is differentiated in x"),
        ({"x": [[0.1, 0.2, 0.3]]}, "x is a list: pass a tensor, torch.as_tensor(x)."),
        ({"x": torch.rand(2, 3).numpy()}, "x is a ndarray: pass a tensor"),
        ({"pair": (1.0, 0)}, "The rival class is given as float: pass a class number, or an int"),
        ({"pair": (torch.rand(4), 0)}, "The rival class is given as torch.float32: pass a class"),
        ({"pair": (1, True)}, "The own class is given as bool: pass a class number"),
    ],
)
def test_what_is_of_another_kind_is_named(as_a_user, given, sentence):
    with pytest.raises(TypeError, match=re.escape(sentence)):
        made(**given)


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda F, x: F.value(x[:2]), "x has shape (2, 3), and the pairs were chosen at (4, 3)"),
        (lambda F, x: F.gradient(x[None]), "x has shape (1, 4, 3), and the pairs were chosen"),
        (lambda F, x: F.gradients(x, 0), "k = 0: there are 1 rivals, so pass a number from 1 to"),
        (lambda F, x: F.gradients(x, 2), "k = 2: there are 1 rivals"),
        (lambda F, x: F.hvp(x, x[0]), "v has shape (3,) and x (4, 3): one direction per point"),
        (lambda F, x: F.taylor(x).hvp(x[:2]), "v has shape (2, 3) and x (4, 3): one direction"),
        (lambda F, x: F.hvp(x, x, h=0), "h = 0: a step has a length, so pass a number above 0"),
        (lambda F, x: F.taylor(x, h=-1.0), "h = -1.0: a step has a length"),
        (lambda F, x: F.hvp(x, x, h=torch.nan), "h = nan: a step has a length"),
    ],
)
def test_what_does_not_fit_the_function_is_named(as_a_user, ask, sentence):
    x = torch.rand(4, 3, generator=dice())
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ask(made(x), x)


def test_a_model_without_slope_is_named():
    F = made(model=lambda x: x.detach())
    assert F.value(torch.ones(4, 3)).tolist() == [0.0] * 4
    with pytest.raises(ValueError, match="The logits have no derivative with respect to x"):
        F.gradient(torch.ones(4, 3))


@pytest.mark.parametrize(
    ("logits", "y", "sentence"),
    [
        (torch.ones(3, 1), torch.zeros(3).long(), "The logits have shape (3, 1): a class and"),
        (torch.ones(3, 2, 1), torch.zeros(3).long(), "The logits have shape (3, 2, 1): a class"),
        (torch.ones(3, 2), torch.zeros(3, 1).long(), "y has shape (3, 1) for 3 rows of logits"),
        (torch.ones(3, 2), torch.zeros(2).long(), "y has shape (2,) for 3 rows of logits"),
    ],
)
def test_logits_and_labels_that_would_broadcast_are_named(as_a_user, logits, y, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        logit_gap(logits, y)
