// What does not move: the regions of a small network, their boundary, the data.

function paint(canvas, data, field, n) {
  const [left, right, bottom, top] = data.window;
  const { x: x0, y: y0, size: side } = data.box;
  const sorted = Float64Array.from(field.values, Math.abs).sort();
  const typical = sorted[Math.floor(0.6 * sorted.length)] || 1;
  const steps = [1, 2, 3, 4, 5].map((k) => 1.5 * typical * Math.atanh(k / 6));
  const inks = INK.slice(0, 2).map((ink) => parseInt(ink.slice(1), 16));
  const { width, height } = canvas;
  const image = new ImageData(width, height);
  for (let row = 0, k = 0; row < height; row += 1) {
    const v = ((top - ((row + 0.5) / height) * (top - bottom) - y0) / side) * n;
    const j = Math.floor(v);
    for (let column = 0; column < width; column += 1, k += 4) {
      const u = ((left + ((column + 0.5) / width) * (right - left) - x0) / side) * n;
      const i = Math.floor(u);
      const at = j * (n + 1) + i;
      const below = field.values[at] * (i + 1 - u) + field.values[at + 1] * (u - i);
      const over = field.values[at + n + 1] * (i + 1 - u) + field.values[at + n + 2] * (u - i);
      const value = below * (j + 1 - v) + over * (v - j);
      const ink = inks[value > 0 ? 1 : 0];
      // Bands of equal colour: their edges are level sets of the score. Half transparent, so that
      // the page's own background, light or dark, makes them light or dark.
      const size = Math.abs(value);
      let band = 0;
      while (band < 5 && size > steps[band]) band += 1;
      image.data[k] = ink >> 16;
      image.data[k + 1] = (ink >> 8) & 255;
      image.data[k + 2] = ink & 255;
      image.data[k + 3] = 22 + 18 * band;
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const mark = (label, r) => draw("path", { d: MARKS[label](r), "stroke-width": 1.2,
  fill: label ? "var(--ng-b)" : "var(--ng-a)", stroke: "var(--ng-back)" });

function ground(data, shape, field, n) {
  const { over, X, Y, path } = shape;
  paint(shape.canvas, data, field, n);
  over.append(draw("path", { d: field.cells.flatMap((cell) => cell.pieces.map(path)).join(""),
    fill: "none", stroke: "var(--ng-text)", "stroke-width": 1.8, "stroke-linecap": "round" }));
  for (const [x, y, label] of data.points) {
    const one = mark(label, 4.2);
    one.setAttribute("transform", `translate(${X(x).toFixed(1)} ${Y(y).toFixed(1)})`);
    over.append(one);
  }
}
