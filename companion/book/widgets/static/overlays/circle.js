// A circle around the point, drawn thick where it passes through the rival's regions, and the share
// of its directions that lead there.

OVERLAYS.circle = ({ X, Y, zoom, line }, { name, turns }) => {
  const stroke = line({ stroke: "var(--ng-text)", "stroke-width": 4 }, false);
  const round = draw("circle", { fill: "none", stroke: "var(--ng-text)",
    "stroke-dasharray": "1.5 5", "stroke-width": 2, "stroke-linecap": "round" });
  const update = ({ x, y, rival }, { radius }) => {
    let changed = 0;
    let arcs = "";
    let inside = false;
    for (let k = 0; k <= turns; k += 1) {
      const angle = (2 * Math.PI * k) / turns;
      const [u, v] = [x + radius * Math.cos(angle), y + radius * Math.sin(angle)];
      const other = rival(u, v);
      if (other && k < turns) changed += 1;
      if (other && (!inside || k % 4 === 0)) {
        arcs += `${inside ? "L" : "M"}${X(u).toFixed(1)} ${Y(v).toFixed(1)}`;
      }
      inside = other;
    }
    stroke.put(arcs);
    for (const [key, value] of [["cx", X(x)], ["cy", Y(y)], ["r", radius * zoom]]) {
      round.setAttribute(key, value);
    }
    const share = changed / turns;
    return { text: `${three(100 * share)} %`, numbers: { share } };
  };
  return { name, nodes: [round, stroke.node], below: true, swatch: [stroke.sample(31)], update };
};
