// Answers by what their tensors mean: ranked labels, images, aligned texts, beams, forecasts; else the values themselves.

import { infer } from "./api.js";
import { formatNumber, h } from "./dom.js";
import { isImage } from "./form.js";
import { describeArray } from "./tensor_files.js";
import { readText, takeRow, toNested } from "./wire.js";

const MAX_RANKS = 10;
const MAX_ROWS_SHOWN = 16;
const MAX_VALUES = 256;

export async function showAnswer(manifest, result, request) {
  const { tensors } = result;
  const parts = [];
  const rest = new Set(tensors.filter((tensor) => tensor.shape.every((size) => size > 0)));
  const take = (...used) => used.forEach((tensor) => rest.delete(tensor));

  const masks = findMasks(manifest, request, tensors);
  const ranked = findRanking(manifest, masks ? tensors.filter((tensor) => !masks.areas.includes(tensor)) : tensors);
  if (ranked) {
    parts.push(...eachRow(ranked.scores.shape[0], (row) => ranking(readRanking(ranked, row))));
    take(ranked.scores, ranked.names);
  }
  const images = tensors.find(isImage);
  if (images) {
    parts.push(await showImages(manifest, images, request));
    take(images);
  }
  if (masks) {
    const module = await import("./mask.js");
    parts.push(module.showMasks(masks));
    take(masks.masks, ...masks.areas);
  }
  const beams = await findBeams(request, tensors);
  if (beams) {
    const module = await import("./beams.js");
    parts.push(module.showBeams(beams));
    take(...beams.used);
  }
  const forecast = findForecast(request, tensors);
  if (forecast) {
    const module = await import("./forecast.js");
    parts.push(module.showForecast(forecast));
    take(...forecast.quantiles.map(({ tensor }) => tensor));
  }
  for (const tensor of [...rest].filter(({ datatype }) => datatype === "BYTES")) {
    parts.push(await showTexts(tensor, tensors));
    take(tensor, ...scoresOf(tensor, tensors));
  }
  for (const tensor of rest) parts.push(showValues(tensor));
  return h("div", { class: "meaning" }, parts,
    h("p", { class: "muted small meta" }, `${result.model} ${result.version} · request `, h("code", {}, result.id || "–")));
}

function eachRow(count, show) {
  const rows = Array.from({ length: Math.min(count, MAX_ROWS_SHOWN) }, (_, row) => show(row));
  return count > rows.length ? [...rows, h("p", { class: "muted" }, `and ${count - rows.length} more rows`)] : rows;
}

// Probabilities with the names of their classes: beside them, or known from the manifest.
export function findRanking(manifest, tensors) {
  const scores = tensors.find(({ name, datatype, shape }) => {
    const output = manifest.outputs.find((each) => each.name === name);
    return datatype.startsWith("FP") && shape.length === 2 && output && (output.singular !== "" || (output.minimum === 0 && output.maximum === 1));
  });
  if (!scores) return null;
  const beside = tensors.find(({ datatype, shape }) => datatype === "BYTES" && String(shape) === String(scores.shape));
  const best = tensors.find(({ datatype, shape }) => datatype === "BYTES" && shape.length === 1);
  const labels = manifest.handler_options?.labels;
  if (beside) return { scores, names: beside, labels: null };
  return labels?.length === scores.shape[1] ? { scores, names: best, labels } : null;
}

export function readRanking({ scores, names, labels }, row) {
  const size = scores.shape[1];
  const entries = Array.from({ length: size }, (_, place) => ({
    label: labels ? labels[place] : readText(names.data[row * size + place]) ?? "?",
    score: scores.data[row * size + place],
  }));
  return entries.sort((a, b) => b.score - a.score);
}

export function ranking(entries) {
  return h("ol", { class: "ranking" }, entries.slice(0, MAX_RANKS).map(({ label, score }) => rankingRow(label, score, formatShare(score))));
}

// A name, a bar that is filled to a share, and what it says in words.
export function rankingRow(name, share, text) {
  const bar = h("span", { class: "fill" });
  bar.style.width = `${100 * share}%`;
  return h("li", {}, h("span", { class: "name" }, name), h("span", { class: "track", "aria-hidden": "true" }, bar),
    h("span", { class: "number" }, text));
}

export function formatShare(share) {
  return `${(100 * share).toFixed(1)} %`;
}

