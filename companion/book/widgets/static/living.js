// What both kinds of living figures share: theme, axes, controls, announcements.
// companion.book.widgets puts this file and the file of one kind inside one function, so that nothing
// here is global. Listeners sit on the figure's own elements and go when those go.

const INK = ["#2b83c6", "#cf6214", "#8a63c4", "#2a9163"]; // contrast of 3 on white and on black

const STYLE = `
.ng-living { --ng-text: var(--pst-color-text-base, var(--jp-content-font-color1, currentColor));
  --ng-soft: var(--pst-color-text-muted, var(--jp-content-font-color1, currentColor));
  --ng-line: var(--pst-color-border, var(--jp-border-color1, #8888));
  --ng-back: var(--pst-color-background, var(--jp-layout-color0, Canvas));
  --ng-a: ${INK[0]}; --ng-b: ${INK[1]}; --ng-c: ${INK[2]}; --ng-d: ${INK[3]};
  color: var(--ng-text); }
.ng-living figure { margin: 0; }
.ng-living.ng-living.ng-living figure.ng-figure figcaption { max-width: 46rem;
  margin: .7rem auto 0; text-align: left; }
.ng-living .ng-still { max-width: 100%; height: auto; }
.ng-living[data-ready] .ng-still { display: none; }
.ng-stage { display: flex; flex-wrap: wrap; gap: .8rem 1.6rem; align-items: center;
  justify-content: center; max-width: 46rem; margin: 0 auto; text-align: left;
  font-size: .9rem; line-height: 1.4; }
.ng-view { position: relative; flex: 4 1 18rem; max-width: 27rem; }
.ng-view > svg, .ng-view > canvas { display: block; position: absolute; }
.ng-view > svg { inset: 0; width: 100%; height: 100%; pointer-events: none; }
.ng-view text { fill: var(--ng-soft); font-size: 14px; font-variant-numeric: tabular-nums; }
.ng-view .ng-name { fill: var(--ng-text); font-size: 15px; }
.ng-panel { display: flex; flex: 3 1 15rem; flex-direction: column; gap: .5rem; min-width: 0;
  max-width: 27rem; }
.ng-panel > form { display: contents; }
.ng-panel output { font-weight: 600; font-variant-numeric: tabular-nums; }
.ng-panel label.ng-slider { display: block; }
.ng-panel label.ng-slider input { display: block; width: 100%; height: 2.75rem; margin: 0;
  accent-color: var(--ng-a); touch-action: pan-y; cursor: pointer; }
.ng-panel label.ng-slider input:disabled { opacity: .45; cursor: default; }
.ng-panel fieldset { display: flex; flex-wrap: wrap; min-width: 0; margin: 0; padding: 0;
  border: 0; }
.ng-panel legend { float: none; width: auto; margin: 0 0 .3rem; padding: 0; font-size: inherit; }
.ng-panel fieldset label { position: relative; display: flex; flex: 1 1 auto; min-height: 2.75rem;
  align-items: center; justify-content: center; margin: 0 -1px 0 0; padding: 0 .35rem;
  border: 1px solid var(--ng-line); cursor: pointer; }
.ng-panel fieldset label:first-of-type { border-radius: .4rem 0 0 .4rem; }
.ng-panel fieldset label:last-of-type { border-radius: 0 .4rem .4rem 0; }
.ng-panel fieldset input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0;
  opacity: 0; cursor: pointer; }
.ng-panel fieldset label:has(:checked) { z-index: 1; border-color: var(--ng-a); font-weight: 700;
  box-shadow: inset 0 -3px var(--ng-a); }
.ng-panel button { align-self: flex-start; min-width: 6rem; min-height: 2.75rem; padding: 0 1rem;
  border: 1px solid var(--ng-line); border-radius: .4rem; background: transparent;
  color: inherit; font: inherit; cursor: pointer; }
.ng-panel :is(button, input[type=range]):focus-visible, .ng-panel label:has(:focus-visible),
.ng-handle:focus-visible { outline: 3px solid var(--ng-a); outline-offset: 2px; }
.ng-panel label.ng-slider:has(:focus-visible) { outline: 0; }
.ng-stage p { margin: 0; }
.ng-stage .ng-told { min-height: 1.4em; font-size: 1.05em; font-weight: 600; }
.ng-panel .ng-help { color: var(--ng-soft); font-size: .85rem; }
.ng-panel ul { margin: 0; padding: 0; list-style: none; }
.ng-panel li { display: flex; gap: .6rem; align-items: center; margin: 0; padding: .12rem 0; }
.ng-panel li svg { flex: none; width: 34px; height: 18px; }
.ng-panel li output { margin-left: auto; white-space: nowrap; }
.ng-stage .ng-keys { display: flex; flex-wrap: wrap; gap: 0 1.2rem; }
.ng-pair { align-items: flex-end; justify-content: flex-start; }
.ng-pair > :is(.ng-keys, .ng-panel) { flex: 1 1 100%; max-width: none; }
.ng-pair .ng-column { flex: 1 1 18rem; min-width: 0; max-width: 27rem; }
.ng-pair .ng-column p { margin-bottom: .3rem; }
.ng-pair .ng-panel { flex-flow: row wrap; gap: .5rem 1.6rem; align-items: flex-end; }
.ng-pair fieldset { flex: 1 1 100%; }
.ng-pair label.ng-slider { flex: 1 1 14rem; }
.ng-pair .ng-panel button { align-self: flex-end; }
.ng-handle { position: absolute; width: 44px; height: 44px; margin: -22px 0 0 -22px;
  border-radius: 50%; cursor: grab; touch-action: none; }
.ng-handle::after { position: absolute; inset: 13px; border: 3px solid var(--ng-back);
  border-radius: 50%; background: var(--ng-text); box-shadow: 0 0 0 2px var(--ng-text);
  content: ""; }
.ng-handle:active { cursor: grabbing; }
.ng-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
@media print { .ng-living[data-ready] .ng-still { display: initial; }
  .ng-living .ng-stage { display: none; } }`;

