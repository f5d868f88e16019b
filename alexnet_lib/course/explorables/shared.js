// What all explorables use: one style for light and dark, named controls, axes, a picture a frame.

const SVG = "http://www.w3.org/2000/svg";
const STYLE = `
.xp { font: 14px/1.4 system-ui, sans-serif; max-width: 46em; container-type: inline-size; margin: 0.5em 0;
      color: var(--jp-ui-font-color1, var(--colab-primary-text-color,
             var(--pst-color-text-base, currentColor)));
      --xp-one: #4a8fd0; --xp-two: #e07b39; --xp-soft: #8a8a8a; --xp-faint: #8a8a8a44; }
.xp-says { min-height: 2.8em; font-weight: 600; }
.xp svg { display: block; width: 100%; height: auto; overflow: visible; touch-action: pan-y; }
.xp svg text { fill: currentColor; font-size: 13px; }
@container (max-width: 30em) { .xp svg text { font-size: 19px; } }
.xp-controls { display: grid; grid-template-columns: repeat(auto-fit, minmax(15em, 1fr));
               gap: 0.3em 1.5em; margin-top: 0.4em; }
.xp-control { display: grid; grid-template-columns: 7.5em 1fr 4em; align-items: center; gap: 0.5em; }
.xp-control input { width: 100%; accent-color: var(--xp-one); }
.xp-control output { font-variant-numeric: tabular-nums; }
.xp [role=slider] { cursor: ns-resize; touch-action: none; }
.xp [role=slider]:focus-visible, .xp input:focus-visible { outline: 2px solid var(--xp-two); }
.xp button { font: inherit; color: inherit; background: none; border: 1px solid var(--xp-soft);
             border-radius: 4px; padding: 0.15em 0.8em; cursor: pointer; }`;

/** An element of SVG with attributes; children are elements or text. */
export function draw(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * The frame of an explorable in `el`: a sentence that says what is seen, a picture, controls.
 * paint(state) returns {says, parts}; it is called at most once a frame, whatever moves.
 */
export function explorable({ model, el }, { start, controls, width, height, name, paint }) {
  const state = Object.fromEntries(
    Object.entries(start).map(([key, value]) => [key, model.get(key) ?? value]));
  const root = document.createElement("div");
  root.className = "xp";
  root.dataset.lmSuppressShortcuts = "true"; // arrow keys are for the sliders, not for JupyterLab,
  root.addEventListener("keydown", (event) => event.stopPropagation()); // whose cells take them, too
  const style = document.createElement("style");
  style.textContent = STYLE;
  const says = Object.assign(document.createElement("div"), { className: "xp-says" });
  says.setAttribute("aria-live", "polite");
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": name });
  const box = Object.assign(document.createElement("div"), { className: "xp-controls" });
  root.append(style, says, svg, box);
  el.append(root);

  let waiting = 0;
  const repaint = () => {
    waiting = 0;
    const focus = svg.querySelector(":focus")?.dataset.key;
    const painted = paint(state, change);
    svg.replaceChildren(...painted.parts);
    if (focus) svg.querySelector(`[data-key="${focus}"]`)?.focus();
    says.textContent = painted.says;
    inputs.forEach((input) => input.follow());
  };
  // A change is drawn in the next frame, and the kernel, if there is one, hears of it at the end.
  function change(values, ended = true) {
    Object.assign(state, values);
    if (!waiting) waiting = requestAnimationFrame(repaint);
    if (ended) {
      for (const [key, value] of Object.entries(values)) model.set(key, value);
      model.save_changes();
    }
  }
  const inputs = controls.map((spec) => control(box, spec, state, change));
  const hear = () => {
    for (const key of Object.keys(start)) state[key] = model.get(key) ?? state[key];
    if (!waiting) waiting = requestAnimationFrame(repaint);
  };
  model.on("change", hear);
  repaint();
  return () => { model.off("change", hear); cancelAnimationFrame(waiting); };
}

// most: the highest value, where that depends on the state.
function control(box, { key, label, min, max, step, show = (value) => `${value}`, log = false,
                        most }, state, change) {
  const row = document.createElement("label");
  row.className = "xp-control";
  const input = Object.assign(document.createElement("input"), { type: "range" });
  const [there, back] = log ? [Math.log10, (x) => 10 ** x] : [(x) => x, (x) => x];
  Object.assign(input, { min: there(min), max: there(max), step: log ? "any" : step });
  const value = document.createElement("output");
  row.append(Object.assign(document.createElement("span"), { textContent: label }), input, value);
  box.append(row);
  const read = () => (log ? Number(back(input.value).toPrecision(2)) : Number(input.value));
  input.addEventListener("input", () => change({ [key]: read() }, false));
  input.addEventListener("change", () => change({ [key]: read() }));
  return { follow() {
    if (most) input.max = most(state);
    if (read() !== state[key]) input.value = there(state[key]);
    input.setAttribute("aria-valuetext", show(state[key]));
    value.textContent = show(state[key]);
  } };
}

/**
 * Makes a part of the picture a slider of its own: dragged up and down, or with the arrow keys.
 * value at the height y is at(y); set(value, ended) is called with what it became.
 */
export function slider(part, { key, label, value, min, max, step, at, set }) {
  part.dataset.key = key;
  for (const [name, text] of Object.entries({
    role: "slider", tabindex: 0, "aria-label": label, "aria-valuenow": value,
    "aria-valuemin": min, "aria-valuemax": max, "aria-orientation": "vertical" })) {
    part.setAttribute(name, text);
  }
  const within = (x) => Math.min(max, Math.max(min, Math.round(x / step) * step));
  part.addEventListener("keydown", (event) => {
    const by = { ArrowUp: step, ArrowRight: step, ArrowDown: -step, ArrowLeft: -step,
                 PageUp: 5 * step, PageDown: -5 * step }[event.key];
    const to = { Home: min, End: max }[event.key] ?? (by && value + by);
    if (to === undefined) return;
    event.preventDefault();
    set(within(to), true);
  });
  part.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    part.focus();
    const owner = part.ownerSVGElement;
    const move = (moved, ended) => {
      const point = new DOMPoint(moved.clientX, moved.clientY)
        .matrixTransform(owner.getScreenCTM().inverse());
      set(within(at(point.y)), ended);
    };
    const follow = (moved) => move(moved, false);
    const leave = (moved) => {
      move(moved, true);
      removeEventListener("pointermove", follow);
      removeEventListener("pointerup", leave);
    };
    addEventListener("pointermove", follow);
    addEventListener("pointerup", leave);
    move(event, false);
  });
  return part;
}

/** Lines and numbers along the left and the bottom; x, y: from values to places. */
export function axes({ x, y, xs = [], ys = [], left, right, top, bottom, xLabel = "", yLabel = "",
                       xText = String, yText = String }) {
  const line = (a) => draw("line", { stroke: "var(--xp-faint)", ...a });
  return [
    ...ys.flatMap((v) => [line({ x1: left, x2: right, y1: y(v), y2: y(v) }),
      draw("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, yText(v))]),
    ...xs.flatMap((v) => [line({ x1: x(v), x2: x(v), y1: top, y2: bottom }),
      draw("text", { x: x(v), y: bottom + 17, "text-anchor": "middle" }, xText(v))]),
    draw("text", { x: (left + right) / 2, y: bottom + 36, "text-anchor": "middle" }, xLabel),
    draw("text", { x: left, y: top - 8 }, yLabel),
  ];
}

/** A path through points. */
export function path(points, attributes) {
  const d = points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  return draw("path", { d, fill: "none", "stroke-width": 2.5, ...attributes });
}
