// How a living figure comes to life; small words to make elements and to say numbers.
// companion.book.widgets puts the files of a figure inside one function, so that nothing is global.
// Listeners sit on the figure's own elements and go when those go.

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
// Three digits, whatever the size; the same as `three` of widgets/page.py.
const three = (value) => {
  const size = Math.abs(Number(value.toPrecision(3)));
  const digits = size ? 2 - Math.floor(Math.log10(size)) : 2;
  return shown(value, Math.min(5, Math.max(0, digits)));
};

// Calls build(root, data, stage) for every figure of this kind that stands in the page, is not
// alive yet, and needs no script that is missing here: a neighbour's own script has it. The still
// stays in sight if anything goes wrong before the end.
function awaken(kind, build, knows = () => true) {
  for (const root of document.querySelectorAll(`.ng-${kind}:not([data-ready])`)) {
    const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    if (!knows(data)) continue;
    if (!document.getElementById("ng-living-style")) {
      document.head.append(html("style", { id: "ng-living-style" }, STYLE));
    }
    const stage = html("div", { class: "ng-stage", role: "group", "aria-label": data.alt });
    build(root, data, stage);
    root.querySelector(".ng-still").after(stage);
    root.dataset.ready = "";
  }
}
