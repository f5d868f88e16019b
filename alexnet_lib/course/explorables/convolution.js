// A kernel slides over a photograph: drag it, turn it, and see the feature map that it makes.

import { draw, explorable } from "./shared.js";

const W = 720, H = 330, SIDE = 300, PIXELS = 227, KERNEL = 11, RIGHT = 410, TOP = 24;
const positions = (stride) => Math.floor((PIXELS - KERNEL) / stride) + 1;

// -1 on one side, +1 on the other; at 0 degrees left and right, as in the picture above.
function kernelAt(angle) {
  const [cos, sin] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
  return Array.from({ length: KERNEL * KERNEL }, (_, i) => {
    const side = ((i % KERNEL) - 5) * cos + (Math.floor(i / KERNEL) - 5) * sin;
    return Math.abs(side) < 0.5 ? 0 : Math.sign(side);
  });
}

// The sums at all positions: the kernel has the same weights for red, green, and blue.
function convolve(gray, kernel, stride) {
  const count = positions(stride), map = new Float64Array(count * count);
  for (let row = 0; row < count; row += 1) {
    for (let column = 0; column < count; column += 1) {
      let sum = 0;
      for (let i = 0; i < KERNEL; i += 1) {
        const first = (row * stride + i) * PIXELS + column * stride;
        for (let j = 0; j < KERNEL; j += 1) sum += kernel[i * KERNEL + j] * gray[first + j];
      }
      map[row * count + column] = sum;
    }
  }
  return map;
}

function canvas(side) {
  return Object.assign(document.createElement("canvas"), { width: side, height: side });
}

// Purple below zero, white at zero, orange above.
function colored(map, count, most) {
  const made = canvas(count), context = made.getContext("2d");
  const image = context.createImageData(count, count);
  map.forEach((value, i) => {
    const [red, green, blue] = value > 0 ? [224, 123, 57] : [104, 76, 160];
    const part = Math.min(1, Math.abs(value) / most);
    image.data.set([red, green, blue].map((c) => 255 + part * (c - 255)).concat(255), 4 * i);
  });
  context.putImageData(image, 0, 0);
  return made.toDataURL();
}

function disc() { // where no photograph is given
  const made = canvas(PIXELS), context = made.getContext("2d");
  context.fillStyle = "#333";
  context.fillRect(0, 0, PIXELS, PIXELS);
  context.fillStyle = "#eee";
  context.arc(113, 113, 60, 0, 2 * Math.PI);
  context.fill();
  return made.toDataURL();
}

function seen(gray, photo, given) {
  let known = "", map, kernel, picture;
  return explorable(given, {
    name: "A kernel on a photograph, and the feature map that it makes", width: W, height: H,
    start: { row: 20, column: 42, stride: 4, angle: 0 },
    controls: [
      { key: "row", label: "row", min: 1, max: 55, step: 1, most: (s) => positions(s.stride) },
      { key: "column", label: "column", min: 1, max: 55, step: 1,
        most: (s) => positions(s.stride) },
      { key: "stride", label: "stride", min: 2, max: 12, step: 1 },
      { key: "angle", label: "turned by", min: 0, max: 180, step: 15, show: (v) => `${v}°` },
    ],
    paint(state, change) {
      const { stride, angle } = state, count = positions(stride);
      const row = Math.min(state.row, count), column = Math.min(state.column, count);
      if (known !== `${stride} ${angle}`) {
        known = `${stride} ${angle}`;
        kernel = kernelAt(angle);
        map = convolve(gray, kernel, stride);
        picture = colored(map, count, Math.max(1, ...map.map(Math.abs)) * 0.7);
      }
      const scale = SIDE / PIXELS, cell = SIDE / count;
      const image = draw("image", { href: photo, y: TOP, width: SIDE, height: SIDE,
                                    style: "cursor: move; touch-action: none" });
      image.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        const svg = image.ownerSVGElement;
        const move = (moved) => {
          const point = new DOMPoint(moved.clientX, moved.clientY)
            .matrixTransform(svg.getScreenCTM().inverse());
          const place = (at) => Math.min(count, Math.max(1, 1 + Math.round(
            (at / scale - KERNEL / 2) / stride)));
          change({ row: place(point.y - TOP), column: place(point.x) }, moved.type === "pointerup");
          if (moved.type === "pointerup") {
            removeEventListener("pointermove", move);
            removeEventListener("pointerup", move);
          }
        };
        addEventListener("pointermove", move);
        addEventListener("pointerup", move);
        move(event);
      });
      const small = 6;
      const weights = [[1, "#e07b39"], [-1, "#684ca0"], [0, "#fff"]].map(([sign, fill]) => draw(
        "path", { fill, d: kernel.map((w, i) => (w === sign ? `M${322 + (i % KERNEL) * small} ${
          130 + Math.floor(i / KERNEL) * small}h${small}v${small}h-${small}z` : "")).join("") }));
      const square = { fill: "none", stroke: "var(--xp-two)", "stroke-width": 2.5,
                       "pointer-events": "none" };
      return {
        says: `Row ${row}, column ${column} of ${count} × ${count}: the sum is `
          + `${map[(row - 1) * count + column - 1].toLocaleString("en")}.`,
        parts: [draw("text", { y: 15 }, "the photograph (drag the kernel)"), image,
                draw("rect", { x: (column - 1) * stride * scale,
                               y: TOP + (row - 1) * stride * scale, width: KERNEL * scale,
                               height: KERNEL * scale, ...square }),
                draw("text", { x: 355, y: 120, "text-anchor": "middle" }, "kernel"), ...weights,
                draw("text", { x: RIGHT, y: 15 }, "the feature map"),
                draw("image", { href: picture, x: RIGHT, y: TOP, width: SIDE, height: SIDE,
                                style: "image-rendering: pixelated" }),
                draw("rect", { x: RIGHT + (column - 1) * cell, y: TOP + (row - 1) * cell,
                               width: cell, height: cell, ...square })],
      };
    },
  });
}

export default { render(given) {
  const image = new Image();
  let stop = () => {};
  image.onload = () => {
    const context = canvas(PIXELS).getContext("2d");
    context.drawImage(image, 0, 0, PIXELS, PIXELS);
    const { data } = context.getImageData(0, 0, PIXELS, PIXELS);
    const sums = Float64Array.from({ length: PIXELS * PIXELS },
                                   (_, i) => data[4 * i] + data[4 * i + 1] + data[4 * i + 2]);
    stop = seen(sums, image.src, given);
  };
  image.src = given.model.get("photo") ?? disc();
  return () => stop();
} };
