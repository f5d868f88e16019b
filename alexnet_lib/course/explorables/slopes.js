// A gradient through a chain of units: move their input, and see what each function leaves of it.

import { axes, draw, explorable, path } from "./shared.js";

const W = 720, H = 330, TOP = 26, BOTTOM = 270;
const logistic = (x) => 1 / (1 + Math.exp(-x));
const KINDS = [
  { name: "ReLU", f: (x) => Math.max(0, x), slope: (x) => (x > 0 ? 1 : 0), color: "var(--xp-one)" },
  { name: "tanh", f: Math.tanh, slope: (x) => 1 - Math.tanh(x) ** 2, color: "var(--xp-two)" },
  { name: "logistic", f: logistic, slope: (x) => logistic(x) * (1 - logistic(x)),
    color: "var(--xp-soft)" },
];
const short = (v) => (v === 0 ? "0" : v >= 0.001 ? v.toPrecision(2) : v.toExponential(1));

export default { render(given) {
  return explorable(given, {
    name: "Three activation functions, their slopes, and a gradient through a chain of units",
    width: W, height: H, start: { input_x: 2, layers: 5 },
    controls: [
      { key: "input_x", label: "input x", min: -6, max: 6, step: 0.1, show: (v) => v.toFixed(1) },
      { key: "layers", label: "units in a row", min: 1, max: 20, step: 1 },
    ],
    paint({ input_x: at, layers }) {
      const x = (v) => 36 + ((v + 6) / 12) * 350, y = (v) => BOTTOM - ((v + 1.2) / 3.4) * 244;
      const grid = Array.from({ length: 121 }, (_, i) => -6 + i / 10);
      const curves = KINDS.flatMap(({ f, slope, color }) => {
        const [dx, tilt] = [0.7, slope(at)];
        return [path(grid.filter((v) => f(v) <= 2.2).map((v) => [x(v), y(f(v))]),
                     { stroke: color }),
          path([[x(at - dx), y(f(at) - dx * tilt)], [x(at + dx), y(f(at) + dx * tilt)]],
               { stroke: "currentColor", "stroke-width": 1.5, "clip-path": "url(#xp-slopes)" }),
          draw("circle", { cx: x(at), cy: y(f(at)), r: 5, fill: color })]
          .slice(0, f(at) <= 2.3 ? 3 : 1);
      });
      const left = KINDS.map(({ slope }) => slope(at) ** layers);
      const bottom = -12, place = (v) => 500 + (1 - Math.max(Math.log10(v || 1e-99), bottom)
                                                / bottom) * 200;
      const bars = KINDS.flatMap(({ name, color }, i) => [
        draw("text", { x: 490, y: 83 + 56 * i, "text-anchor": "end" }, name),
        draw("rect", { x: 500, y: 66 + 56 * i, width: Math.max(1, place(left[i]) - 500),
                       height: 26, fill: color }),
        draw("text", { x: 504, y: 108 + 56 * i }, short(left[i]))]);
      const order = KINDS.map(({ name }, i) => `${name} leaves ${short(left[i])}`);
      return {
        says: `At x = ${at.toFixed(1)}, ${layers === 1 ? "one unit" : `${layers} units in a row`}: `
          + `${order.join(", ")} of the gradient.`,
        parts: [draw("clipPath", { id: "xp-slopes" }, draw("rect", {
          x: 36, y: TOP - 8, width: 350, height: BOTTOM - TOP + 8 })),
                ...axes({ x, y, left: 36, right: 386, top: TOP, bottom: BOTTOM,
                          xs: [-6, -4, -2, 0, 2, 4, 6], ys: [-1, 0, 1, 2],
                          xLabel: "input x; the short lines are the slopes there",
                          yLabel: "output" }), ...curves,
                draw("text", { x: 430, y: TOP + 4 }, "what is left of the gradient (log scale)"),
                ...bars],
      };
    },
  });
} };
