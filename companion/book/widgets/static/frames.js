// Frames computed in Python, chosen by a switch and sliders, played one after another, in a list
// of panels that move together.

// The controls of a figure: a switch, where it has one, whose option decides how many values each
// axis has, and the axes.
function chooser(data, moved) {
  let option = data.start[0];
  const axes = data.sliders.map(({ name, labels }, k) => axis(name, `axis${k + 1}`,
    Math.max(...labels.map((one) => one.length)), labels[option], data.start[1 + k], moved));
  const change = (to) => {
    // The same share of the way, where another option has another number of frames.
    axes.forEach((one, k) => {
      const [before, labels] = [one.last(), data.sliders[k].labels[to]];
      one.fit(labels, before ? Math.round((one.at() / before) * (labels.length - 1))
        : labels.length - 1);
    });
    option = to;
    moved();
  };
  const given = data.switch;
  const first = given ? [choice(given.name, "switch", given.options, option, change).node] : [];
  return { axes, nodes: [...first, ...axes.map(({ node }) => node)],
    option: () => (given ? given.options[option] : ""),
    frame: () => data.frames[axes.reduce((table, one) => table[one.at()], data.lookup[option])] };
}

// Play walks along an axis. Who asked for less motion goes on by hand, frame by frame.
function player(along, root, moved) {
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const idle = still ? "Next frame" : "Play";
  const node = html("button", { type: "button" }, idle);
  let timer = 0;
  const stop = () => {
    clearTimeout(timer);
    timer = 0;
    node.textContent = idle;
    node.disabled = along.last() === 0;
  };
  const step = () => {
    along.step(along.at() < along.last() ? along.at() + 1 : 0);
    moved();
  };
  const play = () => {
    if (!root.isConnected || along.at() >= along.last()) stop();
    else {
      step();
      timer = setTimeout(play, 900);
    }
  };
  node.addEventListener("click", () => {
    if (still) step();
    else if (timer) stop();
    else {
      node.textContent = "Pause";
      step();
      timer = setTimeout(play, 900);
    }
  });
  stop();
  return { node, stop };
}

// What is on screen, in attributes of the figure, and as a sentence.
function state(root, controls, frame, panels, live) {
  const told = controls.axes.map(({ name, label }) => `${name} ${label()}`);
  root.dataset.switch = controls.option();
  if (controls.option()) told.unshift(controls.option());
  controls.axes.forEach(({ label }, k) => { root.dataset[`slider${k + 1}`] = label(); });
  frame.forEach((one, k) => {
    const { n, x, y } = panels[k].show(one);
    Object.assign(root.dataset, { [`text${k + 1}`]: one.text, [`count${k + 1}`]: n,
      [`meanX${k + 1}`]: n ? x / n : "", [`meanY${k + 1}`]: n ? y / n : "" });
  });
  const texts = frame.map(({ text }) => text).filter((text) => text);
  live.say(`${told.join(", ")}: ${texts.join("; ")}`);
}

awaken("frames", (root, data, stage) => {
  const several = data.panels.length > 1;
  // Both sizes leave a box of the shape that widgets/axes.py counts on.
  const panels = data.panels.map((one) =>
    panel(one, data.arrays, ...(several ? [364, 318] : [440, 384])));
  const live = announcer();
  const update = () => state(root, controls, controls.frame(), panels, live);
  const controls = chooser(data, () => { button?.stop(); update(); });
  const along = controls.axes.findLast(({ step }) => step);
  const button = along && player(along, root, update);
  const form = html("form", {}, ...controls.nodes, ...(button ? [button.node] : []));
  form.addEventListener("submit", (event) => event.preventDefault());

  const means = data.panels.map(meaning);
  const shared = several && means[0] && means.every((one) => one === means[0]);
  if (several) stage.classList.add("ng-several");
  stage.append(html("div", { class: "ng-panel" }, form, live.node),
    ...(shared ? [legend(data.panels[0])] : []),
    ...panels.map(({ told, node }, k) => html("div", { class: "ng-column" },
      ...(means[k] && !shared ? [legend(data.panels[k])] : []), told, node)));
  update();
});
