// The nearest place where F = 0, found by search over the pieces of the boundary.

function foot(piece, x, y) {
  const [[ax, ay], [bx, by]] = piece;
  const [ux, uy] = [bx - ax, by - ay];
  const long = ux * ux + uy * uy;
  const t = long ? Math.min(1, Math.max(0, ((x - ax) * ux + (y - ay) * uy) / long)) : 0;
  const [fx, fy] = [ax + t * ux, ay + t * uy];
  return { x: fx, y: fy, distance: Math.hypot(fx - x, fy - y) };
}

// Squares that may hold the nearest point are divided by six, twice: a corner of the boundary is
// then cut off by a 36th of a square at most.
function nearest(gap, cells, x, y) {
  let best = { x: NaN, y: NaN, distance: Infinity };
  let open = cells;
  for (let level = 0; level < 3; level += 1) {
    best = { x: NaN, y: NaN, distance: Infinity };
    for (const cell of open) {
      cell.distance = Infinity;
      for (const piece of cell.pieces) {
        const here = foot(piece, x, y);
        cell.distance = Math.min(cell.distance, here.distance);
        if (here.distance < best.distance) best = here;
      }
    }
    if (level < 2) {
      open = open.filter((cell) => cell.distance <= best.distance + cell.h)
        .flatMap((cell) => survey(gap, cell.x, cell.y, cell.h, 6).cells);
    }
  }
  return best;
}

OVERLAYS.nearest_boundary = ({ data, field, gap, line, lay, path }, { name }) => {
  const stroke = line({ stroke: "var(--ng-d)", "stroke-width": 3 });
  const place = draw("path", { d: MARKS[2](5.5), fill: "var(--ng-d)", stroke: "var(--ng-back)",
    "stroke-width": 1.5 });
  const update = ({ x, y }) => {
    const near = nearest(gap, field.cells, x, y);
    const found = Number.isFinite(near.distance);
    stroke.put(found ? path([[x, y], [near.x, near.y]]) : "");
    lay(place, found && [near.x, near.y]);
    return { text: found ? `${three(near.distance)} ${data.unit}` : "none in sight",
      numbers: { nearest: near.distance, footX: near.x, footY: near.y } };
  };
  return { name, nodes: [stroke.node, place], swatch: [stroke.sample(31), [place, 24]], update };
};
