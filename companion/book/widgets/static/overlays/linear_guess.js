// The first-order step to F = 0, where F would vanish if it were linear.

OVERLAYS.linear_guess = ({ data, line, lay, path }, { name }) => {
  const stroke = line({ stroke: "var(--ng-c)", "stroke-width": 2.5, "stroke-dasharray": "6 4" });
  const place = draw("path", { d: MARKS[3](6.5), fill: "none", stroke: "var(--ng-c)",
    "stroke-width": 2.5 });
  const [left, right] = data.window;
  const update = ({ x, y, value, gx, gy, slope }) => {
    const linear = slope ? Math.abs(value) / slope : Infinity;
    const step = slope ? -value / slope ** 2 : NaN;
    const to = [x + step * gx, y + step * gy];
    const near = linear < 4 * (right - left);
    stroke.put(near ? path([[x, y], to]) : "");
    lay(place, near && to);
    return { text: slope ? `${three(linear)} ${data.unit}` : "none in sight",
      numbers: { linear, guessX: to[0], guessY: to[1] } };
  };
  return { name, nodes: [stroke.node, place], swatch: [stroke.sample(31), [place, 24]], update };
};
