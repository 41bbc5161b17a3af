// Drift: do inputs still look like those that a version was made for?

import { formatNumber, h } from "./dom.js";
import { makeTable } from "./table.js";

// Of each version the feature that changed most, against the limits; null where nothing is watched.
export function showDrift(versions, limits) {
  const watched = Object.entries(versions).filter(([, { drift }]) => drift).sort(([a], [b]) => (a < b ? -1 : 1));
  if (!watched.length) return null;
  const columns = ["Version", "Input", "Feature", "Looks", ["Stability index", "number"], ["p-value", "number"], ["Rows", "number"]];
  return [
    makeTable("Inputs", columns, watched.map(([name, { drift }]) => [
      name, drift.input, drift.feature, judge(drift, limits), formatNumber(drift.stability_index, 3), formatNumber(drift.p_value, 2),
      formatNumber(drift.num_rows)])),
    h("p", { class: "hint" }, `The feature that changed most. Inputs are others than the released ones where the stability index is above ${limits.stability_index} and the p-value below ${limits.p_value}.`),
  ];
}

function judge({ stability_index: index, p_value: p }, limits) {
  const isOther = index > limits.stability_index && p < limits.p_value;
  return isOther ? h("span", { class: "badge bad" }, "others than released") : h("span", { class: "badge good" }, "as released");
}
