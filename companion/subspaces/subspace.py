"""A subspace of the input: what of an image lies in it, and what outside.

Explained in `book/boundaries/invariant_directions`.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from companion.subspaces.cosines import refuse_no_numbers
from companion.subspaces.parts import Columns, Frequencies

__all__ = ["Subspace", "complement", "image_sides"]


class Subspace:
    """A linear subspace S of the input, through the origin, by an orthonormal basis P (D, k).

    What lies in it of a sample x is P P^T x, its projection. `Subspace.from_index` keeps a set of
    frequencies of images in place of P, `complement` what lies outside.

    Args:
        basis: P (D, k), float32 or float64: k orthonormal columns, each as long as a flattened
            sample. It is kept as it is, not copied.

    Raises:
        TypeError: For anything but a tensor of float32 or float64.
        ValueError: For other axes, more columns than rows, NaN, and columns that are not
            orthonormal: an entry of P^T P is off by more than 4 eps sqrt(D). Rounding each number
            of an orthonormal basis moves an entry by at most eps, a QR decomposition in the same
            dtype by a few eps sqrt(D). On device `meta` no value is looked at.

    Cost: the check takes D k^2 multiply-adds in float64 and looks at values.

    >>> plane = Subspace(torch.eye(3)[:, :2])
    >>> plane.dim, plane.ambient
    (2, 3)
    >>> plane.project(torch.tensor([[3.0, 4.0, 5.0]]))
    tensor([[3., 4., 0.]])
    """

    def __init__(self, basis: Float[Tensor, "D k"]) -> None:
        _refuse_no_basis(basis)
        self._part: Columns | Frequencies = Columns(basis)
        self._outside = False

    @classmethod
    def _of(cls, part: Columns | Frequencies, outside: bool = False) -> "Subspace":
        made = cls.__new__(cls)
        made._part, made._outside = part, outside
        return made

    @classmethod
    def from_index(
        cls, image_shape: Sequence[int], index: Bool[Tensor, "h w"] | Bool[Tensor, "c h w"]
    ) -> "Subspace":
        """The subspace of images that have no other frequencies than those of a set.

        Args:
            image_shape: (channels, height, width).
            index: True for each coefficient of `dct` that belongs to it, (height, width) for all
                channels alike or (channels, height, width). It is copied to the CPU.

        Returns:
            A subspace for every device and dtype. It holds one truth value for each of the D
            coefficients, and no basis.

        Raises:
            TypeError: For an index that is not boolean.
            ValueError: For an image shape that is none, an index of another shape, and one on
                device `meta`, where it has no values.

        `project` computes only the rows and columns of coefficients that the set (or, if they are
        fewer, its complement) occupies: for 16 x 16 frequencies of a 224 x 224 image a fourteenth
        of them along the first axis.

        >>> mean = torch.tensor([[True, False], [False, False]])
        >>> Subspace.from_index((1, 2, 2), mean).project(torch.tensor([[1.0, 3.0, 5.0, 7.0]]))
        tensor([[4., 4., 4., 4.]])
        """
        shape = image_sides(image_shape)
        mask = _index(index, shape)
        inside, outside = Frequencies(mask), Frequencies(~mask)
        if outside.size < inside.size:
            return cls._of(outside, outside=True)
        return cls._of(inside)

    @property
    def ambient(self) -> int:
        """D: how many numbers a sample has."""
        return self._part.ambient

    @property
    def dim(self) -> int:
        """k: how many dimensions the subspace has."""
        return self.ambient - self._part.dim if self._outside else self._part.dim

    @property
    def index(self) -> Bool[Tensor, "c h w"] | None:
        """The set of frequencies, on the CPU; None where a basis is kept."""
        if isinstance(self._part, Columns):
            return None
        return ~self._part.mask if self._outside else self._part.mask

    def project(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """What of each sample lies in the subspace, P P^T x, in units of x.

        Args:
            x: Samples (n, ...) of D numbers each; images (n, channels, height, width), or
                flattened, where frequencies are kept.

        Returns:
            In the shape and dtype of x and on its device. The rest, x minus it, stands at right
            angles to it.

        Raises:
            TypeError: For anything but a tensor of floating-point numbers.
            ValueError: For samples of another size, and on another device than a kept basis.

        Linear, symmetric and idempotent, so that the derivative of a function of it is its own
        projection: differentiable any number of times. It is as exact as the shorter dtype of x
        and basis; float16 and bfloat16 are computed in float32.

        Cost: 2 D k multiply-adds a sample with a basis, for frequencies no more than 4 D times
        the longer side, and much less where the set is a block.
        """
        refuse_no_numbers(x)
        _refuse_no_samples(x)
        rows = _wide(x)
        inside = self._part.lift(self._part.coordinates(rows)).view(x.shape)
        return (rows - inside if self._outside else inside).to(x.dtype)

    def length(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """Length of what of each sample lies in the subspace, |P^T x|, in units of x.

        Args:
            x: Samples (n, ...), as for `project`.

        Returns:
            One length a sample (n,), in the dtype of x and on its device.

        Raises:
            TypeError: As `project`.
            ValueError: As `project`.

        From the coordinates alone, at half the cost of a projection or less; for a complement by
        way of its projection. Differentiable where it is not 0.

        >>> Subspace(torch.eye(3)[:, :2]).length(torch.tensor([[3.0, 4.0, 5.0]]))
        tensor([5.])
        """
        refuse_no_numbers(x)
        _refuse_no_samples(x)
        rows = _wide(x)
        inside = self.project(rows) if self._outside else self._part.coordinates(rows)
        return torch.linalg.vector_norm(inside.flatten(1), dim=1).to(x.dtype)

    def basis(
        self, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
    ) -> Float[Tensor, "D k"]:
        """An orthonormal basis P (D, k), column by column; no unit.

        Args:
            dtype: By default that of the basis that is kept, float32 for frequencies.
            device: By default where the basis lies, the CPU for frequencies.

        Returns:
            P (D, k). For a block of 768 frequencies of a 3 x 224 x 224 image that is 462 MB, and
            twice as much on the way.

        Cost: of frequencies D k numbers are written; of the complement of a basis a complete QR
        decomposition is taken, D^2 k multiply-adds and D^2 numbers.

        >>> Subspace.from_index((1, 1, 2), torch.tensor([[True, False]])).basis()
        tensor([[0.7071],
                [0.7071]])
        """
        found = self._part.others() if self._outside else self._part.basis()
        if dtype is None:
            kept = isinstance(self._part, Columns)
            dtype = self._part.columns.dtype if kept else torch.float32
        return found.to(device=device, dtype=dtype)

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> "Subspace":
        """The same subspace with its basis elsewhere; a set of frequencies needs no move.

        Args:
            device: By default where it is.
            dtype: By default as it is.

        Returns:
            A subspace for samples on that device.

        >>> Subspace(torch.eye(3)[:, :2]).to("meta").project(torch.ones(1, 3, device="meta")).shape
        torch.Size([1, 3])
        """
        if isinstance(self._part, Frequencies):
            return self
        columns = self._part.columns.to(device=device, dtype=dtype)
        return Subspace._of(Columns(columns), self._outside)

    def __repr__(self) -> str:
        kept = self._part
        if isinstance(kept, Frequencies):
            how = f"frequencies of images {kept.shape}"
        else:
            how = f"{'outside ' if self._outside else ''}a basis of {kept.dim} columns"
        return f"Subspace(dim={self.dim}, ambient={self.ambient}, {how})"


def complement(subspace: Subspace | Float[Tensor, "D k"]) -> Subspace:
    """All directions at right angles to a subspace: x minus its projection on it.

    Args:
        subspace: A subspace of dimension k, or its orthonormal basis (D, k).

    Returns:
        The subspace of dimension D - k. It keeps what the given one keeps, and no basis of its
        own; the complement of the complement is the given subspace.

    Raises:
        TypeError: As `Subspace`, for a basis.
        ValueError: As `Subspace`, for a basis.

    >>> complement(torch.eye(3)[:, :1]).project(torch.tensor([[3.0, 4.0, 5.0]]))
    tensor([[0., 4., 5.]])
    """
    given = subspace if isinstance(subspace, Subspace) else Subspace(subspace)
    return Subspace._of(given._part, not given._outside)


def image_sides(image_shape: Sequence[int]) -> tuple[int, int, int]:
    """(channels, height, width), or a sentence.

    Args:
        image_shape: What was given for it.

    Raises:
        ValueError: For anything but three whole numbers from 1 on.

    >>> image_sides(torch.zeros(1, 8, 8).shape)
    (1, 8, 8)
    """
    sides = tuple(image_shape) if isinstance(image_shape, Sequence) else (image_shape,)
    if len(sides) != 3 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise ValueError(
            f"image_shape is {image_shape}: frequencies need (channels, height, width), each 1 or "
            "more, so pass x.shape[1:] of images (n, channels, height, width)."
        )
    return sides


def _index(index: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """A set of frequencies of all channels, on the CPU, its own copy."""
    if not isinstance(index, Tensor) or index.dtype != torch.bool:
        kind = index.dtype if isinstance(index, Tensor) else type(index).__name__
        raise TypeError(
            f"index is {kind}: a set of frequencies is a boolean tensor, True for those that "
            "belong to it, so pass torch.as_tensor(index) != 0."
        )
    if tuple(index.shape) not in (shape, shape[1:]):
        raise ValueError(
            f"index has shape {tuple(index.shape)} and the images {shape}: one truth value per "
            f"frequency is needed, so pass {shape[1:]} for all channels alike, or {shape}."
        )
    if index.is_meta:
        raise ValueError(
            "index is on device meta, where it has no values: a set of frequencies is read, so "
            "make it on the CPU; the subspace works on every device."
        )
    return index.cpu().expand(shape).clone()


def _wide(x: Tensor) -> Tensor:
    """x in float32 or wider, in which sums run."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _refuse_no_samples(x: Tensor) -> None:
    if x.ndim < 2:
        raise ValueError(
            f"x has shape {tuple(x.shape)}: samples (n, ...) are needed, so pass x[None] for a "
            "single one."
        )


