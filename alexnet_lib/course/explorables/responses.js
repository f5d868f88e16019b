// Response normalization of one position: drag a map's response, and watch its neighbors.

import { axes, draw, explorable, slider } from "./shared.js";

const W = 720, H = 330, LEFT = 46, RIGHT = 710, TOP = 24, BOTTOM = 282, MOST = 250;

export default { render(given) {
  return explorable(given, {
    name: "Responses of feature maps at one position, before and after normalization",
    width: W, height: H,
    start: { responses: [40, 0, 70, 30, 240, 60, 90, 0, 20, 50, 10, 60], alpha_x_10000: 1, k: 2,
             beta: 0.75, n: 5, chosen: 4 },
    controls: [
      { key: "n", label: "window n", min: 1, max: 11, step: 2 },
      { key: "alpha_x_10000", label: "α × 10000", min: 0, max: 10, step: 0.1,
        show: (v) => v.toFixed(1) },
      { key: "k", label: "k", min: 0.5, max: 4, step: 0.5 },
      { key: "beta", label: "β", min: 0, max: 1.5, step: 0.05, show: (v) => v.toFixed(2) },
    ],
    paint(state, change) {
      const { responses: a, k, beta, n, chosen } = state;
      const alpha = state.alpha_x_10000 / 1e4, half = (n - 1) / 2;
      const step = (RIGHT - LEFT) / a.length, wide = 0.36 * step;
      const y = (v) => BOTTOM - (v / MOST) * (BOTTOM - TOP);
      const sum = (i) => a.reduce((s, v, j) => s + (Math.abs(i - j) <= half ? v * v : 0), 0);
      const divisor = (squares) => (k + alpha * squares) ** beta;
      const after = a.map((v, i) => v / divisor(sum(i)));
      const alone = a[chosen] / divisor(a[chosen] ** 2);
      const first = Math.max(0, chosen - half), last = Math.min(a.length - 1, chosen + half);
      const bars = a.flatMap((v, i) => {
        const x = LEFT + (i + 0.5) * step;
        const bar = draw("g", {},
          draw("rect", { x: x - wide, y: TOP, width: 2 * wide, height: BOTTOM - TOP,
                         fill: "transparent" }),
          draw("rect", { x: x - wide, y: y(v), width: wide, height: BOTTOM - y(v),
                         fill: "var(--xp-soft)", opacity: 0.6 }),
          draw("rect", { x, y: y(after[i]), width: wide, height: BOTTOM - y(after[i]),
                         fill: i === chosen ? "var(--xp-two)" : "var(--xp-one)" }),
          draw("rect", { x: x - wide - 2, y: y(v) - 3, width: wide + 4, height: 6, rx: 3,
                         fill: "currentColor" }));
        return [slider(bar, {
          key: `bar${i}`, label: `response of map ${i}`, value: v, min: 0, max: MOST, step: 10,
          at: (at) => ((BOTTOM - at) / (BOTTOM - TOP)) * MOST,
          set: (to, ended) => change(
            { responses: a.map((old, j) => (j === i ? to : old)), chosen: i }, ended) }),
        draw("text", { x, y: BOTTOM + 17, "text-anchor": "middle" }, `${i}`)];
      });
      const edge = { y: TOP, height: BOTTOM - TOP, fill: "var(--xp-two)", opacity: 0.1,
                     x: LEFT + first * step, width: (last - first + 1) * step };
      return {
        says: `Map ${chosen} goes from ${a[chosen]} to ${after[chosen].toFixed(1)}. With `
          + `silent neighbors it would be ${alone.toFixed(1)}. Its window is maps ${first} to `
          + `${last}.`,
        parts: [...axes({ y, x: (v) => v, ys: [0, 50, 100, 150, 200, 250], left: LEFT,
                          right: RIGHT, top: TOP, bottom: BOTTOM, xLabel: "feature map",
                          yLabel: "gray: response (drag it); color: after normalization" }),
                draw("rect", edge), ...bars],
      };
    },
  });
} };
