"""What is measured on: real images read from disk, and toy sets whose geometry is known.

`load()` gives images (`digits`, `mnist`, `fashion-mnist`, `cifar10`, `cifar10-small`), the other
functions draw toy sets. All return a `Dataset`. Explained in `book/distances/metric_structure`.
"""

from companion.datasets.dataset import Dataset, shuffle_labels, stratified
from companion.datasets.features import one_feature, parity_slabs, slabs
from companion.datasets.images import load
from companion.datasets.toys import linked_circles, torus

__all__ = [
    "Dataset",
    "linked_circles",
    "load",
    "one_feature",
    "parity_slabs",
    "shuffle_labels",
    "slabs",
    "stratified",
    "torus",
]


def __dir__() -> list[str]:
    return __all__
