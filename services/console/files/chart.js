// Lines over time or over steps, by uPlot (MIT licence, vendor/uplot.LICENSE), in the page's own colours.

import { formatNumber, h } from "./dom.js";

const HEIGHT_PX = 190;
const LENGTH_S = 900;
const SHORTEST_S = 60; // of a server that has just been started
const STYLES = [["--series-1", []], ["--series-2", [6, 4]], ["--series-3", [2, 3]]];
const formatTime = (seconds, options) => new Date(1000 * seconds).toLocaleTimeString("en-GB", options);
// What the horizontal axis is: how far it goes, how it is read, and what of the vertical one follows from that.
const OVER_TIME = {
  name: "time", sync: "live", steps: [60, 120, 300], format: (value) => formatTime(value),
  range: (low, high) => (high ? [Math.max(high - LENGTH_S, Math.min(low, high - SHORTEST_S)), high] : [0, LENGTH_S]),
  ticks: (value) => formatTime(value, { hour: "2-digit", minute: "2-digit" }),
  height: (low, high) => [0, high > 0 ? high * 1.15 : 1],
};
// Curves have points at steps of their own, so a line goes on over those that only another one has.
export const OVER_STEPS = {
  name: "step", sync: null, format: formatNumber, range: (low, high) => [Math.min(low, 0), high || 1], ticks: formatNumber, spanGaps: true,
  height: (low, high) => {
    const margin = (high - low || Math.abs(high) || 1) * 0.08;
    return [low - margin, high + margin];
  },
};
const isDark = matchMedia("(prefers-color-scheme: dark)");
let library = null;

function loadLibrary() {
  library ??= new Promise((done, fail) => {
    document.head.append(
      h("link", { rel: "stylesheet", href: "console/vendor/uplot.css" }),
      h("script", { src: "console/vendor/uplot.js", onload: done, onerror: () => fail(new Error("the chart library could not be loaded")) }));
  });
  return library;
}

export function makeChart(title, unit, names, over = OVER_TIME) {
  const place = h("div", { class: "plot" });
  const words = h("p", { class: "hidden" });
  const element = h("section", { class: "card chart" }, h("h2", {}, title, h("span", { class: "muted small" }, ` ${unit}`)), place, words);
  let data = [[], ...names.map(() => [])];
  let plot = null;
  let isGone = false;

  async function build() {
    await loadLibrary();
    if (isGone) return;
    plot?.destroy();
    plot = new globalThis.uPlot(options(place.clientWidth || 320, names, over), data, place);
  }
  const resized = new ResizeObserver(() => plot?.setSize({ width: place.clientWidth, height: HEIGHT_PX }));
  resized.observe(place);
  isDark.addEventListener("change", build);
  build();

  return {
    element,
    set(times, lines) {
      data = [times, ...lines];
      plot?.setData(data);
      words.textContent = describe(title, unit, names, lines);
    },
    remove() {
      isGone = true;
      resized.disconnect();
      isDark.removeEventListener("change", build);
      plot?.destroy();
    },
  };
}

// A canvas knows no variables and no pairs of colours: what the page makes of them here and now.
function colour(name) {
  const probe = h("span", {});
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function options(width, names, over) {
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  return {
    width, height: HEIGHT_PX,
    cursor: { sync: { key: over.sync }, drag: { x: false, y: false } },
    legend: { live: true },
    scales: { x: { time: over === OVER_TIME, range: (_, low, high) => over.range(low, high) }, y: { range: (_, low, high) => over.height(low, high) } },
    axes: [{ ...axis, size: 30, values: (_, values) => values.map((value) => over.ticks(value)), ...(over.steps && { incrs: over.steps }) },
      { ...axis, size: 54, values: (_, values) => values.map((value) => formatNumber(value, 3)) }],
    series: [{ label: over.name, value: (...at) => formatPoint(over.format, ...at) },
      ...names.map((label, place) => ({
        label, stroke: colour(STYLES[place][0]), dash: STYLES[place][1], width: 2, points: { size: 4 }, spanGaps: over.spanGaps,
        value: (...at) => formatPoint((value) => formatNumber(value, 3), ...at),
      }))],
  };
}

// What the legend says of a line: its value at the pointer, and without one, as on a phone, its last.
function formatPoint(format, plot, value, line, index) {
  const said = index === null || index === undefined ? plot.data[line].findLast((each) => each !== null) : value;
  return said === null || said === undefined ? "–" : format(said);
}

// What the lines show, for those who do not see them.
function describe(title, unit, names, lines) {
  const parts = names.map((name, place) => {
    const values = lines[place].filter((value) => value !== null && value !== undefined);
    return values.length ? `${name} ${formatNumber(values.at(-1), 3)}, at most ${formatNumber(Math.max(...values), 3)}` : `${name} none`;
  });
  return `${title} (${unit}): ${parts.join("; ")}`;
}
