// A small network in the plane: one point that is dragged, and what the network does around it.

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

const ARROW = "var(--ng-text)";
const LINES = {
  gradient: ["gradient of F", { stroke: ARROW, "stroke-width": 3 }],
  linear: ["linear guess at", { stroke: "var(--ng-c)", "stroke-width": 2.5,
    "stroke-dasharray": "6 4" }],
  nearest: ["nearest boundary at", { stroke: "var(--ng-d)", "stroke-width": 3 }],
  circle: ["directions to the rival", { stroke: ARROW, "stroke-width": 4 }],
};

awaken("plane", (root, data, stage) => {
  const N = 96;
  const { score, gradient } = network(data.layers);
  const field = survey(score, data.box.x, data.box.y, data.box.size, N);
  const shape = view(data, 430, 424);
  const { over, X, Y } = shape;
  const [left, right, bottom, top] = data.window;
  const scale = shape.inner.w / (right - left);
  const has = (name) => data.overlays.includes(name);
  paint(shape.canvas, data, field, N);

  const path = (pairs) => pairs.map(([x, y], k) =>
    `${k ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`).join("");
  over.append(draw("path", { d: field.cells.flatMap((cell) => cell.pieces.map(path)).join(""),
    fill: "none", stroke: "var(--ng-text)", "stroke-width": 1.8, "stroke-linecap": "round" }));
  const mark = (label, r) => draw("path", { d: MARKS[label](r), "stroke-width": 1.2,
    fill: label ? "var(--ng-b)" : "var(--ng-a)", stroke: "var(--ng-back)" });
  for (const [x, y, label] of data.points) {
    const one = mark(label, 4.2);
    one.setAttribute("transform", `translate(${X(x).toFixed(1)} ${Y(y).toFixed(1)})`);
    over.append(one);
  }

  const line = (name, more = {}) => draw("path", { fill: "none", "stroke-linecap": "round",
    ...LINES[name][1], ...more });
  const halo = draw("path", { fill: "none", stroke: "var(--ng-back)", "stroke-width": 7,
    "stroke-linecap": "round", opacity: 0.75 });
  const lines = Object.fromEntries(Object.keys(LINES).map((name) => [name, line(name)]));
  const round = draw("circle", { fill: "none", stroke: ARROW, "stroke-dasharray": "1.5 5",
    "stroke-width": 2, "stroke-linecap": "round" });
  const head = draw("path", { d: "M2 0L-11 6.5L-7.5 0L-11 -6.5z", fill: ARROW });
  const guess = draw("path", { d: MARKS[3](6.5), fill: "none", stroke: "var(--ng-c)",
    "stroke-width": 2.5 });
  const place = draw("path", { d: MARKS[2](5.5), fill: "var(--ng-d)", stroke: "var(--ng-back)",
    "stroke-width": 1.5 });
  if (has("circle")) over.append(round, lines.circle);
  over.append(halo);
  if (has("nearest")) over.append(lines.nearest, place);
  if (has("linear")) over.append(lines.linear, guess);
  if (has("gradient")) over.append(lines.gradient, head);

  const handle = html("div", { class: "ng-handle", role: "slider", tabindex: 0,
    "aria-label": "point in the plane, moved with the arrow keys",
    "aria-roledescription": "draggable point", "aria-valuemin": left, "aria-valuemax": right });
  shape.node.append(handle);

  // Legend and read-out are one list: what a line looks like, what it is, how much it is now.
  const rows = html("ul");
  const outputs = {};
  const row = (name, swatch, text) => {
    outputs[name] = html("output", { "aria-live": "off" });
    rows.append(html("li", {}, draw("svg", { viewBox: "0 0 34 18", "aria-hidden": "true" },
      ...swatch), html("span", {}, text), outputs[name]));
  };
  const sample = (name) => line(name, { d: "M3 9H31" });
  const moved = (node, x) => {
    const copy = node.cloneNode();
    copy.setAttribute("transform", `translate(${x} 9)`);
    return copy;
  };
  row("score", [draw("circle", { cx: 17, cy: 9, r: 6, fill: "var(--ng-text)" })],
    "score F");
  if (has("gradient")) {
    row("gradient", [line("gradient", { d: "M3 9H26" }), moved(head, 30)], LINES.gradient[0]);
  }
  if (has("linear")) row("linear", [sample("linear"), moved(guess, 24)], LINES.linear[0]);
  if (has("nearest")) row("nearest", [sample("nearest"), moved(place, 24)], LINES.nearest[0]);
  if (has("circle")) row("share", [sample("circle")], LINES.circle[0]);

  const classes = html("p", { class: "ng-keys" });
  data.names.forEach((name, label) => classes.append(html("span", {}, draw("svg", {
    viewBox: "-9 -9 18 18", width: 18, height: 18, "aria-hidden": "true",
    style: "vertical-align: -4px" }, mark(label, 5.5)), ` ${name}`)));
  const told = html("p", { class: "ng-told" });
  const live = announcer();
  let [x, y] = data.start;
  const reach = data.radius;
  const radius = has("circle") ? slider("radius",
    { min: 0, max: reach.max, step: reach.max / 200, value: reach.start },
    (value) => `${shown(value)} ${data.unit}`, () => update()) : null;

  function update() {
    const raw = score(x, y);
    const own = raw > 0 ? 1 : 0;
    const sign = own ? 1 : -1;
    const F = sign * raw;
    const [gx, gy] = [...gradient(x, y)].map((value) => sign * value);
    const length = Math.hypot(gx, gy);
    const step = F / length;
    const to = length ? [x - (step * gx) / length, y - (step * gy) / length] : [NaN, NaN];
    const near = nearest(score, field.cells, x, y);
    const r = radius ? Number(radius.input.value) : reach.start;
    const turns = 1440;
    let changed = 0;
    let arcs = "";
    let inside = false;
    for (let k = 0; k <= turns; k += 1) {
      const angle = (2 * Math.PI * k) / turns;
      const [cx, cy] = [x + r * Math.cos(angle), y + r * Math.sin(angle)];
      const other = score(cx, cy) > 0 !== own > 0;
      if (other && k < turns) changed += 1;
      if (other && (!inside || k % 4 === 0)) {
        arcs += `${inside ? "L" : "M"}${X(cx).toFixed(1)} ${Y(cy).toFixed(1)}`;
      }
      inside = other;
    }
    const share = changed / turns;

    handle.style.left = `${(100 * (shape.pad.l + X(x))) / shape.width}%`;
    handle.style.top = `${(100 * (shape.pad.t + Y(y))) / shape.height}%`;
    round.setAttribute("cx", X(x));
    round.setAttribute("cy", Y(y));
    round.setAttribute("r", r * scale);
    lines.circle.setAttribute("d", arcs);
    const tip = [x + gx * data.arrow, y + gy * data.arrow];
    const turn = (Math.atan2(-gy, gx) * 180) / Math.PI;
    const lay = (node, at, show, more = "") => {
      node.style.display = show ? "" : "none";
      if (show) node.setAttribute("transform", `translate(${X(at[0])} ${Y(at[1])})${more}`);
    };
    const found = Number.isFinite(near.distance);
    const guessed = Number.isFinite(step) && step < 4 * (right - left);
    lay(head, tip, length > 0, ` rotate(${turn})`);
    lay(place, [near.x, near.y], found);
    lay(guess, to, guessed);
    const strokes = { gradient: length > 0 ? path([[x, y], tip]) : "",
      nearest: found ? path([[x, y], [near.x, near.y]]) : "",
      linear: guessed ? path([[x, y], to]) : "" };
    for (const [name, d] of Object.entries(strokes)) lines[name].setAttribute("d", d);
    halo.setAttribute("d", Object.keys(strokes).filter(has).map((name) => strokes[name]).join(""));

    const unit = data.unit;
    const distance = (value) => (Number.isFinite(value) ? shown(value, 3) : "none in sight");
    const texts = { score: shown(F, 3), gradient: shown(length, 3), linear: distance(step),
      nearest: distance(near.distance), share: `${shown(100 * share, 0)} %` };
    for (const [name, output] of Object.entries(outputs)) output.textContent = texts[name];
    told.textContent = `(${shown(x)}, ${shown(y)}): ${data.names[own]}`;
    handle.setAttribute("aria-valuenow", x.toFixed(3));
    handle.setAttribute("aria-valuetext",
      `x ${shown(x)}, y ${shown(y)}, ${data.names[own]}, score ${texts.score}`);
    const parts = [`Point at ${shown(x)}, ${shown(y)}: ${data.names[own]}, score ${texts.score}`];
    if (has("linear")) parts.push(`linear guess ${texts.linear} ${unit}`);
    if (has("nearest")) parts.push(`nearest boundary ${texts.nearest} ${unit}`);
    if (has("circle")) {
      parts.push(`${texts.share} of the directions of length ${shown(r)} change the class`);
    }
    live.say(`${parts.join("; ")}.`);
    Object.assign(root.dataset, { x, y, own, score: F, gradientX: gx, gradientY: gy,
      linear: step, guessX: to[0], guessY: to[1], nearest: near.distance, footX: near.x,
      footY: near.y, radius: r, share });
  }

  const go = (toX, toY) => {
    x = Math.min(right, Math.max(left, toX));
    y = Math.min(top, Math.max(bottom, toY));
    update();
  };
  const follow = (event) => {
    const box = shape.canvas.getBoundingClientRect();
    go(left + ((event.clientX - box.left) / box.width) * (right - left),
      top - ((event.clientY - box.top) / box.height) * (top - bottom));
  };
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    handle.focus({ preventScroll: true });
  });
  handle.addEventListener("pointermove", (event) => {
    if (handle.hasPointerCapture(event.pointerId)) follow(event);
  });
  shape.canvas.addEventListener("click", (event) => {
    handle.focus({ preventScroll: true });
    follow(event);
  });
  handle.addEventListener("keydown", (event) => {
    const step = ((right - left) / 100) * (event.shiftKey ? 5 : 1);
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (event.key === "Home") go(...data.start);
    else if (by[event.key]) go(x + step * by[event.key][0], y + step * by[event.key][1]);
    else return;
    event.preventDefault();
  });

  stage.append(shape.node, html("div", { class: "ng-panel" }, classes, told, rows,
    ...(radius ? [radius.node] : []),
    html("p", { class: "ng-help" }, `Drag the point, or use the arrow keys (Shift: five steps,
      Home: back). F is the score of its class minus that of the rival; distances are in
      ${data.unit}.`), live.node));
  update();
});
