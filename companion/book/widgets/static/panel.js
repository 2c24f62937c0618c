// One panel of a living figure that Python computed: points, curves, histograms, small pictures.
// Every number is two of these characters: 12 bits of the range that the axis shows.

const SIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const CODE = new Map([...SIX].map((one, k) => [one, k]));
const DASHES = [[], [7, 4], [2, 4], [9, 3, 2, 3]];

function numbers(text, low, high) {
  const values = new Float64Array(text.length / 2);
  for (let k = 0; k < values.length; k += 1) {
    const code = 64 * CODE.get(text[2 * k]) + CODE.get(text[2 * k + 1]);
    values[k] = low + (code / 4095) * (high - low);
  }
  return values;
}

function points(pen, x, y, group, shape, size) {
  const outline = new Path2D(MARKS[group](size));
  for (let k = 0; k < x.length; k += 1) {
    pen.setTransform(shape.density, 0, 0, shape.density,
      shape.X(x[k]) * shape.density, shape.Y(y[k]) * shape.density);
    if (group % 2) pen.stroke(outline);
    else pen.fill(outline);
  }
}

function curve(pen, x, y, group, shape, filled) {
  pen.setTransform(shape.density, 0, 0, shape.density, 0, 0);
  pen.beginPath();
  for (let k = 0; k < x.length; k += 1) pen.lineTo(shape.X(x[k]), shape.Y(y[k]));
  pen.setLineDash(DASHES[group]);
  pen.lineWidth = 2.5;
  pen.stroke();
  if (filled) {
    pen.lineTo(shape.X(x[x.length - 1]), shape.inner.h);
    pen.lineTo(shape.X(x[0]), shape.inner.h);
    pen.globalAlpha = 0.2;
    pen.fill();
  }
}

function pictures(canvas, text, [count, height, width]) {
  const bytes = atob(text);
  canvas.width = count * (width + 1) - 1;
  canvas.height = height;
  const image = new ImageData(canvas.width, canvas.height);
  for (let k = 0; k < bytes.length; k += 1) {
    const row = Math.floor(k / width) % height;
    const left = Math.floor(k / (width * height)) * (width + 1) + (k % width);
    image.data.set([0, 0, 0].fill(bytes.charCodeAt(k)).concat(255),
      4 * (row * canvas.width + left));
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function legend(data) {
  const keys = html("p", { class: "ng-keys" });
  data.groups.forEach((name, k) => {
    const ink = `var(--ng-${"abcd"[k]})`;
    const swatch = data.kind === "points"
      ? draw("path", { d: MARKS[k](5.5), transform: "translate(17 9)", "stroke-width": 2,
        fill: k % 2 ? "none" : ink, stroke: ink })
      : draw("path", { d: "M2 9H32", stroke: ink, "stroke-width": 2.5,
        "stroke-dasharray": DASHES[k].join(" ") });
    keys.append(html("span", {}, draw("svg", { viewBox: "0 0 34 18", width: 34, height: 18,
      "aria-hidden": "true", style: "vertical-align: -4px" }, swatch), ` ${name}`));
  });
  return keys;
}

// What a legend says; an empty string where there is one group.
const meaning = ({ groups, kind }) =>
  (groups.length > 1 ? JSON.stringify([kind === "points", groups]) : "");

// Where the panel's numbers are drawn: points, or curves over the box of the axes.
function plot(shape, data, decode, parts) {
  const seen = { n: 0, x: 0, y: 0 };
  const [left, right, bottom, top] = data.window;
  const pen = shape.canvas.getContext("2d");
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, shape.canvas.width, shape.canvas.height);
  parts.forEach(([xs, ys], k) => {
    const x = decode(xs, left, right);
    const y = decode(ys, bottom, top);
    pen.globalAlpha = data.kind === "points" && x.length > 200 ? 0.6 : 1;
    pen.fillStyle = pen.strokeStyle = INK[k];
    pen.lineWidth = 1.2;
    if (data.kind === "points") points(pen, x, y, k, shape, x.length > 200 ? 2.4 : 4);
    else curve(pen, x, y, k, shape, data.filled);
    for (let i = 0; i < x.length; i += 1) {
      seen.n += 1;
      seen.x += x[i];
      seen.y += y[i];
    }
  });
  return seen;
}

function diagonal(shape, [left, right, bottom, top]) {
  const [low, high] = [Math.max(left, bottom), Math.min(right, top)];
  shape.over.append(draw("path", { stroke: "var(--ng-soft)", "stroke-dasharray": "3 4",
    d: `M${shape.X(low)} ${shape.Y(low)}L${shape.X(high)} ${shape.Y(high)}` }));
}

// A panel: its picture, the text of its frame, and show(frame), which draws a frame and says
// how many points it has and the sums of their x and y.
function panel(data, arrays, width, height) {
  const bare = data.kind === "images";
  const [count, tall, wide] = data.shape || [0, 0, 0];
  const shape = bare ? view(data, width, (width * tall) / (count * (wide + 1) - 1), true)
    : view(data, width, height);
  if (bare) {
    Object.assign(shape.canvas.style, { width: "100%", height: "100%", inset: 0,
      imageRendering: "pixelated" });
  }
  if (data.diagonal) diagonal(shape, data.window);
  const decoded = new Map();
  const decode = (index, low, high) => {
    const key = `${index}:${low}:${high}`;
    if (!decoded.has(key)) decoded.set(key, numbers(arrays[index], low, high));
    return decoded.get(key);
  };
  const told = html("p", { class: "ng-told" });
  const show = ({ text, parts }) => {
    told.textContent = text;
    if (!bare) return plot(shape, data, decode, parts);
    pictures(shape.canvas, arrays[parts[0]], data.shape);
    return { n: 0, x: 0, y: 0 };
  };
  return { node: shape.node, told, show };
}
