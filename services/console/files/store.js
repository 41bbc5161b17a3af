// Store: releases, their variants, and the evidence on which the gate decided.

import { actControls, actHistory, standing } from "./acts.js";
import { getJson, send } from "./api.js";
import { trainingCurves } from "./curves.js";
import { steeringControls } from "./steering.js";
import { formatBytes, formatDate, formatNumber, h, problem, put, scroller } from "./dom.js";
import { showGates } from "./gates.js";
import { whisker } from "./interval.js";
import { makeTable } from "./table.js";

export async function show(root) {
  const [releases, routing, acts] = await Promise.all(["releases", "routing", "acts"].map((name) => getJson(`api/${name}`)));
  const runs = [];
  const leave = () => runs.splice(0).forEach((run) => run.remove());
  const changed = async () => {
    leave();
    root.replaceChildren();
    await show(root);
  };
  root.append(h("h1", {}, "Store"));
  if (!releases.length) {
    root.append(h("p", { class: "muted" }, "The store of this server holds no releases."));
    return leave;
  }
  const newest = new Set();
  for (const release of releases) {
    const isNewest = !newest.has(release.model);
    newest.add(release.model);
    root.append(showRelease(release, isNewest, routing, acts, changed, runs));
  }
  return leave;
}

function showRelease(release, isOpen, routing, acts, changed, runs) {
  const serves = release.variants.filter(({ state }) => state);
  const body = h("div", {});
  const details = h("details", { class: "card release", open: isOpen },
    h("summary", {},
      h("span", { class: "release-name" }, release.model, " ", h("span", { class: "muted" }, release.release)),
      release.verified ? h("span", { class: "badge good" }, "signature verified") : h("span", { class: "badge bad" }, "not verified"),
      standing(release, acts.models[release.model]),
      serves.length ? h("span", { class: "badge now" }, `serves ${serves.map(({ variant }) => variant).join(", ")}`) : null),
    body);
  if (!release.verified) {
    body.append(problem(new Error(release.why)));
    return details;
  }
  body.append(
    h("p", { class: "muted" }, release.description),
    h("p", { class: "small" }, "Signed by key ", h("code", {}, release.signed_by), ` · default ${release.default}, best at ${release.objective}`,
      release.golden_outputs ? ` · ${release.golden_outputs} golden outputs` : "",
      ` · made ${formatDate(release.variants[0].created)}`),
    steeringControls(release, routing, changed) ?? "",
    actControls(release, acts, changed) ?? "",
    variantTable(release),
    release.live_gates.length ? h("section", {}, h("h3", {}, "On live traffic"), showGates(release.live_gates)) : "",
    judgements(release),
    (isOpen && actHistory(acts.models[release.model])) || "");
  const run = h("details", { class: "run", ontoggle: () => run.open && loadRun(run, release, runs) }, h("summary", {}, "What the training run left"));
  body.append(run);
  return details;
}

function variantTable({ variants, default: standard }) {
  const [{ quality }] = variants;
  const values = variants.flatMap(({ quality: each }) => each.interval);
  const scale = [Math.min(...values), Math.max(...values)];
  const columns = ["Variant", "Gate", [`${quality.metric} with 95 % interval`, "wide"], ["Against the reference", "wide"],
    ["Rows/s", "number"], ["One row", "number"], ["Size", "number"]];
  return makeTable("Variants", columns, variants.map((each) => [
    [each.variant, " ", each.variant === standard ? h("span", { class: "badge" }, "default") : null,
      each.state === "READY" ? h("span", { class: "badge now" }, "serves") : each.state ? h("span", { class: "badge warn" }, "not ready") : null],
    each.gate.passed ? h("span", { class: "badge good" }, "passed") : h("span", { class: "badge bad" }, "failed"),
    interval(each.quality, scale),
    each.quality.paired ? difference(each.quality.paired) : h("span", { class: "muted" }, "the reference"),
    formatNumber(each.speed.rows_per_s, 3), `${formatNumber(each.speed.single_row_ms, 3)} ms`, formatBytes(each.size_bytes)]));
}

// A value in its interval, all variants on one scale.
function interval({ value, interval: [low, high] }, scale) {
  return h("span", { class: "interval" }, whisker({ value, low, high }, scale),
    h("span", { class: "nowrap" }, formatNumber(value), " ", h("span", { class: "muted small" }, `${formatNumber(low)} to ${formatNumber(high)}`)));
}

function difference({ name, difference: value, interval: [low, high], p_value: p }) {
  const sign = value > 0 ? "+" : "";
  return h("span", { title: name }, `${sign}${formatNumber(value, 3)} `,
    h("span", { class: "muted small" }, `[${formatNumber(low, 3)}, ${formatNumber(high, 3)}]${p === null ? "" : `, p = ${formatNumber(p, 2)}`}`));
}