const grown = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const html = (tag, attributes = {}, ...children) =>
  grown(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) =>
  grown(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

const shown = (value, digits = 2) => value.toFixed(digits).replace(/^-(?=.*[1-9])/, "−")
  .replace(/^-/, "");

// A mark is told by its shape first: circle, triangle, square, cross.
const MARKS = [
  (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
  (r) => `M0 ${-1.25 * r}L${1.15 * r} ${0.8 * r}H${-1.15 * r}z`,
  (r) => `M${-r} ${-r}H${r}V${r}H${-r}z`,
  (r) => `M0 ${-1.35 * r}L${1.35 * r} 0L0 ${1.35 * r}L${-1.35 * r} 0z`,
];

// Calls build(root, data, stage) for every figure of this kind that stands in the page and is not
// alive yet. The still stays in sight if anything goes wrong before the end.
function awaken(kind, build) {
  for (const root of document.querySelectorAll(`.ng-${kind}:not([data-ready])`)) {
    if (!document.getElementById("ng-living-style")) {
      document.head.append(html("style", { id: "ng-living-style" }, STYLE));
    }
    const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    const stage = html("div", { class: "ng-stage", role: "group", "aria-label": data.alt });
    build(root, data, stage);
    root.querySelector(".ng-still").after(stage);
    root.dataset.ready = "";
  }
}

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

// A canvas below, axes and an overlay above; X and Y map data to the overlay's coordinates.
function view(data, width, height, bare = false) {
  const pad = bare ? { l: 0, r: 0, t: 0, b: 0 } : { l: 52, r: 10, t: 10, b: 46 };
  const inner = { w: width - pad.l - pad.r, h: height - pad.t - pad.b };
  const [left, right, bottom, top] = data.window;
  const X = (x) => ((x - left) / (right - left)) * inner.w;
  const Y = (y) => ((top - y) / (top - bottom)) * inner.h;
  const canvas = html("canvas", { "aria-hidden": "true" });
  Object.assign(canvas.style, {
    left: `${(100 * pad.l) / width}%`, top: `${(100 * pad.t) / height}%`,
    width: `${(100 * inner.w) / width}%`, height: `${(100 * inner.h) / height}%`,
  });
  const density = Math.min(2, Math.max(1, window.devicePixelRatio || 1));
  canvas.width = Math.round(inner.w * density);
  canvas.height = Math.round(inner.h * density);
  const over = draw("svg", {
    x: pad.l, y: pad.t, width: inner.w, height: inner.h, overflow: "hidden",
  });
  const paper = draw("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  if (!bare) {
    for (const [x, text] of ticks(left, right)) {
      const at = pad.l + X(x);
      const foot = height - pad.b;
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
  paper.append(over);
  if (!bare) {
    paper.append(draw("rect", { x: pad.l, y: pad.t, width: inner.w, height: inner.h,
      fill: "none", stroke: "var(--ng-line)" }));
  }
  const node = html("div", { class: "ng-view" }, canvas, paper);
  node.style.aspectRatio = `${width} / ${height}`;
  return { node, canvas, over, X, Y, pad, inner, width, height, density };
}

// A range input under its name and its value; `told(k)` is the value in words, also for a reader
// who does not see the handle.
function slider(name, range, told, moved) {
  // An output announces itself at every step; the announcer does it once, at rest.
  const output = html("output", { "aria-live": "off" });
  const input = html("input", { type: "range", ...range });
  const label = html("label", { class: "ng-slider" }, `${name}: `, output, input);
  const tell = () => {
    output.textContent = told(Number(input.value));
    input.setAttribute("aria-label", name);
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => { tell(); moved(); });
  tell();
  return { node: label, input, tell };
}

// Says a sentence once things have come to rest, not at every pixel of a drag.
function announcer() {
  const node = html("p", { class: "ng-hidden", "aria-live": "polite" });
  let waiting = 0;
  return {
    node,
    say: (sentence) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { node.textContent = sentence; }, 300);
    },
  };
}
