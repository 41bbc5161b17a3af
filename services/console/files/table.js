// Tables of records: on a narrow screen each row becomes a block in which every value stands beside its column's name.

import { h, scroller } from "./dom.js";

// `columns` are names, or [name, class] of those whose cells have a class, as numbers have; a row is its cells, the first
// of which names it, or {cells, class}.
export function makeTable(label, columns, rows) {
  const heads = columns.map((column) => [column].flat());
  const cell = (content, place) => (place === 0
    ? h("th", { scope: "row" }, content)
    : h("td", { class: heads[place][1], dataset: { label: heads[place][0] } }, h("span", {}, content)));
  return scroller(label, h("table", { class: "records" },
    h("thead", {}, h("tr", {}, heads.map(([name, kind]) => h("th", { scope: "col", class: kind }, name)))),
    h("tbody", {}, rows.map((row) => h("tr", { class: row.class }, (row.cells ?? row).map(cell))))));
}
