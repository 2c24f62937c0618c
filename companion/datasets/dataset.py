"""A labelled set of samples with its test set, and the draws that every chapter makes from it.

Explained in `book/distances/metric_structure`.
"""

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

__all__ = ["Dataset", "shuffle_labels", "stratified"]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples and labels to fit to, samples and labels to test on, checked once when made.

    Args:
        x_train: Samples (n, ...), floating point; images are float32 (n, C, H, W) in [0, 1].
        y_train: Their labels (n,), int64, 0 to C - 1.
        x_test: Samples (m, ...) like x_train.
        y_test: Their labels (m,), int64.
        name: The name by which claims know the data.
        classes: One name per label.
        directions: Of toy sets, (D, D): the orthonormal columns u_1 ... u_D they were built along;
            by default None.
        hierarchy: Of toy sets, (n, L) int64: the labels of x_train from coarse to fine, y_train
            the last column; by default None.

    Raises:
        TypeError: For a field of the wrong type.
        ValueError: For a field of the wrong shape or range, and for samples that hold NaN.

    Values are looked at on the CPU only, so that nothing waits for another device.

    >>> x = torch.zeros(4, 1, 8, 8)
    >>> Dataset(x, torch.tensor([0, 1, 0, 1]), x[:2], torch.tensor([0, 1]), "blank", ("a", "b"))
    Dataset blank: 4 to train, 2 to test, each (1, 8, 8) float32 on cpu
      2 classes: a, b
    """

    x_train: Float[Tensor, "n ..."]
    y_train: Int64[Tensor, " n"]
    x_test: Float[Tensor, "m ..."]
    y_test: Int64[Tensor, " m"]
    name: str
    classes: tuple[str, ...]
    directions: Float[Tensor, "d d"] | None = None
    hierarchy: Int64[Tensor, "n levels"] | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.classes, tuple) and all(isinstance(c, str) for c in self.classes)):
            raise TypeError(
                f"classes is {self.classes!r}: a tuple of str with one name per label is needed, "
                f"for instance ('0', '1')."
            )
        _check_split("train", self.x_train, self.y_train, self.classes)
        _check_split("test", self.x_test, self.y_test, self.classes)
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise ValueError(
                f"training samples are {_shape(self.x_train)} and test samples "
                f"{_shape(self.x_test)}: both must have the same shape, reshape one of them."
            )
        _check_directions(self.directions, self.x_train[0].numel())
        _check_hierarchy(self.hierarchy, self.y_train)

    def __repr__(self) -> str:
        x, names = self.x_train, self.classes
        shown = ", ".join(names if len(names) <= 10 else (*names[:9], "...", names[-1]))
        extras = [
            f"directions {tuple(self.directions.shape)}" if self.directions is not None else "",
            f"hierarchy of {self.hierarchy.shape[1]} levels" if self.hierarchy is not None else "",
        ]
        return (
            f"Dataset {self.name}: {len(x)} to train, {len(self.x_test)} to test, "
            f"each {_shape(x)} {str(x.dtype).removeprefix('torch.')} on {x.device}\n  "
            + "; ".join([f"{len(names)} classes: {shown}", *filter(None, extras)])
        )

    def to(self, device: str | torch.device) -> "Dataset":
        """The same data on `device`; tensors that are there already are shared, not copied.

        Args:
            device: Where the tensors are to be.

        Returns:
            A new `Dataset` of the same name.

        >>> x, y = torch.zeros(2, 3), torch.tensor([0, 1])
        >>> Dataset(x, y, x, y, "blank", ("a", "b")).to("meta").x_train.device
        device(type='meta')
        """
        return self._each(lambda tensor: tensor.to(device), *_TENSORS)

    def flat(self) -> "Dataset":
        """The same data with every sample as one row: x becomes (n, D).

        >>> x, y = torch.zeros(2, 1, 8, 8), torch.tensor([0, 1])
        >>> Dataset(x, y, x, y, "blank", ("a", "b")).flat().x_test.shape
        torch.Size([2, 64])
        """
        return self._each(lambda tensor: tensor.flatten(1), "x_train", "x_test")

    def _each(self, change, *fields: str) -> "Dataset":
        given = {field: getattr(self, field) for field in fields}
        changed = {name: change(tensor) for name, tensor in given.items() if tensor is not None}
        return dataclasses.replace(self, **changed)


_TENSORS = ("x_train", "y_train", "x_test", "y_test", "directions", "hierarchy")


def shuffle_labels(data: Dataset, *, seed: int) -> Dataset:
    """The same training images with their labels permuted at random: labels without meaning.

    One permutation moves the labels of the training samples (and the rows of `hierarchy` with
    them). The count of every class is kept, so with C classes of equal size about one label in C
    stays right by chance. Test samples keep their labels: a network fitted to shuffled labels is
    read at the samples it was fitted to, and its test accuracy must be at chance, 1/C. The name is
    kept, so that claims about the data meet the shuffled labels, too.

    Args:
        data: The data, unchanged afterwards.
        seed: What the permutation is drawn with.

    Returns:
        A `Dataset` that shares everything but `y_train` and `hierarchy` with `data`.

    Source: Zhang, Bengio, Hardt, Recht, Vinyals (2017).

    >>> x, y = torch.zeros(6, 2), torch.tensor([0, 0, 0, 0, 1, 1])
    >>> shuffled = shuffle_labels(Dataset(x, y, x, y, "blank", ("a", "b")), seed=0)
    >>> shuffled.y_train.bincount(), bool((shuffled.y_test == y).all())
    (tensor([4, 2]), True)
    """
    order = torch.randperm(len(data.y_train), generator=torch.Generator().manual_seed(seed))
    order = order.to(data.y_train.device)
    hierarchy = None if data.hierarchy is None else data.hierarchy[order]
    return dataclasses.replace(data, y_train=data.y_train[order], hierarchy=hierarchy)


def stratified(y: Int64[Tensor, " n"], size: int, *, seed: int) -> Int64[Tensor, " size"]:
    """Places of `size` samples with the class shares of `y`, in ascending order.

    Class c gets size · n_c / n samples, rounded by the largest remainder (ties to the lower
    label), drawn without replacement.

    Args:
        y: Labels (n,), int64, from 0 on.
        size: How many samples: at least one for each class that occurs, at most n.
        seed: What the samples of a class are drawn with.

    Returns:
        Places (size,) in y, on the CPU.

    Raises:
        ValueError: For a size smaller than the number of classes that occur or larger than n, and
            for a negative label.

    >>> y = torch.tensor([0, 0, 1, 1, 1, 1])
    >>> y[stratified(y, 3, seed=0)]
    tensor([0, 1, 1])
    """
    if len(y) and int(y.min()) < 0:
        raise ValueError(
            f"y holds the label {int(y.min())}: a stratified draw needs class numbers from 0 on, "
            "so renumber the labels."
        )
    counts = y.cpu().bincount()
    occurring = int((counts > 0).sum())
    if not occurring <= size <= len(y):
        raise ValueError(
            f"{size} samples were asked for and there are {len(y)} in {occurring} classes: "
            f"ask for {occurring} to {len(y)}, or None for all."
        )
    # Integers, so that equal remainders are equal and the draw is the same on every machine.
    share, remainder = size * counts // len(y), size * counts % len(y)
    extra = size - int(share.sum())
    share[torch.argsort(remainder, descending=True, stable=True)[:extra]] += 1
    generator = torch.Generator().manual_seed(seed)
    drawn = [
        (y.cpu() == label).nonzero().flatten()[torch.randperm(count, generator=generator)[:k]]
        for label, (count, k) in enumerate(zip(counts.tolist(), share.tolist(), strict=True))
    ]
    return torch.cat(drawn).sort().values


def _shape(x: Tensor) -> tuple[int, ...]:
    return tuple(x.shape[1:])


def _check_split(split: str, x: object, y: object, classes: tuple[str, ...]) -> None:
    if not (isinstance(x, Tensor) and x.is_floating_point() and x.ndim >= 2):
        raise TypeError(
            f"x_{split} is {_described(x)}: a floating-point tensor (n, ...) is needed, "
            f"convert it with torch.as_tensor(x).float()."
        )
    if not (isinstance(y, Tensor) and y.dtype == torch.int64 and y.ndim == 1):
        raise TypeError(
            f"y_{split} is {_described(y)}: an int64 tensor (n,) of labels is needed, "
            f"convert it with torch.as_tensor(y).long().flatten()."
        )
    if len(x) != len(y) or len(x) == 0:
        raise ValueError(
            f"x_{split} has {len(x)} samples and y_{split} {len(y)} labels: one label per sample "
            f"and at least one sample are needed, pass the matching part of both."
        )
    if y.device.type == "cpu" and not 0 <= int(y.min()) <= int(y.max()) < len(classes):
        raise ValueError(
            f"y_{split} holds labels from {int(y.min())} to {int(y.max())} and there are "
            f"{len(classes)} classes: labels 0 to {len(classes) - 1} are needed, name every class "
            f"or renumber the labels."
        )
    # The sum is not finite wherever a value is not, and needs no memory.
    if x.device.type == "cpu" and not x.sum().isfinite() and not x.isfinite().all():
        raise ValueError(
            f"x_{split} holds {int((~x.isfinite()).sum())} values that are NaN or infinite: "
            f"finite numbers are needed, remove or repair these samples."
        )


def _check_directions(directions: object, size: int) -> None:
    if directions is None:
        return
    if not (isinstance(directions, Tensor) and tuple(directions.shape) == (size, size)):
        raise ValueError(
            f"directions is {_described(directions)}: one column for each of the {size} axes of a "
            f"sample is needed, pass a ({size}, {size}) tensor or None."
        )


def _check_hierarchy(hierarchy: object, y: Tensor) -> None:
    if hierarchy is None:
        return
    fits = isinstance(hierarchy, Tensor) and hierarchy.ndim == 2 and len(hierarchy) == len(y)
    if not (fits and hierarchy.dtype == torch.int64):
        raise ValueError(
            f"hierarchy is {_described(hierarchy)}: one int64 row of labels, coarse first, for "
            f"each of the {len(y)} training samples is needed, pass a ({len(y)}, L) tensor or "
            f"None."
        )
    if y.device.type == "cpu" and not torch.equal(hierarchy[:, -1], y):
        raise ValueError(
            "the last column of hierarchy differs from y_train: the finest level must be the "
            "label itself, put the levels in order from coarse to fine."
        )


def _described(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
    return f"a {type(value).__name__}"
