// What the reader moves: sliders, switches; and the voice that says what came of it.

// A range input under its name and its value; `told(k)` is the value in words, also for a reader
// who does not see the handle. In `range` the value stands last, or it is rounded to a step of 1.
function slider(name, range, told, moved) {
  // An output announces itself at every step; the announcer does it once, at rest.
  const output = html("output", { "aria-live": "off" });
  const input = html("input", { type: "range", "aria-label": name, ...range });
  const node = html("label", { class: "ng-slider" }, `${name}: `, output, input);
  const tell = () => {
    output.textContent = told(Number(input.value));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => { tell(); moved(); });
  tell();
  return { node, input, tell };
}

// Settings side by side under their name. The radio buttons of one figure have a form of their
// own, in which `key` tells one switch from another.
function choice(name, key, options, chosen, moved) {
  const node = html("fieldset", {}, html("legend", {}, name));
  const radios = options.map((option, k) => {
    const radio = html("input", { type: "radio", name: key, value: k });
    radio.checked = k === chosen;
    radio.addEventListener("change", () => moved(k));
    node.append(html("label", {}, radio, html("span", {}, option)));
    return radio;
  });
  return { node, radios };
}

// One of the values of an axis: by switch where there are two at most, else by slider. Their
// `labels` may change with the option of the figure's switch: fit(labels, k). Play can step a
// slider alone.
function axis(name, key, most, labels, chosen, moved) {
  const one = most === 2 ? pair(name, key, chosen, moved) : row(name, chosen, moved);
  one.fit(labels, chosen);
  return { name, ...one };
}

function pair(name, key, chosen, moved) {
  let now = [];
  let at = chosen;
  const { node, radios } = choice(name, key, ["", ""], chosen, (k) => { at = k; moved(); });
  const fit = (labels, k) => {
    now = labels;
    at = k;
    radios.forEach((radio, i) => {
      radio.checked = i === k;
      radio.nextSibling.textContent = now[i] ?? "";
      radio.parentNode.style.display = i < now.length ? "" : "none";
    });
  };
  return { node, at: () => at, last: () => now.length - 1, label: () => now[at], fit };
}

function row(name, chosen, moved) {
  let now = [];
  const { node, input, tell } = slider(name, { min: 0, step: 1 }, (k) => now[k] ?? "", moved);
  const at = () => Number(input.value);
  const last = () => now.length - 1;
  const fit = (labels, k) => {
    now = labels;
    input.max = last();
    input.disabled = last() === 0;
    input.value = k;
    tell();
  };
  return { node, at, last, label: () => now[at()], fit, step: (k) => fit(now, k) };
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