async function showImages(manifest, images, request) {
  const module = await import("./image_grid.js");
  const seed = manifest.inputs.find(({ datatype, shape }) => datatype === "INT64" && shape.length === 1 && request.inputs[0].name !== "");
  const latent = manifest.inputs.find(({ datatype, shape }) => datatype === "FP32" && shape.length === 2 && shape[1] > 0);
  const sent = seed && request.inputs.find(({ name }) => name === seed.name);
  const captions = sent ? Array.from(sent.data, (value) => String(value)) : [];
  const grid = module.imageGrid(images, captions);
  if (!sent || !latent) return grid;
  const others = request.inputs.filter((tensor) => tensor !== sent).map((tensor) => takeRow(tensor, 0));
  const names = [latent.name, ...others.map(({ name }) => name)];
  if (!manifest.input_sets.some((set) => set.length === names.length && names.every((name) => set.includes(name)))) return grid;
  const ask = async (inputs) => {
    const answer = await infer(manifest.model, `${manifest.release}-${manifest.variant}`, { inputs, outputs: [images.name] });
    return answer.tensors.find(({ name }) => name === images.name);
  };
  return [grid, module.latentWalk(manifest, { seed, latent, others }, Number(sent.data[0]), ask)];
}

// The class of each pixel, UINT8 [N, H, W], of images [N, H, W, C] that were sent; areas say in numbers what it shows.
function findMasks(manifest, request, tensors) {
  const masks = tensors.find(({ datatype, shape }) => datatype === "UINT8" && shape.length === 3);
  if (!masks) return null;
  const image = request.inputs.find((tensor) => isImage(tensor) && String(tensor.shape.slice(0, 3)) === String(masks.shape)) ?? null;
  const areas = tensors.filter(({ name }) => name === "area" || name === "class");
  return { masks, image, labels: manifest.handler_options?.labels ?? [], areas };
}

// Weights for the two sides of a channel that was sent: [N, K, T, S, 2] and [N, K, R, S, 2] for [N, K, R, T, 2].
async function findBeams(request, tensors) {
  const isComplex = ({ shape, datatype }) => datatype.startsWith("FP") && shape.length === 5 && shape[4] === 2;
  const channel = request.inputs.find(isComplex);
  if (!channel) return null;
  const [, carriers, receive, transmit] = channel.shape;
  const fits = (antennas) => (tensor) => isComplex(tensor) && tensor.shape[1] === carriers && tensor.shape[2] === antennas;
  const precoder = tensors.find(fits(transmit));
  const combiner = tensors.find((tensor) => tensor !== precoder && fits(receive)(tensor));
  return precoder && combiner ? { channel, precoder, combiner, used: [precoder, combiner] } : null;
}

// Three quantiles or more, [N, H] each and named as q10 is, of a history [N, L] that was sent.
function findForecast(request, tensors) {
  const isSeries = ({ datatype, shape }) => datatype.startsWith("FP") && shape.length === 2;
  const history = request.inputs.find(isSeries);
  const quantiles = tensors.filter((tensor) => isSeries(tensor) && /^q\d\d$/.test(tensor.name))
    .map((tensor) => ({ tensor, level: Number(tensor.name.slice(1)) / 100 })).sort((a, b) => a.level - b.level);
  return history && quantiles.length >= 3 ? { history, quantiles } : null;
}

async function showTexts(tensor, tensors) {
  const texts = tensor.data.map(readText);
  const alignment = readAlignment(texts[0]);
  if (alignment) {
    const module = await import("./alignment.js");
    return module.alignmentMap(alignment);
  }
  const [scores] = scoresOf(tensor, tensors);
  return h("div", { class: "texts" }, h("h3", {}, tensor.name), eachRow(texts.length, (row) =>
    [h("p", { class: "text" }, texts[row] ?? h("em", {}, `${tensor.data[row].length} bytes that are no text`)),
      scores ? h("p", { class: "hint" }, `${scores.name} ${formatNumber(scores.data[row])}`) : null]));
}

function scoresOf(tensor, tensors) {
  if (readAlignment(readText(tensor.data[0]))) return [];
  return tensors.filter(({ datatype, shape }) => datatype.startsWith("FP") && String(shape) === String(tensor.shape));
}

export function readAlignment(text) {
  if (!text?.startsWith("{")) return null;
  try {
    const { source, target, weights } = JSON.parse(text);
    return Array.isArray(source) && Array.isArray(target) && Array.isArray(weights) ? { source, target, weights } : null;
  } catch {
    return null;
  }
}

function showValues(tensor) {
  const isSmall = tensor.data.length <= MAX_VALUES;
  return h("div", { class: "values" }, h("h3", {}, tensor.name), describeArray(tensor),
    isSmall ? h("pre", { tabindex: 0 }, toNested(tensor)) : null);
}
