"""Networks of the book, and what any network makes of its input, layer by layer.

Explained in the chapter `book/distances/metric_structure`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from companion import borrow

__all__ = ["MLP", "LeNet", "recorded", "representations"]


class Activation(nn.Module):
    """A function of one tensor as a module, so that its output is a layer with a name."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


ACTIVATIONS = {
    "relu": lambda beta, slope: nn.ReLU(),
    "leaky_relu": lambda beta, slope: nn.LeakyReLU(slope),
    "abs": lambda beta, slope: Activation(torch.abs),
    "softplus": lambda beta, slope: nn.Softplus(beta),
    "tanh": lambda beta, slope: nn.Tanh(),
    "sigmoid": lambda beta, slope: nn.Sigmoid(),
    "identity": lambda beta, slope: nn.Identity(),
}


def _activation(name: str | Callable[[Tensor], Tensor], beta: float, slope: float) -> nn.Module:
    if callable(name):
        return Activation(name)
    if name not in ACTIVATIONS:
        raise ValueError(
            f"There is no activation {name!r}: choose one of {', '.join(ACTIVATIONS)}, "
            "or pass a function of one tensor."
        )
    return ACTIVATIONS[name](beta, slope)


class MLP(nn.Module):
    """Fully connected network; all axes but the first are flattened.

    The layers are called `linear1`, `act1`, ..., `logits`. Weights are torch's default
    initialisation, drawn from the global generator (`training.initialised` draws them from a
    seed).

    Args:
        sizes: The widths (D, ..., C), input first, classes last.
        activation: One of relu, leaky_relu, abs, softplus, tanh, sigmoid, identity, or a function
            of one tensor.
        beta: The sharpness of softplus; the others ignore it.
        slope: What leaky_relu multiplies negative numbers by; the others ignore it.
        bias: Whether the linear layers have one.
        dtype: The dtype of the weights; by default torch's.

    Raises:
        ValueError: For fewer than two sizes or an unknown activation.

    >>> MLP((64, 256, 128, 10))(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str | Callable[[Tensor], Tensor] = "relu",
        *,
        beta: float = 1.0,
        slope: float = 0.01,
        bias: bool = True,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(
                f"sizes = {tuple(sizes)} describes no network: give at least two positive widths, "
                "input first, classes last."
            )
        hidden = len(sizes) - 2
        for k, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False), start=1):
            linear = nn.Linear(before, after, bias=bias, dtype=dtype)
            self.add_module(f"linear{k}" if k <= hidden else "logits", linear)
            if k <= hidden:
                self.add_module(f"act{k}", _activation(activation, beta, slope))

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n c"]:
        """Logits (n, C) of the samples.

        Args:
            x: Samples (n, ...).
        """
        x = x.flatten(1)
        for layer in self.children():
            x = layer(x)
        return x


class LeNet(nn.Module):
    """Convolutional network of LeCun et al. (1998), with ReLU and max pooling.

    Sides of at least 28: 6@5x5, pool, 16@5x5, pool, 120-84-C. Sides from 8 to 27: 16@3x3 and
    32@3x3 with padding 1, 2x2 pooling after each, 64-C. The layers are called conv1, act1, pool1,
    conv2, act2, pool2, linear1, act3, (linear2, act4,) logits.

    Args:
        image_shape: (channels, height, width).
        n_classes: C, how many classes there are.

    Raises:
        ValueError: For a side below 8.

    >>> LeNet((1, 28, 28), 10).linear1.in_features, LeNet((1, 8, 8), 10).linear1.in_features
    (256, 128)
    """

    def __init__(self, image_shape: Sequence[int], n_classes: int):
        super().__init__()
        if len(image_shape) != 3 or min(image_shape[1:]) < 8:
            raise ValueError(
                f"An image of shape {tuple(image_shape)} does not fit: LeNet needs (channels, "
                "height, width) with a smallest side of 8, so pad or enlarge the images."
            )
        channels, *sides = image_shape
        large = min(sides) >= 28
        widths, kernel, padding = ((6, 16), 5, 0) if large else ((16, 32), 3, 1)
        for k, (before, after) in enumerate(zip((channels, *widths), widths, strict=False), 1):
            self.add_module(f"conv{k}", nn.Conv2d(before, after, kernel, padding=padding))
            self.add_module(f"act{k}", nn.ReLU())
            self.add_module(f"pool{k}", nn.MaxPool2d(2))
            sides = [(side + 2 * padding - kernel + 1) // 2 for side in sides]
        widths = (widths[-1] * sides[0] * sides[1], *((120, 84) if large else (64,)))
        for k, (before, after) in enumerate(zip(widths, widths[1:], strict=False), start=1):
            self.add_module(f"linear{k}", nn.Linear(before, after))
            self.add_module(f"act{k + 2}", nn.ReLU())
        self.logits = nn.Linear(widths[-1], n_classes)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Logits (n, C) of the images.

        Args:
            x: Images (n, channels, height, width).
        """
        for name, layer in self.named_children():
            x = layer(x.flatten(1) if name == "linear1" else x)
        return x


