// Live: the last quarter of an hour of every model version, from the gateway's own metrics.

import { getJson, whileSeen } from "./api.js";
import { makeChart } from "./chart.js";
import { showDrift } from "./drift.js";
import { formatBytes, formatMs, formatNumber, h, problem, put } from "./dom.js";
import { showGates } from "./gates.js";
import { makeTable } from "./table.js";
import { showValve } from "./valve.js";

const CHARTS = [
  ["Requests", "per second", [["answered and refused", (at) => at.requests_per_s], ["refused", (at) => at.errors_per_s]]],
  ["Latency", "ms, answered requests", [["median", (at) => at.latency_ms[0]], ["p90", (at) => at.latency_ms[1]], ["p99", (at) => at.latency_ms[2]]]],
  ["Time in the queue", "ms", [["median", (at) => at.queue_ms[0]], ["p99", (at) => at.queue_ms[2]]]],
  ["Rows per batch", "mean", [["rows", (at) => at.batch_rows]]],
];
const SHOWN_GAUGES = new Set(["millrace_slots", "millrace_busy_slots", "millrace_waiting_rows", "millrace_model_ready", "millrace_golden_mismatch", "millrace_model_slow"]);
const UNIT = /_(bytes|seconds)$/;
const EVERYTHING = "all";

