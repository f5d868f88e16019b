// Steps down a ravine: the paper's rule with and without momentum.

import { axes, draw, explorable, path } from "./shared.js";

const W = 720, H = 330, TOP = 26, BOTTOM = 282, STEPS = 60, START = [-9, 1.6];
const loss = ([a, b], steep) => 0.5 * (0.02 * a * a + steep * b * b);

// Section 5: v = momentum * v - lr * gradient; w = w + v.
function walk(lr, momentum, steep) {
  const way = [START];
  let v = [0, 0];
  for (let i = 0; i < STEPS; i += 1) {
    const [a, b] = way[i];
    v = [momentum * v[0] - lr * 0.02 * a, momentum * v[1] - lr * steep * b];
    way.push([a + v[0], b + v[1]]);
  }
  return way;
}

export default { render(given) {
  return explorable(given, {
    name: "Steps down a ravine, with and without momentum", width: W, height: H,
    start: { lr: 0.5, momentum: 0.9, steep: 2.5 },
    controls: [
      { key: "lr", label: "learning rate", min: 0.02, max: 1.2, step: 0.02,
        show: (v) => v.toFixed(2) },
      { key: "momentum", label: "momentum", min: 0, max: 0.98, step: 0.02,
        show: (v) => v.toFixed(2) },
      { key: "steep", label: "steepness", min: 0.5, max: 6, step: 0.5 },
    ],
    paint({ lr, momentum, steep }) {
      const x = (v) => 36 + ((v + 10) / 20) * 460, y = (v) => 154 - (v / 2.6) * 128;
      const [plain, rule] = [walk(lr, 0, steep), walk(lr, momentum, steep)];
      const rings = [0.03, 0.12, 0.3, 0.6, 1, 2, 4].map((level) => draw("ellipse", {
        cx: x(0), cy: y(0), rx: (Math.sqrt(level / 0.01) / 20) * 460,
        ry: (Math.sqrt((2 * level) / steep) / 2.6) * 128, fill: "none",
        stroke: "var(--xp-faint)", "stroke-width": 1.5 }));
      const clip = draw("clipPath", { id: "ravine-clip" }, draw("rect", {
        x: 10, y: TOP, width: 500, height: BOTTOM - TOP - 4 }));
      const near = (p) => p.map((v) => Math.max(-60, Math.min(60, v)));
      const trail = (way, color) => {
        const points = way.map(near).map(([a, b]) => [x(a), y(b)]);
        return [path(points, { stroke: color, "stroke-width": 2 }),
                ...points.map(([cx, cy]) => draw("circle", { cx, cy, r: 2.5, fill: color }))];
      };
      const lx = (i) => 566 + (i / STEPS) * 140;
      const ly = (v) => BOTTOM - ((Math.log10(Math.max(1e-4, Math.min(v, 1e3))) + 4) / 7)
        * (BOTTOM - TOP - 20);
      const curve = (way, color) => path(way.map((p, i) => [lx(i), ly(loss(p, steep))]),
                                         { stroke: color, "stroke-width": 2 });
      const end = (way) => loss(way[STEPS], steep);
      const said = (v) => (v > 1e3 ? "it flies away" : `${Number(v.toPrecision(2))}`);
      return {
        says: `Loss after ${STEPS} steps: ${said(end(plain))} without momentum, `
          + `${said(end(rule))} with a momentum of ${momentum.toFixed(2)}. It began at `
          + `${loss(START, steep).toFixed(1)}.`,
        parts: [clip, draw("g", { "clip-path": "url(#ravine-clip)" }, ...rings,
                           ...trail(plain, "var(--xp-two)"), ...trail(rule, "var(--xp-one)")),
                draw("circle", { cx: x(0), cy: y(0), r: 4, fill: "currentColor" }),
                draw("text", { x: 36, y: 16 },
                     "the ravine from above: orange without momentum, blue with it"),
                ...axes({ x: lx, y: ly, left: 566, right: 706, top: TOP + 20, bottom: BOTTOM,
                          xs: [0, 30, 60], ys: [1e-4, 1e-2, 1, 100], xLabel: "step",
                          yLabel: "loss", yText: (v) => v.toString() }),
                curve(plain, "var(--xp-two)"), curve(rule, "var(--xp-one)")],
      };
    },
  });
} };