# Layers written as function calls, seen by name wherever they come from: torch.nn.functional,
# torch, or a method of the tensor.
FUNCTIONS = frozenset(
    "abs adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d avg_pool1d avg_pool2d "
    "batch_norm bilinear celu conv1d conv2d conv3d elu embedding gelu glu group_norm hardsigmoid "
    "hardswish hardtanh instance_norm layer_norm leaky_relu linear log_softmax max_pool1d "
    "max_pool2d mish normalize prelu relu relu6 rms_norm scaled_dot_product_attention selu "
    "sigmoid silu softmax softplus softsign tanh".split()
)


class _Functions(TorchFunctionMode):
    """Reports every call of a layer-like function while the mode is on."""

    def __init__(self, report: Callable[[str, Tensor], None]):
        super().__init__()
        self.report = report

    def __torch_function__(self, func, types, args=(), kwargs=None):
        # Inside this method the mode is off: what `func` calls in turn is not reported twice.
        output = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").strip("_")
        if name in FUNCTIONS and isinstance(output, Tensor):
            self.report(name, output)
        return output


class _Record:
    """What the layers of one forward pass gave, in call order."""

    def __init__(self, layers: Iterable[str] | None):
        self.wanted = None if layers is None else set(layers)
        self.outputs: dict[str, Tensor] = {}
        self.calls: dict[str, int] = {}
        self.inside: list[tuple[str, bool]] = []
        self.last: tuple[Tensor, int, Tensor | None] | None = None

    def enter(self, name: str, module: nn.Module) -> None:
        # The model itself begins a pass, also after one that an exception cut short.
        if not name:
            self.inside.clear()
            self.outputs.clear()
            self.calls.clear()
            self.last = None
        self.inside.append((name, next(module.children(), None) is not None or not name))

    def leave(self, name: str, output: object) -> None:
        self.inside.pop()
        # A block has its name beside that of its last layer; the model has none of its own.
        if isinstance(output, Tensor) and (name or not self._is_last(output)):
            self.add(name or "output", output)

    def _is_last(self, output: Tensor) -> bool:
        # A container mostly returns what its last layer returned; only an operation in place
        # gives the same tensor another content, and then its version has moved on.
        return self.last is not None and self.last[0] is output and self.last[1] == output._version

    def function(self, name: str, output: Tensor) -> None:
        # The inside of a leaf module is the module's own business: its output is recorded.
        if self.inside and self.inside[-1][1]:
            prefix = self.inside[-1][0]
            self.add(f"{prefix}.{name}" if prefix else name, output)

    def add(self, name: str, output: Tensor) -> None:
        copy = self.last[2] if self._is_last(output) else None
        self.calls[name] = self.calls.get(name, 0) + 1
        if self.calls[name] > 1:
            name = f"{name}:{self.calls[name]}"
            self.calls.setdefault(name, 1)
        if self.wanted is None or name in self.wanted:
            # A later operation in place must not change what was recorded.
            copy = output.clone() if copy is None else copy
            self.outputs[name] = copy
        self.last = (output, output._version, copy)

    def named(self, layers: Iterable[str]) -> dict[str, Tensor]:
        """The outputs of some layers; one that was not called is an error that lists the names."""
        missing = [name for name in layers if name not in self.outputs]
        if missing:
            raise ValueError(
                f"The model calls no layer named {', '.join(map(repr, missing))}: it calls "
                f"{', '.join(self.calls)}; choose among these."
            )
        return {name: self.outputs[name] for name in layers}


