// The point that is dragged: by mouse, by finger, by arrow keys.

function byKey(event, { window: [left, right], start }, [x, y], go) {
  const step = ((right - left) / 100) * (event.shiftKey ? 5 : 1);
  const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  if (event.key === "Home") go(...start);
  else if (by[event.key]) go(x + step * by[event.key][0], y + step * by[event.key][1]);
  else return;
  event.preventDefault();
}

// put(x, y) is told where the point goes.
function dragged(data, shape, put) {
  const [left, right, bottom, top] = data.window;
  const handle = html("div", { class: "ng-handle", role: "slider", tabindex: 0,
    "aria-label": "point in the plane, moved with the arrow keys",
    "aria-roledescription": "draggable point", "aria-valuemin": left, "aria-valuemax": right });
  let [x, y] = data.start;
  const go = (toX, toY) => {
    x = Math.min(right, Math.max(left, toX));
    y = Math.min(top, Math.max(bottom, toY));
    put(x, y);
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
  handle.addEventListener("keydown", (event) => byKey(event, data, [x, y], go));
  return handle;
}
