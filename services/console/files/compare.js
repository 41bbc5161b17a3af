// Compare: one input through several versions of a model, and the examples on which they disagree.

import { fetchExample, getManifest, infer, listExamples } from "./api.js";
import { findRanking, formatShare, readRanking } from "./answers.js";
import { formatBytes, formatMs, formatNumber, h, problem, put } from "./dom.js";
import { isImage, makeForm } from "./form.js";
import { paintImage } from "./image_grid.js";
import { chooseModel } from "./picker.js";
import { makeTable } from "./table.js";
import { readText } from "./wire.js";

const NUM_REPEATS = 30;
const NUM_WARM_UPS = 2;

export async function show(root, [model]) {
  const chosen = await chooseModel(root, "Compare", model, { isFit: ({ versions }) => versions.length > 1 });
  if (!chosen) return;
  if (chosen.versions.length < 2) {
    root.append(h("p", { class: "card" }, `Only ${chosen.versions[0].version} is served. To compare variants, release several and start the server with `, h("code", {}, "serve --variants all"), "."));
    return;
  }
  const versions = chosen.versions.map(({ version }) => version);
  const manifest = await getManifest(chosen.name, versions[0]);
  const examples = await listExamples(chosen.name);
  const boxes = versions.map((version) => [version, h("input", { type: "checkbox", id: `compare-${version}`, checked: true })]);
  const selected = () => boxes.filter(([, box]) => box.checked).map(([version]) => version);
  const size = (version) => chosen.versions.find((each) => each.version === version).size_bytes;
  const result = h("div", { "aria-live": "polite" }, h("p", { class: "muted" }, "Answers, differences and times come here."));
  const overview = h("div", {});
  const form = makeForm(manifest, examples, { onready: () => {} });
  const go = h("button", { type: "submit", class: "primary" }, "Compare");
  const all = h("button", { type: "button", onclick: () => work(all, overview, () => compareExamples(manifest, selected(), examples)) }, "Run all examples");

  async function work(button, place, make) {
    button.disabled = true;
    place.replaceChildren(h("p", { class: "muted" }, "Running …"));
    try {
      place.replaceChildren(await make());
    } catch (error) {
      place.replaceChildren(problem(error));
    }
    button.disabled = false;
  }

  const bench = h("div", { class: "bench" });
  root.append(bench);
  put(bench,
    h("form", {
      class: "card ask", onsubmit: (event) => {
        event.preventDefault();
        work(go, result, async () => compareOne(manifest, selected(), await form.read(), size));
      },
    }, h("h2", {}, "One input"), form.element,
    h("fieldset", { class: "versions" }, h("legend", {}, "Versions"),
      boxes.map(([version, box]) => h("span", { class: "check" }, box, h("label", { for: box.id }, version)))),
    h("p", { class: "row" }, go, h("span", { class: "muted small" }, `${NUM_REPEATS} calls each, in turn, timed in this browser`))),
    h("div", { class: "results" },
      h("section", { class: "card" }, h("h2", {}, "Side by side"), result),
      examples.length ? h("section", { class: "card" }, h("h2", {}, "All examples"),
        h("p", { class: "row" }, all, h("span", { class: "muted small" }, "where the versions disagree comes first")), overview) : null));
  await form.takeFirstExample();
}

async function compareOne(manifest, versions, request, size) {
  const times = new Map(versions.map((version) => [version, []]));
  const answers = new Map();
  // In turn, so that what else the machine does meanwhile meets all versions alike.
  for (let round = -NUM_WARM_UPS; round < NUM_REPEATS; round++) {
    for (const version of versions) {
      const answer = await infer(manifest.model, version, request);
      answers.set(version, answer);
      if (round >= 0) times.get(version).push(answer.ms);
    }
  }
  const first = answers.get(versions[0]);
  const medians = versions.map((version) => quantile(times.get(version), 0.5));
  const fastest = Math.min(...medians);
  const columns = ["Version", "Answer", "Difference", ["Median", "number"], ["p90", "number"], ["Size", "number"]];
  return makeTable("Comparison", columns, versions.map((version, place) => [
    version, summarize(manifest, answers.get(version)),
    place === 0 ? h("span", { class: "muted" }, "the reference") : describeDifference(first, answers.get(version)),
    [formatMs(medians[place]), medians[place] === fastest ? [" ", h("span", { class: "badge good" }, "fastest")] : null],
    formatMs(quantile(times.get(version), 0.9)), formatBytes(size(version))]));
}

