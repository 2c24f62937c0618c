"""The networks of the book, and the record of their layers."""

import copy

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from companion.models import MLP, LeNet, recorded, representations


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", torch.relu),
        ("leaky_relu", lambda t: torch.where(t > 0, t, 0.2 * t)),
        ("abs", torch.abs),
        ("softplus", lambda t: torch.log1p(torch.exp(3 * t)) / 3),
        ("tanh", torch.tanh),
        ("sigmoid", lambda t: 1 / (1 + torch.exp(-t))),
        ("identity", lambda t: t),
        (torch.sin, torch.sin),
    ],
)
def test_an_mlp_is_its_formula(activation, function) -> None:
    net = MLP((6, 5, 4, 3), activation, beta=3.0, slope=0.2, dtype=torch.float64)
    x = draw(7, 2, 3).double()
    z = x.flatten(1)
    for linear, act in ((net.linear1, function), (net.linear2, function), (net.logits, None)):
        z = z @ linear.weight.T + linear.bias
        z = z if act is None else act(z)
    torch.testing.assert_close(net(x), z, rtol=1e-12, atol=1e-12)  # a few float64 roundings


def test_an_mlp_without_bias_maps_zero_to_zero() -> None:
    assert not MLP((4, 3, 2), bias=False)(torch.zeros(1, 4)).any()


def test_a_network_without_hidden_layer_is_linear() -> None:
    assert [name for name, _ in MLP((4, 2)).named_children()] == ["logits"]


@pytest.mark.parametrize("sizes", [(), (3,), (3, 0, 2)])
def test_the_sentence_for_no_network(sizes) -> None:
    with pytest.raises(
        ValueError, match=r"describes no network: give at least two positive widths"
    ):
        MLP(sizes)


def test_the_sentence_for_an_unknown_activation() -> None:
    with pytest.raises(ValueError, match=r"no activation 'rellu': choose one of relu, leaky_relu"):
        MLP((2, 2, 2), "rellu")


@pytest.mark.parametrize(
    ("shape", "widths"),
    [
        ((1, 8, 8), (128, 64, 10)),
        ((1, 28, 28), (256, 120, 84, 10)),
        ((3, 32, 32), (400, 120, 84, 10)),
        ((2, 12, 16), (32 * 3 * 4, 64, 10)),
    ],
)
def test_lenet_has_the_widths_of_the_design(shape, widths) -> None:
    net = LeNet(shape, 10)
    linears = [module for module in net.children() if isinstance(module, nn.Linear)]
    assert tuple(linear.in_features for linear in linears) == widths[:-1]
    assert net(torch.zeros(2, *shape)).shape == (2, 10)
    names = list(representations(net, torch.zeros(2, *shape)))
    assert names[:7] == ["conv1", "act1", "pool1", "conv2", "act2", "pool2", "linear1"]
    assert names[-1] == "logits"


@pytest.mark.parametrize("shape", [(1, 7, 28), (8, 8)])
def test_the_sentence_for_an_image_that_does_not_fit(shape) -> None:
    with pytest.raises(ValueError, match="with a smallest side of 8, so pad or enlarge"):
        LeNet(shape, 10)


