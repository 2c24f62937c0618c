// The gradient of F as an arrow, `scale` units long for a gradient of length 1.

OVERLAYS.arrow = ({ line, lay, path }, { name, scale }) => {
  const stroke = line({ stroke: "var(--ng-text)", "stroke-width": 3 });
  const head = draw("path", { d: "M2 0L-11 6.5L-7.5 0L-11 -6.5z", fill: "var(--ng-text)" });
  const update = ({ x, y, gx, gy, slope }) => {
    const tip = [x + gx * scale, y + gy * scale];
    stroke.put(slope ? path([[x, y], tip]) : "");
    lay(head, slope && tip, ` rotate(${(Math.atan2(-gy, gx) * 180) / Math.PI})`);
    return { text: `${three(slope)} logits per unit`,
      numbers: { gradientX: gx, gradientY: gy } };
  };
  return { name, nodes: [stroke.node, head], swatch: [stroke.sample(26), [head, 30]], update };
};
