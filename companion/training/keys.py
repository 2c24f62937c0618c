"""What determines a reference network, as a checksum: the name under which it is kept.

Data, kind, model, seed, recipe, and the code that trains, read as code: a comment, a docstring, an
annotation or an error sentence that was edited trains nothing again, a number in a loop does.
Explained in the chapter `book/distances/metric_structure`.
"""

import ast
import copy
import functools
import inspect
import types
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from companion import storage
from companion.datasets import Dataset
from companion.training.fitting import initialised
from companion.training.recipe import Recipe

__all__ = ["fresh", "key", "meaning", "training_code"]

# What trains, by file: names of a module, or all of them.
TRAINS: dict[str, tuple[str, ...] | None] = {
    "training/recipe.py": None,
    "training/loop.py": None,
    "training/fitting.py": ("fit", "initialised", "_forward", "_penalised"),
    "training/keys.py": ("fresh",),
    "training/references.py": ("FITTED", "_make", "_fit"),
    "models.py": ("MLP", "LeNet", "Activation", "ACTIVATIONS", "_activation"),
}


def key(
    data: Dataset,
    labels: Tensor,
    kind: str,
    model: str | Callable[[Dataset], nn.Module],
    build: Callable[[Dataset], nn.Module],
    *,
    seed: int,
    recipes: Sequence[Recipe],
) -> str:
    """The checksum of all that a kept network depends on.

    Args:
        data: Its training images, of which the first len(labels) are used.
        labels: What the network is fitted to (n,).
        kind: As in `reference`.
        model: As in `reference`.
        build: The function that it names.
        seed: Of the weights, the batches and the shuffled labels.
        recipes: Those to be tried.

    Returns:
        64 hexadecimal digits.

    A builder counts by its code with the values that it closes over, by its defaults and by what
    it builds: the printed network, its weights and buffers, which of them are trained, and its
    logits at eight images both in evaluation and in training mode, so that a dropout written as a
    function shows.
    """
    return storage.checksum(
        *_training_set(data),
        labels,
        kind,
        model if isinstance(model, str) else "",
        meaning(build),
        _fingerprint(fresh(build, data, seed), data, seed),
        seed,
        [meaning(vars(recipe)) for recipe in recipes],
        training_code(),
        # The local part (+cpu, +cu130) is the same version for another device.
        torch.__version__.partition("+")[0],
    )


def fresh(build: Callable[[Dataset], nn.Module], data: Dataset, seed: int) -> nn.Module:
    """A network as a builder makes it, a copy where the builder returns one that it keeps.

    Args:
        build: A function of the data set.
        data: The data set; the network is put on its device.
        seed: Of the random numbers of torch while it builds.

    Returns:
        A module that nobody else holds.

    >>> from companion import datasets
    >>> kept = nn.Linear(64, 10)
    >>> fresh(lambda data: kept, datasets.load("digits"), 0) is kept
    False
    """
    network = initialised(lambda: copy.deepcopy(build(data)), seed)
    return network.to(data.x_train.device)


# The training set's checksum costs a second on large sets, and each chapter asks for the same one
# dozens of times. A tensor changed in place has another version.
_CHECKSUMS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def _training_set(data: Dataset) -> tuple[str, int]:
    version = data.x_train._version
    if data not in _CHECKSUMS or _CHECKSUMS[data][1] != version:
        _CHECKSUMS[data] = storage.checksum(data.x_train), version
    return _CHECKSUMS[data][0], len(data.classes)


def _fingerprint(network: nn.Module, data: Dataset, seed: int) -> list:
    """A network before training: the same weights may be bent otherwise.

    The logits are rounded, since two libraries need not agree in the last digit; adding zero
    turns -0.0 into 0.0, which has other bytes.
    """
    values = {
        **{name: value.detach().clone() for name, value in network.named_buffers()},
        **{name: value.detach().clone() for name, value in network.named_parameters()},
    }
    trained = [name for name, value in network.named_parameters() if value.requires_grad]
    logits = []
    with torch.no_grad(), torch.random.fork_rng():
        for mode in (False, True):
            torch.manual_seed(seed)
            logits.append(network.train(mode)(data.x_train[:8]).double().round(decimals=2) + 0.0)
    return [values, trained, repr(network), logits]


