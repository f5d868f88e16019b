// Steps down a ravine: plain gradient descent, the paper's rule, and PyTorch's after a drop.

import { axes, draw, explorable, path } from "./shared.js";

const W = 720, H = 330, TOP = 26, BOTTOM = 282, STEPS = 60, START = [-10, 1];
const loss = ([a, b], steep) => (a * a + steep * b * b) / 2;

// After `drop` steps the learning rate is a tenth; 0: never. Section 5 has the learning rate
// inside the velocity, v = momentum * v - lr * gradient, and PyTorch outside.
function walk(lr, momentum, steep, drop, inside) {
  const way = [START];
  let v = [0, 0];
  for (let i = 0; i < STEPS; i += 1) {
    const rate = drop && i >= drop ? lr / 10 : lr, [a, b] = way[i], slope = [a, steep * b];
    v = v.map((was, k) => momentum * was - (inside ? rate : 1) * slope[k]);
    way.push([a, b].map((was, k) => was + (inside ? 1 : rate) * v[k]));
  }
  return way;
}

export default { render(given) {
  return explorable(given, {
    name: "Steps down a ravine, with and without momentum", width: W, height: H,
    start: { lr: 0.018, momentum: 0.9, steep: 100, drop: 0 },
    controls: [
      { key: "lr", label: "learning rate", min: 0.001, max: 0.04, step: 0.001,
        show: (v) => v.toFixed(3) },
      { key: "momentum", label: "momentum", min: 0, max: 0.98, step: 0.02,
        show: (v) => v.toFixed(2) },
      { key: "steep", label: "steepness", min: 5, max: 200, step: 5 },
      { key: "drop", label: "lr drops after", min: 0, max: 50, step: 1,
        show: (v) => (v ? `${v} steps` : "never") },
    ],
    paint({ lr, momentum, steep, drop }) {
      const x = (v) => 36 + ((v + 12) / 24) * 460, y = (v) => 154 - (v / 1.7) * 128;
      const ways = [
        ["without momentum", walk(lr, 0, steep, drop, true), "var(--xp-two)"],
        ["PyTorch's momentum", walk(lr, momentum, steep, drop, false), "var(--xp-soft)"],
        ["the paper's momentum", walk(lr, momentum, steep, drop, true), "var(--xp-one)"],
      ];
      const rings = [0.5, 2, 8, 18, 32, 50, 98].map((level) => draw("ellipse", {
        cx: x(0), cy: y(0), rx: (Math.sqrt(2 * level) / 24) * 460,
        ry: (Math.sqrt((2 * level) / steep) / 1.7) * 128, fill: "none",
        stroke: "var(--xp-faint)", "stroke-width": 1.5 }));
      const clip = draw("clipPath", { id: "ravine-clip" }, draw("rect", {
        x: 10, y: TOP, width: 500, height: BOTTOM - TOP }));
      const near = (p) => p.map((v) => Math.max(-99, Math.min(99, v)));
      const trails = ways.flatMap(([, way, color]) => {
        const points = way.map(near).map(([a, b]) => [x(a), y(b)]);
        return [path(points, { stroke: color, "stroke-width": 2 }),
                ...points.map(([cx, cy]) => draw("circle", { cx, cy, r: 2.5, fill: color }))];
      });
      const lx = (i) => 566 + (i / STEPS) * 140;
      const ly = (v) => BOTTOM - ((Math.log10(Math.max(1e-4, Math.min(v, 1e4))) + 4) / 8)
        * (BOTTOM - TOP - 20);
      const curves = ways.map(([, way, color]) => path(
        way.map((p, i) => [lx(i), ly(loss(p, steep))]), { stroke: color, "stroke-width": 2 }));
      const names = ways.map(([name, , color], i) => draw("text", {
        x: 10 + 172 * i, y: 306, style: `fill: ${color}; font-weight: 600` }, name));
      const said = ([, way]) => {
        const end = loss(way[STEPS], steep);
        return end > 1e4 ? "it flies away" : `${Number(end.toPrecision(2))}`;
      };
      return {
        says: `Loss after ${STEPS} steps, from ${loss(START, steep)}: ${said(ways[0])} without `
          + `momentum, ${said(ways[1])} with PyTorch's, ${said(ways[2])} with the paper's.`,
        parts: [clip, draw("g", { "clip-path": "url(#ravine-clip)" }, ...rings, ...trails),
                draw("circle", { cx: x(0), cy: y(0), r: 4, fill: "currentColor" }),
                draw("text", { x: 10, y: 16 }, "the ravine from above"), ...names,
                ...axes({ x: lx, y: ly, left: 566, right: 706, top: TOP + 20, bottom: BOTTOM,
                          xs: [0, 30, 60], ys: [1e-4, 1e-2, 1, 100, 1e4], xLabel: "step",
                          yLabel: "loss", yText: (v) => v.toString() }), ...curves],
      };
    },
  });
} };
