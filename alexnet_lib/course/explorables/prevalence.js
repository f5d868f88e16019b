// Precision depends on how rare the class is: move prevalence, recall, and false alarms.

import { axes, draw, explorable, path } from "./shared.js";

const W = 720, H = 320, LEFT = 52, RIGHT = 400, TOP = 26, BOTTOM = 262;
const PEOPLE = 1000, ACROSS = 40, CELL = 7;
const percent = (v) => `${Number((100 * v).toPrecision(2))}%`;

export default { render(given) {
  return explorable(given, {
    name: "Precision by prevalence, and a thousand cases", width: W, height: H,
    start: { prevalence: 0.1, recall: 0.8, false_alarms: 0.025 },
    controls: [
      { key: "prevalence", label: "prevalence", min: 0.001, max: 0.5, log: true, show: percent },
      { key: "recall", label: "recall", min: 0.05, max: 1, step: 0.05, show: percent },
      { key: "false_alarms", label: "false alarms", min: 0.001, max: 0.2, log: true,
        show: percent },
    ],
    paint({ prevalence, recall, false_alarms: alarms }) {
      const precision = (p) => (recall * p) / (recall * p + alarms * (1 - p));
      const x = (p) => LEFT + ((Math.log10(p) + 3) / 2.7) * (RIGHT - LEFT);
      const y = (v) => BOTTOM - v * (BOTTOM - TOP);
      const curve = Array.from({ length: 90 }, (_, i) => 10 ** (-3 + (2.7 * i) / 89));
      const ill = Math.round(PEOPLE * prevalence), found = Math.round(ill * recall);
      const wrong = Math.round((PEOPLE - ill) * alarms);
      const kinds = [[found, "var(--xp-one)", 1], [ill - found, "var(--xp-one)", 0.3],
                     [wrong, "var(--xp-two)", 1], [PEOPLE - ill - wrong, "var(--xp-soft)", 0.25]];
      let first = 0;
      const dots = kinds.map(([count, fill, opacity]) => {  // a path each: quicker than a thousand
        const cells = Array.from({ length: count }, (_, i) => {
          const left = 430 + ((first + i) % ACROSS) * CELL;
          return `M${left} ${TOP + Math.floor((first + i) / ACROSS) * (CELL + 0.5)}h5.5v5.5h-5.5z`;
        });
        first += count;
        return draw("path", { d: cells.join(""), fill, opacity });
      });
      const legend = [["found", 430], ["missed", 508], ["false alarms", 592]].map(([text, at], i) => draw(
        "g", {}, draw("rect", { x: at, y: 232, width: 11, height: 11, fill: kinds[i][1],
                                opacity: kinds[i][2] }),
        draw("text", { x: at + 16, y: 242 }, `${kinds[i][0]} ${text}`)));
      const rate = found + wrong ? found / (found + wrong) : 0;
      return {
        says: `Of 1,000 cases ${ill} are of this class. ${found + wrong} are reported, and `
          + `${found} of those are right: a precision of ${percent(rate)}.`,
        parts: [...axes({ x, y, left: LEFT, right: RIGHT, top: TOP, bottom: BOTTOM,
                          xs: [0.001, 0.01, 0.1, 0.5], ys: [0, 0.25, 0.5, 0.75, 1],
                          xText: percent, yText: percent, xLabel: "prevalence",
                          yLabel: "precision" }),
                path(curve.map((p) => [x(p), y(precision(p))]), { stroke: "var(--xp-one)" }),
                draw("circle", { cx: x(prevalence), cy: y(precision(prevalence)), r: 6,
                                 fill: "var(--xp-two)" }),
                draw("text", { x: 430, y: TOP - 8 }, "a thousand cases"), ...dots, ...legend],
      };
    },
  });
} };