class _Stripped(ast.NodeTransformer):
    """The code without what changes nothing that is trained."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_docstring = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if is_docstring else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.Pass()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


@functools.cache
def training_code() -> tuple[str, ...]:
    """The code that a kept network was made by, parsed: one text for each definition of `TRAINS`.

    Returns:
        The definitions, without docstrings, comments, annotations and errors.

    >>> any("clip_norm" in text for text in training_code())
    True
    """
    root = Path(__file__).parents[1]
    return tuple(
        text
        for file, names in TRAINS.items()
        for text in parsed((root / file).read_text(encoding="utf-8"), names)
    )


def parsed(source: str, names: Sequence[str] | None = None) -> list[str]:
    """Definitions of a module as text in which only what they do counts.

    Args:
        source: Python.
        names: Those wanted; None: all.

    Returns:
        One text for each.

    >>> parsed("def f(n: int): return n  # count") == parsed("def f(n):\\n    return n")
    True
    """
    definitions = {
        name: ast.dump(node)
        for node in _Stripped().visit(ast.parse(source)).body
        for name in _defined(node)
    }
    definitions.pop("__all__", None)
    return [definitions[name] for name in definitions if names is None or name in names]


def _defined(node: ast.stmt) -> list[str]:
    """The names that a statement of a module gives a meaning; none for an import."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    return [target.id for target in targets if isinstance(target, ast.Name)]


def meaning(value: object, seen: tuple[object, ...] = ()) -> object:
    """A value as something that `storage.checksum` takes; a function by what it does.

    Args:
        value: Numbers, text, tensors and containers stand for themselves; a function for its code
            without the docstring, its defaults, the values it closes over, and the plain values,
            functions and classes of its own module that it names; a class for its functions; a
            module of torch for its weights and its printed form; anything else for its type.
        seen: Those around it, so that a recursion ends.

    Returns:
        Nested lists and dicts of numbers, text, bytes and tensors.

    >>> meaning(lambda x, k=2: x + k) == meaning(lambda x, k=2: x + k) != meaning(lambda x: x + 2)
    True
    """
    if value is None or isinstance(value, (Tensor, str, bytes, bool, int, float)):
        return value
    if any(value is other for other in seen):
        return "again"
    inside = functools.partial(meaning, seen=(*seen, value))
    if isinstance(value, dict):
        return {str(name): inside(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [inside(item) for item in value]
    if isinstance(value, nn.Module):
        return [repr(value), *value.state_dict().values()]
    if isinstance(value, functools.partial):
        return [inside(value.func), inside(value.args), inside(value.keywords)]
    if isinstance(value, types.MethodType):
        return [inside(value.__func__), inside(value.__self__)]
    if isinstance(value, types.FunctionType):
        return _function(inspect.unwrap(value), inside)
    if isinstance(value, types.CodeType):
        return _code(value, inside)
    if isinstance(value, type) and not value.__module__.startswith("torch."):
        functions = {k: v for k, v in vars(value).items() if isinstance(v, types.FunctionType)}
        return [value.__qualname__, inside(functions)]
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{getattr(named, '__module__', '')}.{named.__qualname__}"


def _function(function: types.FunctionType, inside: Callable) -> list:
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    named = {
        name: function.__globals__[name]
        for name in function.__code__.co_names
        if name in function.__globals__ and _is_own(function.__globals__[name], function)
    }
    return [
        *map(inside, (function.__code__, function.__defaults__, function.__kwdefaults__)),
        *map(inside, (cells, named)),
    ]


def _is_filled(cell: types.CellType) -> bool:
    # A function that is closed over before it is defined has an empty cell.
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _is_own(value: object, function: types.FunctionType) -> bool:
    plain = isinstance(value, (str, bool, int, float, tuple))
    return plain or getattr(value, "__module__", None) == function.__module__


def _code(code: types.CodeType, inside: Callable) -> list:
    constants = code.co_consts
    if code.co_name.isidentifier() and constants and isinstance(constants[0], str):
        # The docstring; without one the first constant is None.
        constants = constants[1:]
    return [code.co_code, list(code.co_names), *map(inside, constants)]