function judgements({ variants, rejected, left_out: leftOut }) {
  const rows = [
    ...variants.map(({ variant, gate }) => [variant, `${gate.passed ? "" : "failed: "}${gate.why}`]),
    ...Object.entries(rejected).filter(([name]) => !variants.some(({ variant }) => variant === name)).map(([name, why]) => [name, `failed: ${why}`]),
    ...Object.entries(leftOut).map(([name, why]) => [name, `left out: ${why}`]),
  ];
  const [{ quality, gate, source, target, row_check: rowCheck }] = variants;
  return h("details", {}, h("summary", {}, "The gate’s evidence"),
    h("dl", { class: "facts" },
      fact("Rule", gate.rule), fact("Measured on", `${quality.n.toLocaleString("en")} rows of ${quality.dataset}`),
      fact("Learned", ...learned(quality.baseline)),
      fact("Digest of the rows", h("code", {}, quality.dataset_digest.slice(0, 16))),
      quality.paired || variants.some((each) => each.quality.paired) ? fact("Test", variants.find((each) => each.quality.paired).quality.paired.name) : null,
      rowCheck ? fact("Rows", rowCheck.why) : null,
      fact("Target", [target.device, target.capability, target.torch_version && `torch ${target.torch_version}`].filter(Boolean).join(", ")),
      fact("Made by", h("code", {}, source.command)), fact("From commit", h("code", {}, source.git_commit || "unknown")),
      rows.map(([name, why]) => fact(name, why))));
}

function learned(baseline) {
  if (!baseline) return ["nobody checked: there is no baseline"];
  const verdict = baseline.interval[0] > 0 ? "beats" : "UNTRAINED, allowed so: not shown to beat";
  return [`${verdict} ${baseline.name} (${formatNumber(baseline.value, 4)}) by `, difference({ ...baseline, p_value: null })];
}

function fact(name, ...value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, ...value));
}

async function loadRun(details, { model, release }, runs) {
  if (details.children.length > 1) return;
  const place = h("div", { class: "evidence" }, h("p", { class: "muted" }, "Loading …"));
  details.append(place);
  const path = `api/releases/${encodeURIComponent(model)}/${release}/run`;
  try {
    const run = await getJson(path);
    const { curves = {}, ...training } = run.training;
    if (!training.command) {
      place.replaceChildren(h("p", { class: "muted" }, "Nothing came along with this release: it was made of a program without a run, or before releases kept that."));
      return;
    }
    const drawn = trainingCurves(curves);
    runs.push(drawn);
    const counts = confusion(run.evaluation);
    const pictures = run.pictures.filter((name) => !(counts && name === "confusion_matrix.png")); // it shows the same
    put(place,
      h("p", { class: "small" }, h("code", {}, training.command)),
      drawn.element,
      figures(run.evaluation),
      counts,
      h("div", { class: "pictures" }, pictures.map((name) => showPicture(path, name))));
  } catch (error) {
    place.replaceChildren(problem(error));
  }
}

// Fetched here, because an image element would ask without the key; a click makes it as wide as the card, and small again.
function showPicture(path, name) {
  const title = name.replace(/\.png$/, "").replaceAll("_", " ");
  const image = h("img", { alt: title, onload: () => URL.revokeObjectURL(image.src) });
  const figure = h("figure", {},
    h("button", { type: "button", class: "zoom", onclick: () => figure.classList.toggle("whole") }, image), h("figcaption", {}, title));
  send(`${path}/${encodeURIComponent(name)}`).then(async (response) => (image.src = URL.createObjectURL(await response.blob())))
    .catch((error) => figure.replaceChildren(problem(error)));
  return figure;
}

function figures(evaluation) {
  const simple = Object.entries(evaluation).filter(([, value]) => typeof value === "number" || typeof value === "string");
  return simple.length ? h("dl", { class: "facts" }, simple.map(([name, value]) =>
    fact(name.replaceAll("_", " "), typeof value === "number" ? formatNumber(value) : value))) : null;
}

function confusion({ confusion_matrix: matrix, classes }) {
  if (!Array.isArray(matrix) || !matrix.length || matrix.length > 40) return null;
  const labels = Object.keys(classes ?? {});
  const name = (place) => labels[place] ?? String(place);
  return scroller("Confusion matrix",
    h("table", { class: "heat counts" }, h("caption", {}, "Confusion matrix: rows are true classes, columns what was answered"),
      h("thead", {}, h("tr", {}, h("td", {}), matrix.map((_, place) => h("th", { scope: "col" }, name(place))))),
      h("tbody", {}, matrix.map((row, place) => {
        const total = row.reduce((sum, count) => sum + count, 0) || 1;
        return h("tr", {}, h("th", { scope: "row" }, name(place)), row.map((count, column) => {
          const cell = h("td", { class: count && column !== place ? "wrong" : null }, count || "");
          cell.style.setProperty("--heat", String(count / total));
          return cell;
        }));
      }))));
}

