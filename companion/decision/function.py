"""One decision function per sample, made from a borrowed model."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from companion import borrow
from companion.decision.gaps import classes
from companion.decision.taylor import Taylor, difference, exact

__all__ = ["DecisionFunction"]

Pair = tuple[int | Int[Tensor, " n"], int | Int[Tensor, " n"]]


class DecisionFunction:
    """The decision function F = f_rival - f_own of one pair of classes per sample.

    The pair is chosen once, at the samples given here, and stays: F is one fixed function while
    points move. Wherever F is asked for, row i of the points belongs to pair i.

    The model is borrowed anew in every call, not for the life of the object (about 30 us for ten
    modules): so F may be kept, handed on and asked in another cell, and between calls the model is
    its owner's. All results are detached. Only the construction reads values back from a device.

    Args:
        model: A module or function that maps (n, ...) to logits (n, C); it is borrowed.
        x: Samples (n, ...), floating point, at which the classes are ranked.
        pair: `(rival, own)`, each a class number or one per sample (n,); by default the runner-up
            and the prediction at x.
        chunk: How many samples go through the model at once; by default about 64 MiB. The answers
            are the same.

    Attributes:
        own: The own class of each sample (n,).
        rival: Its rival (n,).
        rivals: All classes but the own one (n, C - 1), the highest logit at x first.

    Raises:
        ValueError: For no samples, logits that are no (n, C) with C > 1, classes without a logit
            or of another length, a rival that is the own class, NaN, or a model that answers at
            random.
        TypeError: For x that is no floating-point tensor, and classes that are no whole numbers.

    Cost: `value` one forward pass, `gradient` a backward pass more, `gradients` k of them in one
    batch, an exact `hvp` about as much as two gradients, and as one for each further direction.

    >>> circle = lambda x: torch.stack([torch.ones(len(x)), x.square().sum(dim=1)], dim=1)
    >>> x = torch.tensor([[0.6, 0.0]])
    >>> F = DecisionFunction(circle, x)
    >>> F.value(x), F.gradient(x), F.hvp(x, torch.tensor([[0.0, 1.0]]))
    (tensor([-0.6400]), tensor([[1.2000, 0.0000]]), tensor([[0., 2.]]))
    """

    def __init__(
        self,
        model: nn.Module | Callable[[Tensor], Tensor],
        x: Float[Tensor, "n ..."],
        *,
        pair: Pair | None = None,
        chunk: int | None = None,
    ) -> None:
        _refuse_samples(x)
        if chunk is not None and chunk < 1:
            raise ValueError(f"chunk = {chunk}: it counts samples, so pass 1 or more, or None.")
        self._model, self._shape, self._chunk = model, x.shape, chunk
        with torch.no_grad(), borrow.borrowed(model, x) as lent:
            logits = torch.cat([lent(x[rows]) for rows in self._chunks()])
        borrow.refuse_logits(logits)
        borrow.refuse_nan(logits)
        self.own = logits.argmax(dim=1) if pair is None else classes("own", pair[1], logits)
        ranked = logits.argsort(dim=1, descending=True, stable=True)
        own_last = (ranked == self.own[:, None]).int().argsort(dim=1, stable=True)
        self.rivals = ranked.gather(1, own_last[:, :-1])
        self.rival = self.rivals[:, 0] if pair is None else classes("rival", pair[0], logits)
        if not x.is_meta and (same := int((self.rival == self.own).sum())):
            raise ValueError(
                f"The rival is the own class for {same} of {len(x)} samples: a class has no "
                "boundary with itself, so pass another rival, or no pair for the runner-up."
            )

    def value(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """F at x, in units of the logits.

        Args:
            x: Points (n, ...), one for each sample of the construction.

        Returns:
            One number per sample (n,), negative on its own side.

        Raises:
            ValueError: For points of another shape.
        """
        return self._values(x, self.rival[:, None]).squeeze(1)

    def values(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n k"]:
        """f_j - f_own at x for every rival j, in units of the logits.

        Args:
            x: Points (n, ...), one for each sample of the construction.

        Returns:
            One number per sample and rival (n, C - 1), in the order of `rivals`.

        Raises:
            ValueError: For points of another shape.
        """
        return self._values(x, self.rivals)

    def gradient(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """Gradient of F at x, in units of the logits per unit of the input.

        Args:
            x: Points (n, ...), one for each sample of the construction.

        Returns:
            One gradient per sample, of the shape of x; it points out of the own region.

        Raises:
            ValueError: For points of another shape, and for logits without a derivative.
        """
        return self.value_and_gradient(x)[1]

    def value_and_gradient(
        self, x: Float[Tensor, "n ..."]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n ..."]]:
        """F and its gradient at x, from one forward pass.

        Args:
            x: Points (n, ...), one for each sample of the construction.

        Returns:
            What `value` and `gradient` return.

        Raises:
            ValueError: As `gradient`.
        """
        values, gradients = self._values_and_gradients(x, self.rival[:, None])
        return values.squeeze(1), gradients.squeeze(1)

    def gradients(
        self, x: Float[Tensor, "n ..."], k: int | None = None
    ) -> Float[Tensor, "n k ..."]:
        """Gradients of f_j - f_own at x for the first k rivals j.

        Args:
            x: Points (n, ...), one for each sample of the construction.
            k: How many of `rivals`; by default all.

        Returns:
            One gradient per sample and rival (n, k, ...), in the order of `rivals`.

        Raises:
            ValueError: As `gradient`, and for k below 1 or above C - 1.
        """
        return self.values_and_gradients(x, k)[1]

    def values_and_gradients(
        self, x: Float[Tensor, "n ..."], k: int | None = None
    ) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k ..."]]:
        """f_j - f_own and its gradient at x for the first k rivals j, from one forward pass.

        A step of DeepFool goes to the nearest of these walls, |value| / |gradient| away.

        Args:
            x: Points (n, ...), one for each sample of the construction.
            k: How many of `rivals`; by default all.

        Returns:
            The first k of `values`, and `gradients`.

        Raises:
            ValueError: As `gradients`.
        """
        count = self.rivals.shape[1]
        if k is not None and not 1 <= k <= count:
            raise ValueError(
                f"k = {k}: there are {count} rivals, so pass a number from 1 to {count}, or None."
            )
        return self._values_and_gradients(x, self.rivals[:, :k])

    def hvp(
        self, x: Float[Tensor, "n ..."], v: Float[Tensor, "..."], *, h: float | int | None = None
    ) -> Float[Tensor, "..."]:
        """The Hessian of F at x times directions v.

        Exact by default, reverse mode over reverse mode (forward over reverse was slower on every
        network tried: `python -m benchmarks.decision`). Exact is 0 for a ReLU network, whose bend
        sits in its kinks. With a step h,

            Hv = |v| (grad F(x + h v/|v|) - grad F(x - h v/|v|)) / 2h,

        they are seen, at the scale h and no other. For a smooth network that is off by O(h^2) and
        by rounding over h: in float32 a step of 1e-3 to 1e-2 errs least, in float64 one of 1e-5.

        Args:
            x: Points (n, ...), one for each sample of the construction.
            v: Directions of the shape of x, or (k, n, ...) for k of them at each point.
            h: Length of the step of a central difference, in units of the input; by default None:
                exact.

        Returns:
            Hv, of the shape of v.

        Raises:
            ValueError: As `gradient`, and for directions of another shape or h not above 0.
        """
        each = self._directions(v, x)

        def work(lent: Callable, at: Tensor, rows: slice) -> tuple[Tensor]:
            _, _, product = self._expanded(lent, at, rows, h)
            return (product(each[:, rows]).transpose(0, 1),)

        (products,) = self._joined(x, work, held=1 + len(each))
        return products.transpose(0, 1).reshape(v.shape)

    def taylor(self, x: Float[Tensor, "n ..."], *, h: float | int | None = None) -> Taylor:
        """F at x to second order: value, gradient, and the Hessian as a function of directions.

        For many directions one after another at the same points, as in Lanczos: the gradient's
        graph is made once, and each direction costs about one gradient. It is kept, for all
        samples, as long as the result is: take as many points as memory holds.

        Args:
            x: Points (n, ...), one for each sample of the construction.
            h: Length of the step of a central difference, as in `hvp`; by default None: exact.

        Returns:
            The expansion, a `Taylor`.

        Raises:
            ValueError: As `hvp`.
        """
        products = []

        def work(lent: Callable, at: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
            value, gradient, product = self._expanded(lent, at, rows, h)
            products.append((product, rows))
            return value, gradient

        def hvp(v: Tensor) -> Tensor:
            each = self._directions(v, x)
            # A checkpointed model runs again here.
            with borrow.borrowed(self._model, x, ask=False):
                parts = [product(each[:, rows]) for product, rows in products]
            return torch.cat(parts, dim=1).reshape(v.shape)

        return Taylor(*self._joined(x, work), hvp)

    def _chunks(self, held: int = 1) -> list[slice]:
        # Layers are wider than the input, and the backward pass keeps them.
        cost = 2 * 16 * held * self._shape[1:].numel()
        size = self._chunk or borrow.chunks(self._shape[0], cost)
        return [slice(start, start + size) for start in range(0, self._shape[0], size)]

    def _joined(self, x: Tensor, work: Callable, held: int = 1) -> list[Tensor]:
        """work(lent, points, rows) of one chunk after another, each of its results joined."""
        if x.shape != self._shape:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, and the pairs were chosen at {tuple(self._shape)}:"
                " each point belongs to one pair, so pass points of that shape, or make another "
                "decision function for others."
            )
        with borrow.borrowed(self._model, x, ask=False) as lent:
            found = [work(lent, x[rows].detach(), rows) for rows in self._chunks(held)]
        return [torch.cat(parts) for parts in zip(*found, strict=True)]

    def _leads(self, lent: Callable, x: Tensor, rows: slice, rivals: Tensor) -> Tensor:
        logits = lent(x)
        return logits.gather(1, rivals[rows]) - logits.gather(1, self.own[rows, None])

    @torch.no_grad()
    def _values(self, x: Tensor, rivals: Tensor) -> Tensor:
        return self._joined(x, lambda *at: (self._leads(*at, rivals),))[0]

    def _values_and_gradients(self, x: Tensor, rivals: Tensor) -> tuple[Tensor, Tensor]:
        def work(*at) -> tuple[Tensor, Tensor]:
            values, gradients = self._differentiated(*at, rivals)
            return values.detach(), gradients

        return tuple(self._joined(x, work, held=rivals.shape[1]))

    @torch.enable_grad()
    def _differentiated(
        self, lent: Callable, x: Tensor, rows: slice, rivals: Tensor, *, graph: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Leads (m, k) of the rivals and their gradients (m, k, ...)."""
        x.requires_grad_()
        leads = self._leads(lent, x, rows, rivals)
        if not leads.requires_grad:
            raise ValueError(
                "The logits have no derivative with respect to x: a decision function needs its "
                "slope, so pass a model that detaches nothing and takes no argmax."
            )
        if leads.shape[1] == 1:
            (gradient,) = torch.autograd.grad(leads.sum(), x, create_graph=graph)
            return leads, gradient[:, None]
        each = torch.eye(leads.shape[1], dtype=leads.dtype, device=leads.device)
        each = each[:, None].expand(-1, *leads.shape)
        (gradients,) = torch.autograd.grad(leads, x, each, is_grads_batched=True)
        return leads, gradients.transpose(0, 1)

    @torch.enable_grad()
    def _expanded(
        self, lent: Callable, x: Tensor, rows: slice, h: float | int | None
    ) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
        """F, its gradient, and the function of directions v (k, m, ...) that gives Hv."""
        if h is not None and not h > 0:
            raise ValueError(f"h = {h}: a step has a length, so pass a number above 0, or None.")
        pair = self.rival[:, None]
        value, gradient = self._differentiated(lent, x, rows, pair, graph=h is None)
        value, gradient = value.detach().squeeze(1), gradient.squeeze(1)
        if h is None:
            return value, gradient.detach(), exact(gradient, x)

        def elsewhere(at: Tensor) -> Tensor:
            with borrow.borrowed(self._model, at, ask=False) as lent:
                return self._differentiated(lent, at, rows, pair)[1].squeeze(1)

        return value, gradient, difference(elsewhere, x.detach(), h)

    def _directions(self, v: Tensor, x: Tensor) -> Tensor:
        if v.shape != self._shape and v.shape[1:] != self._shape:
            raise ValueError(
                f"v has shape {tuple(v.shape)} and x {tuple(self._shape)}: one direction per point"
                " is needed, so pass v of the shape of x, or (k, *x.shape) for k directions."
            )
        return v.detach().to(x.dtype).reshape(-1, *self._shape)


def _refuse_samples(x: Tensor) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"x is a {type(x).__name__}: pass a tensor, torch.as_tensor(x).")
    if not x.is_floating_point():
        raise TypeError(f"x is {x.dtype}: F is differentiated in x, so pass x.float().")
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}: pass samples (n, ...), at least one.")
