// A small network of two inputs in the reader's browser: its gap f_1 - f_0, which is the network
// with its two logits folded into one output, and the gradient of that.

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

function forward(layers, input) {
  let before = input;
  for (const { columns, bias, number, ins, act, z, a } of layers) {
    z.set(bias);
    for (let j = 0; j < ins; j += 1) {
      const value = before[j];
      if (value !== 0) {
        const from = j * z.length;
        for (let i = 0; i < z.length; i += 1) z[i] += value * columns[from + i];
      }
    }
    for (let i = 0; i < z.length; i += 1) a[i] = act(z[i], number);
    before = a;
  }
  return before[0];
}

// After forward(), which leaves each unit's input in z.
function backward(layers) {
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
}

function network(given) {
  const layers = given.map(({ weight, bias, activation, number }) => ({
    // Column by column: a unit that is silent, as half of all ReLUs are, then costs nothing.
    columns: Float64Array.from(weight[0].flatMap((_, j) => weight.map((row) => row[j]))),
    bias: Float64Array.from(bias), number, ins: weight[0].length,
    act: ACTIVATIONS[activation][0], slope: ACTIVATIONS[activation][1],
    z: new Float64Array(bias.length), a: new Float64Array(bias.length),
  }));
  const input = new Float64Array(2);
  const gap = (x, y) => {
    input[0] = x;
    input[1] = y;
    return forward(layers, input);
  };
  const gradient = (x, y) => {
    gap(x, y);
    return backward(layers);
  };
  return { gap, gradient };
}
