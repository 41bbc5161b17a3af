// Which words of the source a translator looked at for each word it wrote.

import { formatShare } from "./answers.js";
import { h, scroller } from "./dom.js";

export function alignmentMap({ source, target, weights }) {
  return h("section", { class: "alignment" },
    h("h3", {}, "Alignment"),
    h("p", { class: "hint" }, "Each row is a piece that was written, each column one that was read."),
    scroller("Alignment",
      h("table", { class: "heat" },
        h("thead", {}, h("tr", {}, h("td", {}), source.map((piece) => h("th", { scope: "col" }, h("span", {}, show(piece)))))),
        h("tbody", {}, target.map((piece, row) =>
          h("tr", {}, h("th", { scope: "row" }, show(piece)), source.map((_, column) => cell(weights[row]?.[column] ?? 0))))))));
}

function cell(weight) {
  const element = h("td", { title: formatShare(weight) }, h("span", { class: "hidden" }, formatShare(weight)));
  element.style.setProperty("--heat", String(Math.min(1, weight)));
  return element;
}

// Sentencepiece marks the start of a word with ▁.
function show(piece) {
  return String(piece).replaceAll("▁", "·");
}
