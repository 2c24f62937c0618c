"""Networks, walks and attacks again, in NumPy and plain loops: what the headline numbers rest on.

Nothing here calls the package. Everything is float64; a network is read off its weights.
"""

import numpy as np
import torch
from torch import nn


class Plain:
    """A network whose layers stand in a row, forward and back.

    Args:
        net: Linear layers, batch normalisation as after training, ReLU and tanh.
        only: Which of the logits it may name; by default all.
    """

    def __init__(self, net, only=None):
        self.layers = []
        for leaf in net.modules():
            if isinstance(leaf, nn.Linear):
                self.layers.append(["linear", *map(double, (leaf.weight, leaf.bias))])
            elif isinstance(leaf, nn.BatchNorm1d):
                scale = double(leaf.weight) / np.sqrt(double(leaf.running_var) + leaf.eps)
                shift = double(leaf.bias) - double(leaf.running_mean) * scale
                self.layers.append(["linear", np.diag(scale), shift])
            elif isinstance(leaf, nn.ReLU | nn.Tanh):
                self.layers.append([type(leaf).__name__])
            else:
                assert isinstance(leaf, nn.Identity | nn.Flatten) or list(leaf.children())
        if only is not None:
            kind, weight, bias = self.layers[-1]
            self.layers[-1] = [kind, weight[only], bias[only]]

    def all(self, x):
        """The points (n, D), and what each layer makes of them, the logits last."""
        seen = [np.asarray(x, dtype=float)]
        for kind, *weights in self.layers:
            z = seen[-1]
            if kind == "linear":
                seen.append(z @ weights[0].T + weights[1])
            else:
                seen.append(np.maximum(z, 0) if kind == "ReLU" else np.tanh(z))
        return seen

    def __call__(self, x):
        return self.all(x)[-1]

    def back(self, seen, pull):
        """Gradients (n, D) at the points, from those at the last entry of `seen` (n, width)."""
        for (kind, *weights), z in zip(self.layers[len(seen) - 2 :: -1], seen[:0:-1], strict=True):
            if kind == "linear":
                pull = pull @ weights[0]
            else:
                pull = pull * ((z > 0) if kind == "ReLU" else 1 - z**2)
        return pull

    def slopes(self, x):
        """The derivative (C, D) of the logits at one point (D,)."""
        seen = self.all(x)
        return self.back(seen, np.eye(len(seen[-1])))


def double(tensor):
    return tensor.detach().double().numpy()


# --- walks --------------------------------------------------------------------------------


def first_other(plain, x, unit, looks):
    """How far from x (D,) along `unit` the answer first changes: looks, then twenty halvings."""
    own = plain(x).argmax()
    other = plain(x + looks[:, None] * unit).argmax(axis=1) != own
    if not other.any():
        return np.inf
    k = other.argmax()
    near, far = (looks[k - 1] if k else 0.0), looks[k]
    for _ in range(20):
        middle = (near + far) / 2
        near, far = (near, middle) if plain(x + middle * unit).argmax() != own else (middle, far)
    return far


def linear_steps(plain, x, own):
    """The shortest steps (C - 1, D) from x to the linearised wall of each rival."""
    f, slopes = plain(x), plain.slopes(x)
    gap = np.delete(f - f[own], own)
    normal = np.delete(slopes - slopes[own], own, axis=0)
    return abs(gap)[:, None] / (normal**2).sum(axis=1, keepdims=True) * normal


def shortest_walk(plain, x, *, rounds=4):
    """Length and direction: DeepFool, then `rounds` times straight at the wall that was met."""
    own, delta = plain(x).argmax(), np.zeros_like(x)
    while plain(x + 1.02 * delta).argmax() == own:
        steps = linear_steps(plain, x + 1.02 * delta, own)
        delta = delta + steps[np.linalg.norm(steps, axis=1).argmin()]
    length = np.linalg.norm(delta)
    looks = np.arange(1, 17) / 16
    u = delta / length
    r = first_other(plain, x, u, 1.02 * length * looks)
    for _ in range(rounds):
        f, slopes = plain(x + r * u), plain.slopes(x + r * u)
        f[own] = -np.inf
        normal = slopes[f.argmax()] - slopes[own]
        normal = normal / np.linalg.norm(normal)
        for way in (normal, normal + u):
            way = way / np.linalg.norm(way)
            length = first_other(plain, x, way, r * looks)
            if length < r:
                r, u = length, way
    return r, u


# --- attacks --------------------------------------------------------------------------------


def climbed(plain, x, y, loss):
    """The loss of each sample, whether its label is not y, and the gradient at x (n, D)."""
    seen, rows = plain.all(x), np.arange(len(y))
    f = seen[-1]
    if loss == "cross_entropy":
        log_p = f - f.max(axis=1, keepdims=True)
        log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
        value, pull = -log_p[rows, y], np.exp(log_p)
        pull[rows, y] -= 1
    else:
        others = f.copy()
        others[rows, y] = -np.inf
        best = others.argmax(axis=1)
        value, pull = f[rows, best] - f[rows, y], np.zeros_like(f)
        pull[rows, best], pull[rows, y] = 1, -1
    return value, f.argmax(axis=1) != y, plain.back(seen, pull)


def start_of(n, dim, seed=0):
    """Where an attack with this seed begins in the cube from -1 to 1 (n, D)."""
    dice = torch.Generator().manual_seed(seed)
    dice = torch.Generator().manual_seed(int(torch.randint(2**62, (1,), generator=dice)))
    return 2 * torch.rand(n, dim, generator=dice, dtype=torch.float64).numpy() - 1


def pgd(plain, x, y, *, eps, steps, loss="cross_entropy", bounds=(-np.inf, np.inf)):
    """The worst point in the cube: steps along the signs of the gradient, the best one kept."""
    low, high = np.maximum(x - eps, bounds[0]), np.minimum(x + eps, bounds[1])
    best, (value, wrong, _) = x.copy(), climbed(plain, x, y, loss)
    at = np.clip(x + eps * start_of(*x.shape), low, high)
    for _ in range(steps + 1):
        now, falls, gradient = climbed(plain, at, y, loss)
        better = (falls & ~wrong) | ((falls == wrong) & (now > value))
        best[better], value = at[better], np.where(better, now, value)
        wrong = wrong | falls
        at = np.clip(at + 2.5 * eps / steps * np.sign(gradient), low, high)
    return best


def withstood(plain, x, y, *, eps, steps, bounds=(-np.inf, np.inf)):
    """Which samples keep their label under the attacks on both losses."""
    return np.all([
        plain(pgd(plain, x, y, eps=eps, steps=steps, loss=loss, bounds=bounds)).argmax(axis=1) == y
        for loss in ("cross_entropy", "logit_gap")
    ], axis=0)  # fmt: skip
