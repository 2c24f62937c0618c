// What an overlay draws with. Every file of overlays/ puts one function into OVERLAYS, under its
// own name; in the page each stands in a block of its own, so that its helpers stay with it.
//
// OVERLAYS.name(easel, given) gets what Python's `Overlay.data` sends, and returns its `nodes`, the
// `name` and the `swatch` of its row, and update(here, settings), which draws and answers with the
// `text` of the row and the `numbers` that go into attributes of the figure.

const OVERLAYS = {};
const HALO = { fill: "none", stroke: "var(--ng-back)", "stroke-width": 7,
  "stroke-linecap": "round", opacity: 0.75 };

function easel(data, shape, field, gap) {
  const { X, Y, over, path } = shape;
  const [left, right] = data.window;
  const [below, halos, above] = [draw("g"), draw("g"), draw("g")];
  over.append(below, halos, above);
  // A line on a halo; put(path) moves both, sample(end) is a piece of it for a row.
  const line = (style, lit = true) => {
    const look = { fill: "none", "stroke-linecap": "round", ...style };
    const [node, halo] = [draw("path", look), draw("path", HALO)];
    if (lit) halos.append(halo);
    return { node, sample: (end) => draw("path", { ...look, d: `M3 9H${end}` }),
      put: (d) => [node, halo].forEach((one) => one.setAttribute("d", d)) };
  };
  // A mark at a place, or out of sight.
  const lay = (node, at, more = "") => {
    node.style.display = at ? "" : "none";
    if (at) node.setAttribute("transform", `translate(${X(at[0])} ${Y(at[1])})${more}`);
  };
  // The first overlay lies on top.
  const add = (overlay) => {
    (overlay.below ? below : above).prepend(draw("g", {}, ...overlay.nodes));
    return overlay;
  };
  return { data, field, gap, X, Y, path, line, lay, add, zoom: shape.inner.w / (right - left) };
}
