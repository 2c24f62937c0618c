// What a picture stands in: a canvas below, axes and a drawing above.

function ticks(low, high) {
  const raw = (high - low) / 5;
  const ten = 10 ** Math.floor(Math.log10(raw));
  const step = ten * [1, 2, 5, 10].find((one) => one * ten >= raw * 0.999);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const all = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) {
    all.push([k * step, shown(k * step, digits)]);
  }
  return all;
}

// The numbers along both axes and what is measured there.
function axes(paper, data, { pad, inner, X, Y, height }) {
  const [left, right, bottom, top] = data.window;
  const foot = height - pad.b;
  for (const [x, text] of ticks(left, right)) {
    const at = pad.l + X(x);
    paper.append(draw("path", { d: `M${at} ${foot}v5`, stroke: "var(--ng-soft)" }),
      draw("text", { x: at, y: foot + 18, "text-anchor": "middle" }, text));
  }
  for (const [y, text] of ticks(bottom, top)) {
    const at = pad.t + Y(y);
    paper.append(draw("path", { d: `M${pad.l} ${at}h-5`, stroke: "var(--ng-soft)" }),
      draw("text", { x: pad.l - 8, y: at + 4.5, "text-anchor": "end" }, text));
  }
  const middle = pad.t + inner.h / 2;
  paper.append(
    draw("text", { class: "ng-name", x: pad.l + inner.w / 2, y: height - 7,
      "text-anchor": "middle" }, data.xlabel),
    draw("text", { class: "ng-name", x: 13, y: middle, "text-anchor": "middle",
      transform: `rotate(-90 13 ${middle})` }, data.ylabel),
  );
}

function sheet({ pad, inner, width, height }) {
  const canvas = html("canvas", { "aria-hidden": "true" });
  Object.assign(canvas.style, {
    left: `${(100 * pad.l) / width}%`, top: `${(100 * pad.t) / height}%`,
    width: `${(100 * inner.w) / width}%`, height: `${(100 * inner.h) / height}%`,
  });
  const density = Math.min(2, Math.max(1, window.devicePixelRatio || 1));
  canvas.width = Math.round(inner.w * density);
  canvas.height = Math.round(inner.h * density);
  return { canvas, density };
}

// A canvas below, axes and a drawing above; X and Y map data to the drawing's coordinates.
function view(data, width, height, bare = false) {
  const pad = bare ? { l: 0, r: 0, t: 0, b: 0 } : { l: 52, r: 10, t: 10, b: 46 };
  const inner = { w: width - pad.l - pad.r, h: height - pad.t - pad.b };
  const [left, right, bottom, top] = data.window;
  const X = (x) => ((x - left) / (right - left)) * inner.w;
  const Y = (y) => ((top - y) / (top - bottom)) * inner.h;
  const shape = { X, Y, pad, inner, width, height };
  const { canvas, density } = sheet(shape);
  const over = draw("svg", {
    x: pad.l, y: pad.t, width: inner.w, height: inner.h, overflow: "hidden",
  });
  const paper = draw("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  if (!bare) axes(paper, data, shape);
  paper.append(over);
  if (!bare) {
    paper.append(draw("rect", { x: pad.l, y: pad.t, width: inner.w, height: inner.h,
      fill: "none", stroke: "var(--ng-line)" }));
  }
  const node = html("div", { class: "ng-view" }, canvas, paper);
  node.style.aspectRatio = `${width} / ${height}`;
  const path = (places) => places.map(([x, y], k) =>
    `${k ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`).join("");
  return { ...shape, node, canvas, over, path, density };
}