async function compareExamples(manifest, versions, examples) {
  const rows = [];
  for (const example of examples) {
    const inputs = await fetchExample(manifest.model, versions[0], example.row);
    const answers = await Promise.all(versions.map((version) => infer(manifest.model, version, { inputs })));
    const words = answers.map((answer) => headline(manifest, answer));
    const distance = Math.max(...answers.slice(1).map((answer) => measureDifference(answers[0], answer)), 0);
    rows.push({ example, answers, agrees: new Set(words).size === 1, distance });
  }
  const numAgreeing = rows.filter(({ agrees }) => agrees).length;
  rows.sort((a, b) => a.agrees - b.agrees || b.distance - a.distance);
  return h("div", {},
    headline(manifest, rows[0].answers[0]) === null
      ? h("p", {}, ...describeLargest(rows[0].distance))
      : h("p", {}, h("strong", {}, `${numAgreeing} of ${rows.length}`), " examples get the same answer from all versions."),
    makeTable("Examples", ["Example", ...versions, ["Largest difference", "number"]], rows.map(({ example, answers, agrees, distance }) => ({
      class: agrees ? null : "disagrees",
      cells: [
        example.image ? h("img", { src: example.image, alt: `Example ${example.row + 1}`, class: "pixels mini" }) : example.text ?? String(example.row + 1),
        ...answers.map((answer) => summarize(manifest, answer)), formatDifference(distance)],
    }))));
}

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  return sorted[low] + (place - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

// What an answer comes down to, in words: versions agree where this is the same. Null if it says nothing in words.
function headline(manifest, { tensors }) {
  const ranked = findRanking(manifest, tensors);
  if (ranked) return readRanking(ranked, 0)[0].label;
  const text = tensors.find(({ datatype }) => datatype === "BYTES");
  return text ? readText(text.data[0]) ?? "" : null;
}

function summarize(manifest, { tensors }) {
  const ranked = findRanking(manifest, tensors);
  if (ranked) {
    const [best] = readRanking(ranked, 0);
    return h("span", {}, h("strong", {}, best.label), " ", h("span", { class: "muted nowrap" }, formatShare(best.score)));
  }
  const image = tensors.find(isImage);
  if (image) {
    const canvas = h("canvas", { role: "img", "aria-label": "The image", class: "mini" });
    paintImage(canvas, image, 0);
    return canvas;
  }
  const text = tensors.find(({ datatype }) => datatype === "BYTES");
  if (text) return readText(text.data[0]) ?? `${text.data[0].length} bytes`;
  const [first] = tensors;
  return h("code", {}, Array.from(first.data.slice(0, 4), (value) => formatNumber(value, 3)).join(", "), first.data.length > 4 ? " …" : "");
}

// The largest deviation of a number, relative to the largest number of that output.
function measureDifference(a, b) {
  let worst = 0;
  for (const tensor of a.tensors.filter(({ datatype }) => datatype !== "BYTES")) {
    const other = b.tensors.find(({ name }) => name === tensor.name);
    if (!other || other.data.length !== tensor.data.length) return Infinity;
    let [deviation, size] = [0, 0];
    for (let place = 0; place < tensor.data.length; place++) {
      deviation = Math.max(deviation, Math.abs(Number(tensor.data[place]) - Number(other.data[place])));
      size = Math.max(size, Math.abs(Number(tensor.data[place])));
    }
    worst = Math.max(worst, size ? deviation / size : deviation);
  }
  return worst;
}

function describeDifference(a, b) {
  const texts = ({ tensors }) => tensors.filter(({ datatype }) => datatype === "BYTES").map(({ data }) => data.map(readText).join("\n")).join("\n");
  const value = measureDifference(a, b);
  const sameTexts = texts(a) === texts(b);
  if (sameTexts && value === 0) return h("span", { class: "badge good" }, "none");
  return h("span", {}, sameTexts ? null : h("span", { class: "badge warn" }, "another text"), ` ${formatDifference(value)} of the largest value`);
}

// What says nothing in words agrees by degrees.
function describeLargest(value) {
  if (value === 0) return ["All versions answer all examples with the same numbers."];
  return ["The numbers differ at most by ", h("strong", {}, formatDifference(value)), " of the largest value, in the first row."];
}

function formatDifference(value) {
  return `${formatNumber(100 * value, 2)} %`;
}
