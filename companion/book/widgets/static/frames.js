// Frames computed in Python, chosen by one or two sliders and a switch, played one after another,
// in one panel or in two that move together.
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
  const [left, right, bottom, top] = data.window;
  if (data.diagonal) {
    const [low, high] = [Math.max(left, bottom), Math.min(right, top)];
    shape.over.append(draw("path", { stroke: "var(--ng-soft)", "stroke-dasharray": "3 4",
      d: `M${shape.X(low)} ${shape.Y(low)}L${shape.X(high)} ${shape.Y(high)}` }));
  }
  const decoded = new Map();
  const decode = (index, low, high) => {
    const key = `${index}:${low}:${high}`;
    if (!decoded.has(key)) decoded.set(key, numbers(arrays[index], low, high));
    return decoded.get(key);
  };
  const told = html("p", { class: "ng-told" });

  const show = (frame) => {
    const seen = { n: 0, x: 0, y: 0 };
    told.textContent = frame.text;
    if (bare) {
      pictures(shape.canvas, arrays[frame.parts[0]], data.shape);
      return seen;
    }
    const pen = shape.canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, shape.canvas.width, shape.canvas.height);
    frame.parts.forEach(([xs, ys], k) => {
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
  };
  return { node: shape.node, told, show };
}

awaken("frames", (root, data, stage) => {
  // Both sizes leave a box of the shape that widgets/axes.py counts on.
  const both = data.second ? [data, data.second] : [data];
  const panels = both.map((one) =>
    panel(one, data.arrays, ...(data.second ? [364, 318] : [440, 384])));

  // A figure's radio buttons are a group of their own, since they have a form of their own.
  const form = html("form");
  form.addEventListener("submit", (event) => event.preventDefault());
  const radios = [];
  if (data.switch) {
    const set = html("fieldset", {}, html("legend", {}, data.switch.name));
    data.switch.options.forEach((option, k) => {
      const radio = html("input", { type: "radio", name: "switch", value: k });
      radio.checked = k === data.start[0];
      radio.addEventListener("change", () => { stop(); change(k); });
      radios.push(radio);
      set.append(html("label", {}, radio, html("span", {}, option)));
    });
    form.append(set);
  }
  let option = data.start[0];
  const sliders = data.sliders.map(({ name, labels }, axis) => {
    const one = slider(name, { min: 0, max: labels[option].length - 1, step: 1,
      value: data.start[1 + axis] }, (k) => data.sliders[axis].labels[option][k],
    () => { stop(); update(); });
    form.append(one.node);
    return one;
  });
  const live = announcer();

  function change(to) {
    // The same share of the way, where another option has another number of frames.
    const before = sliders.map(({ input }) => Number(input.value) / (Number(input.max) || 1));
    option = to;
    sliders.forEach(({ input, tell }, axis) => {
      const last = data.sliders[axis].labels[option].length - 1;
      const alone = input.max === "0";
      input.max = last;
      input.disabled = last === 0;
      input.value = alone ? last : Math.round(before[axis] * last);
      tell();
    });
    update();
  }

  function update() {
    const at = sliders.map(({ input }) => Number(input.value));
    const frame = data.frames[at.reduce((table, k) => table[k], data.lookup[option])];
    const shown = frame.second ? [frame, frame.second] : [frame];
    panels.forEach((one, k) => {
      const seen = one.show(shown[k]);
      const place = k ? "2" : "";
      root.dataset[`text${place}`] = shown[k].text;
      root.dataset[`count${place}`] = seen.n;
      root.dataset[`meanX${place}`] = seen.n ? seen.x / seen.n : "";
      root.dataset[`meanY${place}`] = seen.n ? seen.y / seen.n : "";
    });
    const where = data.sliders.map(({ name, labels }, axis) =>
      `${name} ${labels[option][at[axis]]}`);
    if (data.switch) where.unshift(data.switch.options[option]);
    const texts = shown.map(({ text }) => text).filter((text) => text);
    live.say(`${where.join(", ")}: ${texts.join("; ")}`);
    root.dataset.switch = data.switch ? data.switch.options[option] : "";
    data.sliders.forEach(({ labels }, axis) => {
      root.dataset[`slider${axis + 1}`] = labels[option][at[axis]];
    });
  }

  // Play walks along the last slider. Who asked for less motion goes on by hand, frame by frame.
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const idle = still ? "Next frame" : "Play";
  const button = html("button", { type: "button" }, idle);
  const along = sliders[sliders.length - 1];
  let timer = 0;
  const step = () => {
    const last = Number(along.input.max);
    along.input.value = Number(along.input.value) < last ? Number(along.input.value) + 1 : 0;
    along.tell();
    update();
  };
  function stop() {
    clearTimeout(timer);
    timer = 0;
    button.textContent = idle;
  }
  const play = () => {
    if (!root.isConnected || Number(along.input.value) >= Number(along.input.max)) {
      stop();
      return;
    }
    step();
    timer = setTimeout(play, 900);
  };
  button.addEventListener("click", () => {
    if (still) step();
    else if (timer) stop();
    else {
      button.textContent = "Pause";
      step();
      timer = setTimeout(play, 900);
    }
  });
  form.append(button);

  const keys = both.map((one) => (meaning(one) ? [legend(one)] : []));
  if (data.second) {
    stage.classList.add("ng-pair");
    const shared = meaning(data) === meaning(data.second) ? keys[0] : [];
    stage.append(...shared, ...panels.map(({ told, node }, k) => html("div",
      { class: "ng-column" }, ...(shared.length ? [] : keys[k]), told, node)),
    html("div", { class: "ng-panel" }, form, live.node));
  } else {
    stage.append(panels[0].node,
      html("div", { class: "ng-panel" }, ...keys[0], panels[0].told, form, live.node));
  }
  sliders.forEach(({ input }) => { input.disabled = input.max === "0"; });
  update();
});
