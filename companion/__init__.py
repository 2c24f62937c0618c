"""Instruments for the geometry of a classifier: what a trained network does to distance.

Each room holds one idea: `datasets` and `models` are measured, `training` and `ensembles` make
them, `distances` is the first ruler. The book explains every room in the chapter that its
docstring names; the first is `book/distances/metric_structure`.

Importing the package imports none of its rooms: each is imported when it is first named.

>>> import companion
>>> companion.run.split("mnist hour")
('mnist', 'hour')
"""

import importlib
from types import ModuleType

__all__ = [
    "__version__",
    "attacks",
    "book",
    "borrow",
    "datasets",
    "decision",
    "distances",
    "ensembles",
    "isometry",
    "models",
    "plots",
    "progress",
    "run",
    "storage",
    "subspaces",
    "training",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"companion.{name}")
    raise AttributeError(f"module 'companion' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
