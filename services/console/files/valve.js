// The valve: requests that a faster variant answered because the one that was asked would have refused them.

import { h } from "./dom.js";
import { makeTable } from "./table.js";

// Each version that was relieved, and by whom: its share of the answers to what was asked of it, over the samples and in
// the last one. Null where none was.
export function showValve(samples) {
  const names = [...new Set(samples.flatMap(({ versions }) => Object.keys(versions)))].sort();
  const rows = names.flatMap((name) => {
    const seen = samples.map(({ versions }) => versions[name]).filter(Boolean);
    const takers = [...new Set(seen.flatMap((at) => Object.keys(at.redirected_per_s)))].sort();
    return takers.map((to) => [name, to, findShare(seen, to), findShare(seen.slice(-1), to)]);
  });
  if (!rows.length) return null;
  return [
    makeTable("Valve", ["Asked", "Answered by", ["In 15 minutes", "number"], ["Now", "number"]], rows),
    h("p", { class: "hint" }, "Shares of the requests that were meant for the version. It was overloaded: without the other they would have been refused."),
  ];
}

// Who takes a request over counts it as its own.
function findShare(seen, to) {
  const total = (read) => seen.reduce((sum, at) => sum + read(at), 0);
  const asked = total((at) => at.requests_per_s + Object.values(at.redirected_per_s).reduce((sum, rate) => sum + rate, 0));
  return asked ? `${((100 * total((at) => at.redirected_per_s[to] ?? 0)) / asked).toFixed(1)} %` : "–";
}
