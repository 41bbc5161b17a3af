// A signal over bands that are the more coloured the more its samples count; the number is told to who points at one.

import { formatNumber, h, svg } from "./dom.js";

const [WIDTH, HEIGHT, MARGIN] = [640, 160, 8];

export function showSignal(signal, { data }, strengthAt) {
  const values = Array.from(signal.data.slice(0, signal.shape[1]));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const width = WIDTH / values.length;
  const y = (value) => HEIGHT - MARGIN - ((HEIGHT - 2 * MARGIN) * (value - low)) / (high - low || 1);
  const points = values.map((value, place) => `${(width * (place + 0.5)).toFixed(1)},${y(value).toFixed(1)}`);
  const bands = values.map((_, place) => svg("rect", {
    class: data[place] < 0 ? "against" : "for", x: width * place, y: 0, width, height: HEIGHT,
    "fill-opacity": strengthAt(place).toFixed(3),
  }, svg("title", {}, `sample ${place + 1}: ${formatNumber(data[place], 2)}`)));
  return {
    picture: svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "fan", role: "img", "aria-label": `A signal of ${values.length} samples, coloured where it counts` },
      bands, svg("polyline", { class: "past", points: points.join(" ") })),
    control: h("p", { class: "hint" }, `${values.length} samples, from ${formatNumber(low)} to ${formatNumber(high)}.`),
  };
}
