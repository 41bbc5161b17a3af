// How a training went: each loss and each validation metric by step.

import { OVER_STEPS, makeChart } from "./chart.js";
import { h } from "./dom.js";

// Curves by name, {"train/loss": {steps, values}, …}, as charts: one for each metric, also where it was measured on two parts of the data.
export function trainingCurves(curves) {
  const charts = [...groupByMetric(curves)].map(([metric, parts]) => {
    const chart = makeChart(metric.replaceAll("_", " "), "by step", parts.map(({ part }) => part), OVER_STEPS);
    const steps = [...new Set(parts.flatMap((each) => each.steps))].sort((a, b) => a - b);
    chart.set(steps, parts.map((each) => {
      const at = new Map(each.steps.map((step, place) => [step, each.values[place]]));
      return steps.map((step) => at.get(step) ?? null);
    }));
    return chart;
  });
  return {
    element: charts.length ? h("div", { class: "charts" }, charts.map(({ element }) => element)) : null,
    remove: () => charts.forEach((chart) => chart.remove()),
  };
}

// What was validated comes first: it is what the run was judged by.
function groupByMetric(curves) {
  const groups = new Map();
  const isTraining = (name) => name.startsWith("train/");
  const names = Object.keys(curves).sort((a, b) => isTraining(a) - isTraining(b));
  for (const name of names) {
    const [part, ...metric] = name.split("/");
    const key = metric.join("/");
    groups.set(key, [...(groups.get(key) ?? []), { part, ...curves[name] }]);
  }
  return groups;
}
