// A small network in the plane: one point that is dragged, and what overlays draw around it.

// Legend and read-out are one list: what a line looks like, what it is, how much it is now.
function readout() {
  const node = html("ul");
  const add = (name, swatch) => {
    const output = html("output", { "aria-live": "off" });
    const drawn = swatch.map((one) => {
      if (!Array.isArray(one)) return one;
      const copy = one[0].cloneNode();
      copy.setAttribute("transform", `translate(${one[1]} 9)`);
      return copy;
    });
    node.append(html("li", {}, draw("svg", { viewBox: "0 0 34 18", "aria-hidden": "true" },
      ...drawn), html("span", {}, name), output));
    return { name, tell: (text) => { output.textContent = text; } };
  };
  return { node, add };
}

const keys = (names) => html("p", { class: "ng-keys" }, ...names.map((name, label) =>
  html("span", {}, draw("svg", { viewBox: "-9 -9 18 18", width: 18, height: 18,
    "aria-hidden": "true", style: "vertical-align: -4px" }, mark(label, 5.5)), ` ${name}`)));

// A slider for each setting of an overlay.
function settings(data, moved) {
  const all = data.overlays.flatMap((one) => Object.entries(one.settings)).map(([name, range]) =>
    [name, slider(name, { min: range.low, max: range.high, step: (range.high - range.low) / 200,
      value: range.start }, (value) => `${three(value)} ${range.unit}`, moved)]);
  return { nodes: all.map(([, { node }]) => node),
    values: () => Object.fromEntries(all.map(([name, { input }]) =>
      [name, Number(input.value)])) };
}

// What is on screen, in attributes of the figure, in words, and as a sentence.
function state(root, data, { shape, handle, told, live, rows }, here, values, seen) {
  const texts = [`${three(here.value)} logits`, ...seen.map(({ text }) => text)];
  texts.forEach((text, k) => rows[k].tell(text));
  const place = `${three(here.x)}, ${three(here.y)}`;
  const own = data.names[here.own];
  told.textContent = `(${place}): ${own}`;
  handle.style.left = `${(100 * (shape.pad.l + shape.X(here.x))) / shape.width}%`;
  handle.style.top = `${(100 * (shape.pad.t + shape.Y(here.y))) / shape.height}%`;
  const said = rows.map(({ name }, k) => `${name} ${texts[k]}`);
  handle.setAttribute("aria-valuenow", here.x.toFixed(3));
  handle.setAttribute("aria-valuetext", `${place}, ${own}, ${said[0]}`);
  live.say(`Point at ${place}: ${own}; ${said.join("; ")}.`);
  const { x, y, value } = here;
  Object.assign(root.dataset, { x, y, own: here.own, value }, values,
    ...seen.map(({ numbers }) => numbers));
}

const HELP = `Drag the point, or use the arrow keys (Shift: five steps, Home: back). F is the
  rival's logit minus that of the point's own class: negative where it stands.`;

awaken("plane", (root, data, stage) => {
  const N = 96;
  const net = network(data.layers);
  const field = survey(net.gap, data.box.x, data.box.y, data.box.size, N);
  const shape = view(data, 430, 424);
  ground(data, shape, field, N);
  const tools = easel(data, shape, field, net.gap);
  const overlays = data.overlays.map((given) => tools.add(OVERLAYS[given.script](tools, given)));
  const list = readout();
  const dot = draw("circle", { cx: 17, cy: 9, r: 6, fill: "var(--ng-text)" });
  const rows = [list.add("decision function F", [dot]),
    ...overlays.map(({ name, swatch }) => list.add(name, swatch))];
  let at = data.start;
  const set = settings(data, () => update());
  const parts = { shape, rows, told: html("p", { class: "ng-told" }), live: announcer(),
    handle: dragged(data, shape, (...to) => { at = to; update(); }) };
  const update = () => {
    const here = decision(net, ...at);
    const values = set.values();
    state(root, data, parts, here, values, overlays.map((one) => one.update(here, values)));
  };
  shape.node.append(parts.handle);
  stage.append(shape.node, html("div", { class: "ng-panel" }, keys(data.names), parts.told,
    list.node, ...set.nodes, html("p", { class: "ng-help" }, HELP), parts.live.node));
  update();
}, ({ overlays }) => overlays.every(({ script }) => script in OVERLAYS));
