// Pooling along a row of pixels: each window keeps its largest. Drag the pixels, move z and s.

import { draw, explorable, slider } from "./shared.js";

const W = 720, H = 282, LEFT = 10, RIGHT = 710, TOP = 26, FLOOR = 170, MOST = 100;

export default { render(given) {
  return explorable(given, {
    name: "A row of pixels and the pooling windows over it", width: W, height: H,
    start: { pixels: [2, 0, 0, 0, 0, 1, 16, 48, 74, 62, 30, 9, 0, 0, 0], z: 3, s: 2 },
    controls: [
      { key: "z", label: "window z", min: 1, max: 6, step: 1 },
      { key: "s", label: "stride s", min: 1, max: 6, step: 1 },
    ],
    paint({ pixels: a, z, s }, change) {
      const step = (RIGHT - LEFT) / a.length, y = (v) => FLOOR - (v / MOST) * (FLOOR - TOP);
      const count = Math.floor((a.length - z) / s) + 1;
      const windows = Array.from({ length: Math.max(0, count) }, (_, i) => {
        const part = a.slice(i * s, i * s + z), best = Math.max(...part);
        return { first: i * s, winner: i * s + part.indexOf(best), best };
      });
      const wins = a.map((_, i) => windows.filter((w) => w.winner === i).length);
      const inside = a.map((_, i) => windows.filter(
        (w) => w.first <= i && i < w.first + z).length);
      const bars = a.flatMap((v, i) => {
        const x = LEFT + i * step;
        const bar = draw("g", {},
          draw("rect", { x, y: TOP, width: step, height: FLOOR - TOP, fill: "transparent" }),
          draw("rect", { x: x + 3, y: y(v), width: step - 6, height: FLOOR - y(v) + 1,
                         fill: wins[i] ? "var(--xp-two)" : "var(--xp-soft)",
                         opacity: inside[i] ? 1 : 0.3 }));
        return [slider(bar, {
          key: `bar${i}`, label: `pixel ${i}`, value: v, min: 0, max: MOST, step: 1,
          at: (at) => ((FLOOR - at) / (FLOOR - TOP)) * MOST,
          set: (to, ended) => change(
            { pixels: a.map((old, j) => (j === i ? to : old)) }, ended) }),
        draw("text", { x: x + step / 2, y: y(v) - 5, "text-anchor": "middle" }, `${v}`)];
      });
      const levels = Math.min(3, Math.ceil(z / s));
      const spans = windows.flatMap(({ first, winner, best }, i) => {
        const top = FLOOR + 14 + (i % levels) * 28, x = LEFT + first * step;
        return [draw("rect", { x: x + 3, y: top, width: z * step - 6, height: 20, rx: 4,
                               fill: "var(--xp-one)", opacity: 0.25 }),
          draw("rect", { x: LEFT + winner * step + 6, y: top - 3, width: step - 12, height: 5,
                         rx: 2, fill: "var(--xp-two)" }),
          draw("text", { x: x + (z * step) / 2, y: top + 16, "text-anchor": "middle" },
               `${best}`)];
      });
      const skipped = inside.filter((n) => !n).length, most = Math.max(...wins);
      return {
        says: `${windows.length} windows. ${skipped ? `${skipped} pixels are in none. ` : ""}`
          + `The luckiest pixel wins ${most} of them.`,
        parts: [draw("text", { x: LEFT, y: 14 },
                     "pixels (drag them); orange: the largest of a window"), ...bars, ...spans],
      };
    },
  });
} };
