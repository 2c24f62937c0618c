// A small network of two inputs in the reader's browser: its score, its gradient, its boundary.
// F = f_1 - f_0 is the network with its two logits folded into one output.

const ACTIVATIONS = {
  relu: [(z) => (z > 0 ? z : 0), (z) => (z > 0 ? 1 : 0)],
  leaky_relu: [(z, s) => (z > 0 ? z : s * z), (z, s) => (z > 0 ? 1 : s)],
  abs: [Math.abs, Math.sign],
  softplus: [
    (z, b) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(b * z))) / b,
    (z, b) => 1 / (1 + Math.exp(-b * z)),
  ],
  tanh: [Math.tanh, (z) => 1 - Math.tanh(z) ** 2],
  sigmoid: [(z) => 1 / (1 + Math.exp(-z)), (z) => Math.exp(-Math.abs(z))
    / (1 + Math.exp(-Math.abs(z))) ** 2],
  identity: [(z) => z, () => 1],
};

function network(given) {
  const layers = given.map(({ weight, bias, activation, number }) => ({
    // Column by column: a unit that is silent, as half of all ReLUs are, then costs nothing.
    columns: Float64Array.from(weight[0].flatMap((_, j) => weight.map((row) => row[j]))),
    bias: Float64Array.from(bias), number, ins: weight[0].length,
    act: ACTIVATIONS[activation][0], slope: ACTIVATIONS[activation][1],
    z: new Float64Array(bias.length), a: new Float64Array(bias.length),
  }));
  const input = new Float64Array(2);

  const score = (x, y) => {
    input[0] = x;
    input[1] = y;
    let before = input;
    for (const { columns, bias, number, ins, act, z, a } of layers) {
      z.set(bias);
      for (let j = 0; j < ins; j += 1) {
        const value = before[j];
        if (value !== 0) {
          for (let i = 0, k = j * z.length; i < z.length; i += 1, k += 1) z[i] += value * columns[k];
        }
      }
      for (let i = 0; i < z.length; i += 1) a[i] = act(z[i], number);
      before = a;
    }
    return before[0];
  };

  const gradient = (x, y) => {
    score(x, y);
    let after = [1];
    for (const { columns, number, ins, slope, z } of [...layers].reverse()) {
      const before = new Float64Array(ins);
      for (let i = 0; i < z.length; i += 1) {
        const flow = after[i] * slope(z[i], number);
        for (let j = 0; j < ins; j += 1) before[j] += flow * columns[j * z.length + i];
      }
      after = before;
    }
    return after;
  };
  return { score, gradient };
}

// The field on a grid over the box; `cells` are the squares through which F = 0 passes, each with
// its pieces of the boundary.
function survey(score, x0, y0, size, n) {
  const h = size / n;
  const values = new Float64Array((n + 1) ** 2);
  for (let j = 0, k = 0; j <= n; j += 1) {
    for (let i = 0; i <= n; i += 1, k += 1) values[k] = score(x0 + i * h, y0 + j * h);
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

function foot(piece, x, y) {
  const [[ax, ay], [bx, by]] = piece;
  const [ux, uy] = [bx - ax, by - ay];
  const long = ux * ux + uy * uy;
  const t = long ? Math.min(1, Math.max(0, ((x - ax) * ux + (y - ay) * uy) / long)) : 0;
  const [fx, fy] = [ax + t * ux, ay + t * uy];
  return { x: fx, y: fy, distance: Math.hypot(fx - x, fy - y) };
}

// Squares that may hold the nearest point are divided by six, twice: a corner of the boundary is
// then cut off by a 36th of a square at most.
function nearest(score, cells, x, y) {
  let best = { x: NaN, y: NaN, distance: Infinity };
  let open = cells;
  for (let level = 0; level < 3; level += 1) {
    best = { x: NaN, y: NaN, distance: Infinity };
    for (const cell of open) {
      cell.distance = Infinity;
      for (const piece of cell.pieces) {
        const here = foot(piece, x, y);
        cell.distance = Math.min(cell.distance, here.distance);
        if (here.distance < best.distance) best = here;
      }
    }
    if (level < 2) {
      open = open.filter((cell) => cell.distance <= best.distance + cell.h)
        .flatMap((cell) => survey(score, cell.x, cell.y, cell.h, 6).cells);
    }
  }
  return best;
}