def _refuse_no_basis(basis: Tensor) -> None:
    refuse_no_numbers(basis, "basis")
    if basis.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"basis holds {basis.dtype} values: right angles cannot be told in so few digits, so "
            "make it in float32 or float64; samples may be of any dtype."
        )
    if basis.ndim != 2:
        raise ValueError(
            f"basis has shape {tuple(basis.shape)}: one column per direction is needed, (D, k), "
            "so pass basis[:, None] for a single one, basis.flatten(1).T for a stack of images."
        )
    size, dim = basis.shape
    if dim > size:
        raise ValueError(
            f"basis has {dim} columns of {size} numbers: a space of {size} dimensions holds no "
            "more orthonormal directions than that, so pass fewer, or basis.T of rows."
        )
    if not basis.is_meta:
        _refuse_skew(basis.detach())


def _refuse_skew(basis: Tensor) -> None:
    size, dim = basis.shape
    gram = torch.zeros(dim, dim, dtype=torch.float64, device=basis.device)
    # Some rows at a time: a float64 copy of all would be twice as large as the basis.
    for rows in basis.split(max(1, 2**21 // max(1, dim))):
        gram += rows.double().T @ rows.double()
    off = (gram - torch.eye(dim, dtype=gram.dtype, device=gram.device)).abs()
    worst = off.max().item() if dim else 0.0
    if math.isnan(worst):
        raise ValueError(
            "basis holds NaN or infinite values: directions are numbers, so look where they come "
            "from, often a division by a length of 0."
        )
    if worst > 4 * torch.finfo(basis.dtype).eps * math.sqrt(size):
        raise ValueError(
            f"basis is not orthonormal, an entry of its P^T P is off by {worst:.1g}: columns of "
            "length 1 at right angles are needed, so pass torch.linalg.qr(basis).Q."
        )
