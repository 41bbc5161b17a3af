// Reports: load tests that lie beside the server, opened inside the page, and two of them side by side.

import { getJson, readKey, send } from "./api.js";
import { quote } from "./code.js";
import { copyButton, download, formatDate, formatNumber, h, problem } from "./dom.js";
import { makeTable } from "./table.js";

export async function show(root, [name, other]) {
  const reports = await getJson("api/reports");
  root.append(h("h1", {}, "Reports"));
  if (!reports.length) {
    root.append(h("p", { class: "card" }, "There are no load tests in ", h("code", {}, "reports/"), " where this server was started. ",
      h("code", {}, "loadtest run MODEL --serve"), " makes one."));
    return;
  }
  if (name && other) await compare(root, name, other);
  else if (name && reports.some((report) => report.name === name)) open(root, name);
  else list(root, reports);
}

function list(root, reports) {
  const boxes = reports.map(({ name }) => h("input", { type: "checkbox", value: name, "aria-label": `Compare ${name}`, onchange: count }));
  const button = h("button", {
    type: "button", class: "primary", disabled: true,
    onclick: () => (location.hash = `#/reports/${boxes.filter((box) => box.checked).map((box) => encodeURIComponent(box.value)).join("/")}`),
  }, "Compare two");
  function count() {
    button.disabled = boxes.filter((box) => box.checked).length !== 2;
  }
  root.append(h("div", { class: "card" },
    reports.length > 1 ? h("p", { class: "row" }, button, h("span", { class: "muted small" }, "Choose two of them")) : null,
    h("ul", { class: "reports-list" }, reports.map((report, place) => h("li", {},
      reports.length > 1 ? boxes[place] : null,
      h("div", {},
        report.has_page ? h("a", { href: `#/reports/${encodeURIComponent(report.name)}` }, report.name) : report.name,
        h("p", { class: "muted small" }, [report.models.join(", "), report.host].filter(Boolean).join(" · ")),
        report.command ? h("p", { class: "small" }, h("code", {}, report.command)) : null))))));
}

// A report runs its own scripts, which a page of ours may not: as nobody, in a frame. That asks without headers, so the
// key goes along as a cookie for this one path, until the report is there.
function open(root, name) {
  const source = `api/reports/${encodeURIComponent(name)}/page`;
  const key = readKey();
  const setCookie = (value, seconds) => {
    const path = new URL(source, document.baseURI).pathname;
    document.cookie = `millrace-key=${value}; path=${path}; samesite=strict; max-age=${seconds}${location.protocol === "https:" ? "; secure" : ""}`;
  };
  if (key) setCookie(key, 60);
  const trouble = h("div", {});
  const save = async () => download(`${name}.html`, await (await send(source)).blob(), "text/html");
  root.append(
    h("p", { class: "row" }, h("a", { href: "#/reports" }, "All reports"), h("span", {}, name), key
      ? h("button", { type: "button", onclick: () => save().catch((error) => trouble.replaceChildren(problem(error))) }, "Save")
      : h("a", { href: source, target: "_blank", rel: "noopener" }, "Open by itself")),
    trouble,
    h("iframe", { src: source, title: `Report ${name}`, sandbox: "allow-scripts", class: "report", onload: () => key && setCookie("", 0) }));
}

async function compare(root, first, second) {
  const names = [first, second].sort(); // they are named by their time: what changed is the later one
  const results = await Promise.all(names.map((name) => getJson(`api/reports/${encodeURIComponent(name)}/results`)));
  root.append(h("p", { class: "row" }, h("a", { href: "#/reports" }, "All reports")),
    h("section", { class: "card" }, h("h2", {}, "Two load tests"), facts(names, results)));
  const command = ["loadtest diff", ...names.map((name) => quote(`reports/${name}`))].join(" ");
  const [before, after] = results.map(bestRates);
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort();
  root.append(h("section", { class: "card" }, h("h2", {}, "Most rows/s of each version"),
    makeTable("Rates", ["Model and version", ...[...names, "Change"].map((name) => [name, "number"])], keys.map((key) => {
      const [a, b] = [before.get(key), after.get(key)];
      const change = a && b ? b.rate / a.rate - 1 : null;
      return [key, ...[a, b].map(describeRate), change === null ? "–" : `${change > 0 ? "+" : ""}${(100 * change).toFixed(1)} %`];
    })),
    h("p", { class: "hint" }, "Of each kind of run the fastest, as it was measured. What is invalid has been judged no evidence; the reports say why. Whether latency changed beyond noise, with intervals, says:"),
    h("p", { class: "small" }, h("code", {}, command), " ", copyButton(() => command))));
}

function describeRate(best) {
  if (!best) return "–";
  const time = best.percentile === null ? "" : ` at p${best.percentile} ${formatNumber(best.ms, 3)} ms`;
  return `${formatNumber(best.rate, 3)}${time}${best.valid ? "" : " · invalid"}`;
}

function facts(names, results) {
  const rows = [["Made", (each) => each.created && formatDate(each.created)], ["Command", (each) => each.command], ["Bound", (each) => each.bound_ms && `${each.bound_ms} ms`], ["Host", (each) => each.host?.cpu],
    ["Cores", (each) => each.host?.cores_usable], ["Deploys", (each) => each.models?.map((model) => model.recommendation?.version ?? "–").join(", ")]];
  const known = rows.filter(([, read]) => results.some(read));
  return makeTable("Facts", ["", ...names], known.map(([title, read]) => [title, ...results.map((each) => String(read(each) ?? "–"))]));
}

// The fastest run of each version, kind and protocol.
function bestRates({ models }) {
  const best = new Map();
  for (const { index, runs } of models ?? []) {
    for (const { version, kind, protocol, recording, verdict } of runs) {
      const key = `${index.model} ${version}, ${kind}, ${protocol}`;
      const rate = (recording.requests * recording.rows_per_request) / recording.duration_s;
      if (rate > (best.get(key)?.rate ?? 0)) best.set(key, { rate, percentile: verdict.percentile, ms: verdict.estimate_ms, valid: verdict.valid });
    }
  }
  return best;
}
