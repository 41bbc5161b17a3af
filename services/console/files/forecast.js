// A forecast: what a series was, and the quantiles of what it may become, as a fan.

import { formatNumber, h, svg } from "./dom.js";

const [WIDTH, HEIGHT, MARGIN] = [640, 220, 6];

// quantiles are {tensor, level} by rising level.
export function showForecast({ history, quantiles }) {
  const past = Array.from(history.data.slice(0, history.shape[1]));
  const fan = quantiles.map(({ tensor }) => Array.from(tensor.data.slice(0, tensor.shape[1])));
  const middle = fan[Math.floor(fan.length / 2)];
  const values = [...past, ...fan.flat()].filter(Number.isFinite);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const last = past.length + middle.length - 1;
  const x = (step) => MARGIN + ((WIDTH - 2 * MARGIN) * step) / last;
  const y = (value) => HEIGHT - MARGIN - ((HEIGHT - 2 * MARGIN) * (value - low)) / (high - low || 1);
  const line = (steps, first) => steps.map((value, place) => [value, place]).filter(([value]) => Number.isFinite(value))
    .map(([value, place]) => `${x(first + place).toFixed(1)},${y(value).toFixed(1)}`);
  const band = (lower, upper) => svg("polygon", {
    class: "band", points: [...line(lower, past.length), ...line(upper, past.length).reverse()].join(" "),
  });
  const levels = quantiles.map(({ level }) => level);
  return h("section", {}, h("h3", {}, "Forecast"),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "fan", role: "img", "aria-label": `${past.length} past values, and ${middle.length} forecast ones from ${formatNumber(middle[0])} to ${formatNumber(middle.at(-1))}` },
      Array.from({ length: Math.floor(fan.length / 2) }, (_, place) => band(fan[place], fan[fan.length - 1 - place])),
      svg("line", { class: "ring", x1: x(past.length - 0.5), x2: x(past.length - 0.5), y1: 0, y2: HEIGHT }),
      svg("polyline", { class: "past", points: line(past, 0).join(" ") }),
      svg("polyline", { class: "future", points: line(middle, past.length).join(" ") })),
    h("p", { class: "hint" }, `${past.length} values were sent, from ${formatNumber(low)} to ${formatNumber(high)} with the ${middle.length} that follow: their median, and bands between the quantiles ${levels.slice(0, Math.floor(levels.length / 2)).map((level, place) => `${level} and ${levels[levels.length - 1 - place]}`).join(", ")}.`));
}