@contextmanager
def recorded(model: nn.Module, layers: Iterable[str] | None = None) -> Iterator[_Record]:
    """A record whose `.outputs` holds the layers of the latest forward pass inside the block.

    Mode and gradients are the caller's: the recorded tensors belong to the graph of the pass. All
    hooks are gone after the block. For a measurement use `representations`.

    Args:
        model: The module that is watched.
        layers: The names to keep, as `representations` gives them; by default all.

    Yields:
        The record.

    >>> model = MLP((2, 3, 2))
    >>> with recorded(model, ["act1"]) as record:
    ...     logits = model(torch.ones(4, 2))
    >>> record.outputs["act1"].shape, record.outputs["act1"].requires_grad
    (torch.Size([4, 3]), True)
    """
    record = _Record(layers)
    handles = []
    try:
        for name, module in model.named_modules():
            handles.append(
                module.register_forward_pre_hook(
                    lambda module, _, name=name: record.enter(name, module)
                )
            )
            handles.append(
                module.register_forward_hook(
                    lambda module, _, output, name=name: record.leave(name, output)
                )
            )
        with _Functions(record.function):
            yield record
    finally:
        for handle in handles:
            handle.remove()


def representations(
    model: nn.Module, x: Float[Tensor, "n ..."], layers: Iterable[str] | None = None
) -> dict[str, Tensor]:
    """What the layers of a model make of x: name -> (n, ...), in the order of their calls.

    Recorded are the outputs of all submodules and of layer-like functions called between them
    (`relu`, `max_pool2d`, `linear`, ...; named after the module that calls them: `block.relu`). A
    second call of the same layer is `name:2`. A block comes after its layers under its own name,
    also where it returns what the last of them did: `layer4.1` of a ResNet is `layer4.1.relu:2`.
    The answer of the whole model, where it is none of these, is `output`.

    Args:
        model: The module; it is borrowed: evaluation mode, no gradients, everything as before
            afterwards, no hook left.
        x: Samples (n, ...), at least one.
        layers: A name or some, to limit the answer to; by default all.

    Returns:
        A dict of the representations.

    Raises:
        ValueError: For a layer that is not called (the names that are, are listed), for an empty
            x, and for a model that answers NaN or at random.

    Cost: one forward pass, in chunks of about 64 MiB; the answer holds all n samples of each layer
    asked for.

    >>> net = MLP((2, 3, 2))
    >>> {name: tuple(z.shape) for name, z in representations(net, torch.ones(4, 2)).items()}
    {'linear1': (4, 3), 'act1': (4, 3), 'logits': (4, 2)}
    """
    if len(x) == 0:
        raise ValueError("x holds no sample: pass at least one row.")
    if isinstance(layers, str):
        layers = [layers]
    layers = None if layers is None else list(layers)
    parts: list[dict[str, Tensor]] = []
    # Layers are wider than the input; sixteen times is the widest of the book's networks.
    size = borrow.chunks(len(x), 16 * x[0].numel())
    with borrow.borrowed(model, x) as lent, torch.no_grad(), recorded(lent, layers) as record:
        for part in x.split(size):
            answer = lent(part)
            if isinstance(answer, Tensor):
                borrow.refuse_nan(answer)
            parts.append(dict(record.outputs))
            record.named(layers or ())
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def __dir__() -> list[str]:
    return __all__
