// Beams in space and what they carry, beside the classical ways of choosing them.

import { rankingRow } from "./answers.js";
import { h, svg } from "./dom.js";
import * as complex from "./complex.js";

const FLOOR_DB = -30;
const RINGS_DB = [0, -10, -20];
const STEP_DEGREES = 1;
const SEARCH_DEGREES = 5;
const DEGREE = Math.PI / 180;
const SNR_DB = 0;

export function showBeams({ channel, precoder, combiner }) {
  const carriers = channel.shape[1];
  const plots = h("div", { class: "polars" });
  const carrier = h("input", { type: "range", min: 0, max: carriers - 1, value: 0, id: "carrier", oninput: draw });
  const said = h("output", { for: "carrier" });
  function draw() {
    said.textContent = `${Number(carrier.value) + 1} of ${carriers}`;
    plots.replaceChildren(
      polar("Precoder", complex.matrixOf(precoder, carrier.value)),
      polar("Combiner", complex.matrixOf(combiner, carrier.value)));
  }
  draw();
  return h("section", { class: "beams" }, plots,
    h("p", { class: "hint" }, "Gain over azimuth, in dB below the strongest of each side."),
    h("div", { class: "row" }, h("label", { for: "carrier" }, "Subcarrier"), carrier, said),
    efficiencies(channel, precoder, combiner));
}

function efficiencies(channel, precoder, combiner) {
  const rows = compareMethods(channel, precoder, combiner);
  const most = Math.max(...rows.map(([, value]) => value));
  return h("section", {}, h("h3", {}, "Spectral efficiency"),
    h("ol", { class: "ranking" }, rows.map(([name, value]) => rankingRow(name, value / most, `${value.toFixed(2)} bit/s/Hz`))),
    h("p", { class: "hint" }, `At ${SNR_DB} dB, if the estimate that was sent were the channel itself. It is a noisy one, and the singular vectors are the best for its noise too; what counts on the true channel is the release's quality in the store.`));
}

// bits/s/Hz of the first row by this model's weights and by classical ones, over all subcarriers.
function compareMethods(channel, precoder, combiner) {
  const carriers = Array.from({ length: channel.shape[1] }, (_, carrier) => complex.matrixOf(channel, carrier));
  const power = carriers.reduce((sum, matrix) => sum + complex.energy(matrix) / (matrix.rows * matrix.columns), 0) / carriers.length;
  const scaled = carriers.map((matrix) => complex.scale(matrix, 1 / Math.sqrt(power)));
  const streams = precoder.shape[3];
  const own = scaled.map((_, carrier) => [complex.matrixOf(precoder, carrier), complex.matrixOf(combiner, carrier)]);
  const singular = scaled.map((matrix) => singularPair([matrix], streams));
  const wide = singularPair(scaled, streams);
  const fixed = codebookPair(scaled, streams);
  const mean = (pairs) => scaled.reduce((sum, matrix, carrier) => sum + complex.efficiency(matrix, ...pairs[carrier], 10 ** (SNR_DB / 10)), 0) / scaled.length;
  return [
    ["this model", mean(own)],
    ["singular vectors of each subcarrier", mean(singular)],
    ["one pair for all subcarriers", mean(scaled.map(() => wide))],
    ["best beams of a DFT codebook", mean(scaled.map(() => fixed))],
  ];
}

function singularPair(matrices, streams) {
  return [
    complex.leadingVectors(matrices.map((matrix) => complex.multiply(complex.adjoint(matrix), matrix)), streams),
    complex.leadingVectors(matrices.map((matrix) => complex.multiply(matrix, complex.adjoint(matrix))), streams),
  ];
}

function codebookPair(matrices, streams) {
  const [{ rows, columns }] = matrices;
  return [
    complex.strongest(complex.dft(columns), matrices, streams),
    complex.strongest(complex.dft(rows), matrices.map(complex.adjoint), streams),
  ];
}