class Block(nn.Module):
    """Reuses a module, calls functions, and adds a skip connection."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.relu = nn.ReLU()

    def forward(self, x):
        h = self.relu(self.linear(x))
        h = self.relu(self.linear(h))
        return functional.softplus(h) + x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block()
        self.head = nn.Sequential(nn.Linear(3, 2), nn.Sigmoid())
        self.weight = nn.Parameter(torch.ones(2, 2))

    def forward(self, x):
        return functional.linear(torch.tanh(self.head(self.block(x))), self.weight) * 2


def test_call_order_reused_functional_and_skip() -> None:
    net, x = Net(), draw(4, 3)
    record = representations(net, x)
    assert list(record) == [
        "block.linear",
        "block.relu",
        "block.linear:2",
        "block.relu:2",
        "block.softplus",
        "block",
        "head.0",
        "head.1",
        "head",
        "tanh",
        "linear",
        "output",
    ]
    with torch.no_grad():
        h = torch.relu(net.block.linear(x))
        torch.testing.assert_close(record["block.relu"], h)
        h = torch.relu(net.block.linear(h))
        torch.testing.assert_close(record["block.relu:2"], h)
        torch.testing.assert_close(record["block"], functional.softplus(h) + x)
        torch.testing.assert_close(record["output"], net(x))


def test_a_block_answers_to_its_own_name() -> None:
    """Also where it ends with a layer that is called twice, as those of torchvision do."""
    net, x = torchvision.models.resnet18(weights=None, num_classes=3).eval(), draw(2, 3, 32, 32)
    record = representations(net, x)
    assert set(dict(net.named_modules())) - {""} <= set(record)
    for block in ("layer1", "layer1.0", "layer4", "layer4.1"):
        last = "1.relu:2" if "." not in block else "relu:2"
        assert torch.equal(record[block], record[f"{block}.{last}"])
        (alone,) = representations(net, x, block).values()
        assert torch.equal(alone, record[block])
    with recorded(net) as watched:
        net(x)
    assert watched.outputs["layer4"] is watched.outputs["layer4.1.relu:2"]  # held once
    with torch.no_grad():
        torch.testing.assert_close(net.fc(net.avgpool(record["layer4.1"]).flatten(1)), net(x))


def test_an_operation_in_place_leaves_the_record_alone() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Linear(3, 1))
    record = representations(net, draw(20, 3))
    assert list(record) == ["0", "1", "2"]
    assert (record["0"] < 0).any()
    torch.testing.assert_close(record["1"], record["0"].relu())


def test_a_layer_that_changes_nothing_is_there_all_the_same() -> None:
    names = ["linear1", "act1", "linear2", "act2", "logits"]
    assert list(representations(MLP((3, 4, 4, 2), "identity"), draw(5, 3))) == names


def test_a_method_and_a_module_without_children() -> None:
    class Bare(nn.Module):
        def forward(self, x):
            return x.relu().abs() + 1

    assert list(representations(Bare(), draw(2, 3))) == ["relu", "abs", "output"]


def test_chunks_do_not_show(monkeypatch) -> None:
    net, x = LeNet((1, 8, 8), 10), draw(11, 1, 8, 8)
    whole = representations(net, x)
    monkeypatch.setattr("companion.borrow.BUDGET", 64 * 16 * 3)
    for name, z in representations(net, x).items():
        # Another batch size lets the libraries sum in another order: a few float32 roundings.
        torch.testing.assert_close(z, whole[name], rtol=1e-5, atol=1e-6)


def test_layers_choose_and_hooks_go() -> None:
    net = Net().train()
    before = copy.deepcopy(net.state_dict())
    record = representations(net, draw(4, 3), ["head.1", "block"])
    assert list(record) == ["block", "head.1"]
    assert not any(z.requires_grad for z in record.values())
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    for module in net.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    assert list(representations(net, draw(4, 3), "block")) == ["block"]


def test_hooks_go_after_a_failed_pass_too() -> None:
    net = Net()
    with pytest.raises(RuntimeError):
        representations(net, draw(4, 5))
    assert not any(module._forward_hooks for module in net.modules())


def test_a_pass_cut_short_leaves_nothing_in_the_next_record() -> None:
    net = MLP((3, 4, 2))
    with recorded(net) as record:
        with pytest.raises(RuntimeError):
            net(draw(5, 9))
        for n in (4, 2):
            net(draw(n, 3))
    assert list(record.outputs) == ["linear1", "act1", "logits"]
    assert record.outputs["act1"].shape == (2, 4)


def test_nan_in_any_sample_is_named() -> None:
    x = draw(30, 3)
    x[20] = torch.nan
    with pytest.raises(ValueError, match="NaN for 1 of 30 samples"):
        representations(MLP((3, 4, 2)), x)


def test_recorded_keeps_the_graph_and_the_latest_pass() -> None:
    net = MLP((3, 4, 2))
    with recorded(net, ["act1"]) as record:
        net(draw(5, 3))
        net(draw(2, 3))
    assert record.outputs["act1"].shape == (2, 4)
    record.outputs["act1"].sum().backward()
    assert net.linear1.weight.grad is not None


def test_a_tuple_is_passed_over() -> None:
    class Both(nn.Module):
        def forward(self, x):
            return x, x

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.both = Both()

        def forward(self, x):
            return self.both(x)[0] * 2

    assert list(representations(Outer(), draw(2, 3))) == ["output"]


def test_the_sentence_for_a_layer_that_is_not_called() -> None:
    with pytest.raises(
        ValueError, match=r"no layer named 'fc1': it calls linear1, act1, logits; choose"
    ):
        representations(MLP((3, 4, 2)), draw(2, 3), ["act1", "fc1"])


def test_the_sentence_for_no_samples() -> None:
    with pytest.raises(ValueError, match="x holds no sample: pass at least one row"):
        representations(MLP((3, 4, 2)), torch.zeros(0, 3))