export async function show(root, [wanted]) {
  let samples = [];
  let chosen = wanted ?? EVERYTHING;
  const picker = h("select", { id: "live-version", onchange: () => { chosen = picker.value; draw(); } });
  const tiles = h("dl", { class: "tiles" });
  const charts = CHARTS.map(([title, unit, lines]) => ({ lines, chart: makeChart(title, unit, lines.map(([name]) => name)) }));
  const [gates, valve, drift] = [card("Candidates"), card("Valve"), card("Inputs")];
  const table = h("div", {});
  const errors = h("div", {});
  const trouble = h("div", {});
  const grafana = h("span", {});
  root.append(
    h("div", { class: "title" }, h("h1", {}, "Live"), h("div", { class: "row" }, h("label", { for: "live-version" }, "Version"), picker, grafana)),
    trouble, tiles,
    h("div", { class: "charts" }, charts.map(({ chart }) => chart.element)),
    gates.element, valve.element, drift.element,
    h("section", { class: "card" }, h("h2", {}, "Versions"), table),
    h("section", { class: "card" }, h("h2", {}, "Recent errors"), errors));

  async function poll() {
    try {
      const last = samples.at(-1)?.number ?? 0;
      const [live, failed] = await Promise.all([getJson(`api/live?after=${last}`), getJson("api/errors")]);
      // A server that was started anew counts from one again.
      if (live.samples.length && live.samples[0].number <= last) samples = [];
      samples = [...samples, ...live.samples].slice(-Math.round(live.length_s / live.interval_s));
      grafana.replaceChildren(live.grafana && /^https?:/.test(live.grafana) ? h("a", { href: live.grafana, rel: "noreferrer" }, "Grafana") : "");
      trouble.replaceChildren();
      draw();
      gates.show(live.gates.length ? showGates(live.gates) : null);
      valve.show(showValve(samples));
      drift.show(showDrift(samples.at(-1)?.versions ?? {}, live.drift));
      showErrors(errors, failed);
    } catch (error) {
      trouble.replaceChildren(problem(error));
    }
  }

  function draw() {
    const names = [...new Set(samples.flatMap(({ versions }) => Object.keys(versions)))].filter(Boolean).sort();
    if (chosen !== EVERYTHING && !names.includes(chosen)) chosen = EVERYTHING;
    const options = [[EVERYTHING, "All versions"], ...names.map((name) => [name, name])];
    if (picker.children.length !== options.length) {
      picker.replaceChildren(...options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
    }
    const points = samples.map((sample) => ({ time: sample.time_s, at: pick(sample.versions, chosen) }));
    for (const { lines, chart } of charts) {
      chart.set(points.map(({ time }) => time), lines.map(([, read]) => points.map(({ at }) => (at ? read(at) ?? null : null))));
    }
    showTiles(tiles, points.at(-1)?.at);
    showVersions(table, samples.at(-1)?.versions ?? {});
  }

  const stop = whileSeen(poll);
  return () => {
    stop();
    charts.forEach(({ chart }) => chart.remove());
  };
}

// What is there only where it has something to say.
function card(title) {
  const body = h("div", {});
  const element = h("section", { class: "card", hidden: true }, h("h2", {}, title), body);
  return {
    element,
    show(content) {
      element.hidden = content === null;
      put(body, content);
    },
  };
}

// One version, or all together: rates add up, of times the worst is what somebody waits for.
function pick(versions, chosen) {
  if (chosen !== EVERYTHING) return versions[chosen];
  const all = Object.values(versions);
  const sum = (read) => all.reduce((total, at) => total + (read(at) ?? 0), 0);
  const worst = (read) => all.reduce((most, at) => (read(at) ?? -1) > (most ?? -1) ? read(at) : most, null);
  const times = (name) => [0, 1, 2].map((place) => worst((at) => at[name][place]));
  return {
    requests_per_s: sum((at) => at.requests_per_s), errors_per_s: sum((at) => at.errors_per_s), rows_per_s: sum((at) => at.rows_per_s),
    batch_rows: worst((at) => at.batch_rows), latency_ms: times("latency_ms"), queue_ms: times("queue_ms"),
    gauges: { millrace_waiting_rows: sum((at) => at.gauges.millrace_waiting_rows), millrace_busy_slots: sum((at) => at.gauges.millrace_busy_slots), millrace_slots: sum((at) => at.gauges.millrace_slots) },
  };
}

function showTiles(place, at) {
  const tile = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  if (!at) {
    place.replaceChildren(tile("Samples", "the first comes in five seconds"));
    return;
  }
  place.replaceChildren(
    tile("Requests/s", formatNumber(at.requests_per_s, 3)),
    tile("Refused/s", formatNumber(at.errors_per_s, 3)),
    tile("Rows/s", formatNumber(at.rows_per_s, 3)),
    tile("Median", formatMs(at.latency_ms[0])),
    tile("p99", formatMs(at.latency_ms[2])),
    tile("Rows waiting", formatNumber(at.gauges.millrace_waiting_rows ?? 0)));
}

function showVersions(place, versions) {
  const names = Object.keys(versions).filter(Boolean).sort();
  const more = [...new Set(names.flatMap((name) => Object.keys(versions[name].gauges)))].filter((gauge) => !SHOWN_GAUGES.has(gauge));
  const numbers = ["Requests/s", "Median", "p99", "Waiting", "Busy", ...more.map(nameGauge)];
  const rows = names.map((name) => {
    const { gauges, ...at } = versions[name];
    return [name, badge(gauges), formatNumber(at.requests_per_s, 3), formatMs(at.latency_ms[0]), formatMs(at.latency_ms[2]),
      formatNumber(gauges.millrace_waiting_rows ?? 0), `${gauges.millrace_busy_slots ?? 0} of ${gauges.millrace_slots ?? 0}`,
      ...more.map((gauge) => formatGauge(gauge, gauges[gauge]))];
  });
  place.replaceChildren(makeTable("Versions", ["Version", "State", ...numbers.map((name) => [name, "number"])], rows));
}

function nameGauge(gauge) {
  const name = gauge.replace(/^millrace_/, "").replace(UNIT, "").replaceAll("_", " ");
  return name[0].toUpperCase() + name.slice(1);
}

// A metric's name ends with its unit, as Prometheus wants it.
function formatGauge(name, value) {
  if (value === undefined) return "–";
  const [, unit] = UNIT.exec(name) ?? [];
  return unit === "bytes" ? formatBytes(value) : unit === "seconds" ? formatMs(1000 * value) : formatNumber(value);
}

function badge(gauges) {
  if (gauges.millrace_golden_mismatch) return h("span", { class: "badge bad" }, "other answers than released");
  if (gauges.millrace_model_slow) return h("span", { class: "badge warn" }, "far too slow");
  return gauges.millrace_model_ready ? h("span", { class: "badge good" }, "ready") : h("span", { class: "badge warn" }, "not ready");
}

function showErrors(place, errors) {
  if (!errors.length) {
    place.replaceChildren(h("p", { class: "muted" }, "None since the server was started."));
    return;
  }
  place.replaceChildren(makeTable("Recent errors", ["When", "Model", "What", ["Why", "why"], "Request"], errors.map((error) => [
    new Date(1000 * error.time_s).toLocaleTimeString("en-GB"), `${error.model} ${error.version}`,
    h("span", { class: "badge warn" }, error.outcome), error.why, h("code", {}, error.request)])));
}
