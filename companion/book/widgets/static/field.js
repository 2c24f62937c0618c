// The plane around a point: where the network's boundary runs, and what it says at one place.

// The gap on a grid over the box; `cells` are the squares through which it passes 0, each with its
// pieces of the boundary.
function survey(gap, x0, y0, size, n) {
  const h = size / n;
  const values = new Float64Array((n + 1) ** 2);
  for (let j = 0, k = 0; j <= n; j += 1) {
    for (let i = 0; i <= n; i += 1, k += 1) values[k] = gap(x0 + i * h, y0 + j * h);
  }
  const cells = [];
  for (let j = 0; j < n; j += 1) {
    for (let i = 0; i < n; i += 1) {
      const k = j * (n + 1) + i;
      const above = (values[k] > 0) + (values[k + 1] > 0) + (values[k + n + 1] > 0)
        + (values[k + n + 2] > 0);
      if (above % 4) {
        const corners = [values[k], values[k + 1], values[k + n + 2], values[k + n + 1]];
        const x = x0 + i * h;
        const y = y0 + j * h;
        cells.push({ x, y, h, pieces: pieces(corners, x, y, h) });
      }
    }
  }
  return { values, cells, h };
}

function pieces(corners, x, y, h) {
  const [a, b, c, d] = corners;
  const cut = [];
  const walk = [[a, b, 0, 0, 1, 0], [b, c, 1, 0, 0, 1], [c, d, 1, 1, -1, 0], [d, a, 0, 1, 0, -1]];
  for (const [from, to, u, v, du, dv] of walk) {
    if (from > 0 !== to > 0) {
      const t = from / (from - to);
      cut.push([x + h * (u + t * du), y + h * (v + t * dv)]);
    }
  }
  if (cut.length === 2) return [cut];
  // A saddle: the centre decides which corners are joined.
  return a > 0 === a + b + c + d > 0
    ? [[cut[0], cut[1]], [cut[2], cut[3]]] : [[cut[3], cut[0]], [cut[1], cut[2]]];
}

// F = f_rival - f_own, negative where the point stands, and its gradient.
function decision({ gap, gradient }, x, y) {
  const value = gap(x, y);
  const own = value > 0 ? 1 : 0;
  const sign = own ? -1 : 1;
  const [gx, gy] = gradient(x, y).map((one) => sign * one);
  return { x, y, own, value: sign * value, gx, gy, slope: Math.hypot(gx, gy),
    rival: (u, v) => gap(u, v) > 0 !== own > 0 };
}