// Gain over azimuth of a column of weights, at the elevation where it is strongest. A square number of antennas is taken
// as a square array of rows × columns half a wavelength apart, any other as a line.
function pattern(weights, column) {
  const side = Math.sqrt(weights.rows);
  const isSquare = Number.isInteger(side) && side > 1;
  const gain = (azimuth, elevation) => {
    const rowPhase = Math.PI * Math.sin(azimuth * DEGREE) * Math.sin(elevation * DEGREE);
    const columnPhase = Math.PI * Math.cos(elevation * DEGREE);
    let [real, imaginary] = [0, 0];
    for (let antenna = 0; antenna < weights.rows; antenna++) {
      const phase = isSquare ? Math.floor(antenna / side) * rowPhase + (antenna % side) * columnPhase : antenna * rowPhase;
      const place = 2 * (antenna * weights.columns + column);
      const [cosine, sine] = [Math.cos(phase), -Math.sin(phase)];
      real += weights.values[place] * cosine - weights.values[place + 1] * sine;
      imaginary += weights.values[place] * sine + weights.values[place + 1] * cosine;
    }
    return 10 * Math.log10(Math.max((real * real + imaginary * imaginary) / weights.rows, 1e-12));
  };
  const elevations = isSquare ? steps(5, 175, SEARCH_DEGREES) : [90];
  let best = [90, -Infinity];
  for (const elevation of elevations) {
    for (const azimuth of steps(-90, 90, SEARCH_DEGREES)) {
      const reached = gain(azimuth, elevation);
      if (reached > best[1]) best = [elevation, reached];
    }
  }
  return steps(-90, 90, STEP_DEGREES).map((azimuth) => [azimuth, gain(azimuth, best[0])]);
}

function steps(first, last, step) {
  return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, place) => first + place * step);
}

function polar(title, weights) {
  const patterns = Array.from({ length: weights.columns }, (_, column) => pattern(weights, column));
  const peak = Math.max(...patterns.flat().map(([, gain]) => gain));
  const place = (angle, gain) => {
    const radius = 100 * Math.max(0, 1 - (gain - peak) / FLOOR_DB);
    const turn = (angle * Math.PI) / 180;
    return `${(120 + radius * Math.sin(turn)).toFixed(1)},${(115 - radius * Math.cos(turn)).toFixed(1)}`;
  };
  const best = patterns.map((gains) => gains.reduce((most, each) => (each[1] > most[1] ? each : most)));
  return h("figure", {},
    svg("svg", { viewBox: "0 0 240 130", class: "polar", role: "img", "aria-label": `${title}: strongest at ${best.map(([angle]) => `${angle}°`).join(" and ")}` },
      RINGS_DB.map((level) => svg("path", { class: "ring", d: `M${place(-90, peak + level)} A${100 + (level * 100) / -FLOOR_DB} ${100 + (level * 100) / -FLOOR_DB} 0 0 1 ${place(90, peak + level)}` })),
      [-90, -60, -30, 0, 30, 60, 90].map((angle) => svg("path", { class: "ring", d: `M120,115 L${place(angle, peak)}` })),
      patterns.map((gains, column) => svg("polyline", { class: `beam stream-${column}`, points: gains.map(([angle, gain]) => place(angle, gain)).join(" ") })),
      [-60, 0, 60].map((angle) => svg("text", { x: 120 + 109 * Math.sin((angle * Math.PI) / 180), y: 118 - 107 * Math.cos((angle * Math.PI) / 180), "text-anchor": "middle" }, `${angle}°`)),
      RINGS_DB.map((level) => svg("text", { x: 120 + 100 * (1 - level / FLOOR_DB), y: 125, "text-anchor": "middle" }, level ? String(level) : "0 dB"))),
    h("figcaption", {}, title, h("span", { class: "muted small" }, best.map(([angle], column) =>
      h("span", { class: `key stream-${column}` }, ` stream ${column + 1}: ${angle}°`)))));
}
