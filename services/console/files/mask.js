// Masks as a model sends them: the class of each pixel, as a colour over the image that was sent.

import { formatShare, rankingRow } from "./answers.js";
import { h } from "./dom.js";
import { paintImage } from "./image_grid.js";

const SHARE = 0.6; // of the class's colour, the rest is the image
const COLOURS = [[31, 119, 180], [255, 127, 14], [44, 160, 44], [214, 39, 40], [148, 103, 189], [140, 86, 75], [227, 119, 194], [188, 189, 34], [23, 190, 207]];

// masks is UINT8 [N, H, W], image UINT8 [N, H, W, C] or null where a file was sent, labels the names of the classes, 0 the background.
export function showMasks({ masks, image, labels }) {
  const behind = image ?? { shape: [...masks.shape, 1], data: new Uint8Array(masks.data.length) };
  return h("section", { class: "masks" }, h("h3", {}, masks.name), Array.from({ length: masks.shape[0] }, (_, row) => {
    const [, height, width] = masks.shape;
    const pixels = masks.data.slice(row * height * width, (row + 1) * height * width);
    const canvas = h("canvas", { role: "img", "aria-label": `Mask ${row + 1}` });
    paintMask(canvas, pixels, behind, row);
    return [canvas, h("ol", { class: "ranking" }, countClasses(pixels).map(([number, count]) => {
      const entry = rankingRow(labels[number] ?? `class ${number}`, count / pixels.length, formatShare(count / pixels.length));
      if (number) entry.querySelector(".fill").style.background = `rgb(${colourOf(number)})`;
      return entry;
    }))];
  }));
}

function paintMask(canvas, pixels, image, row) {
  const [height, width, channels] = image.shape.slice(1);
  const data = new Uint8ClampedArray(pixels.length * 3);
  pixels.forEach((number, place) => {
    for (let channel = 0; channel < 3; channel++) {
      const level = image.data[(row * pixels.length + place) * channels + (channels === 1 ? 0 : channel)];
      data[3 * place + channel] = number ? SHARE * colourOf(number)[channel] + (1 - SHARE) * level : level;
    }
  });
  paintImage(canvas, { shape: [1, height, width, 3], data }, 0);
}

function countClasses(pixels) {
  const counts = new Map();
  for (const number of pixels) counts.set(number, (counts.get(number) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

function colourOf(number) {
  return COLOURS[(number - 1) % COLOURS.length];
}
