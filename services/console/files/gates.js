// Candidates: how many answers each changes, of those that callers got, and whether that is too many.

import { formatDate, formatNumber, h } from "./dom.js";
import { whisker } from "./interval.js";

const OUTCOMES = {
  pass: ["good", "passed", "It changes fewer answers than the margin allows."],
  fail: ["bad", "failed", "It changes more answers than the margin allows."],
  undecided: ["warn", "undecided", "The interval still holds the margin: more answers will tell."],
};
const percent = (share) => `${formatNumber(100 * share, 3)} %`;

// What live gates know, a list as /v2/repository/gates gives it.
export function showGates(gates) {
  return h("ul", { class: "gates" }, gates.map(showGate));
}

function showGate(gate) {
  const [kind, word, meaning] = OUTCOMES[gate.outcome];
  const { change, lower: low, upper: high, margin } = gate;
  const most = Math.min(1, 1.2 * Math.max(margin, Math.min(high, 4 * margin)));
  const within = Math.min.bind(null, most);
  return h("li", {},
    h("p", {}, h("strong", {}, `${gate.model} ${gate.version}`), ` against ${gate.against} `, h("span", { class: `badge ${kind}` }, word)),
    whisker({ value: within(change), low: within(low), high: within(high), limit: margin }, [0, most]),
    h("p", {}, `changes ${percent(change)} of the answers, ${percent(low)} to ${percent(high)} at 95 %; at most ${percent(margin)} may`),
    h("p", { class: "hint" }, `${gate.num_requests.toLocaleString("en")} pairs of answers`,
      gate.num_skipped ? `, ${gate.num_skipped.toLocaleString("en")} left out for want of room` : "",
      `. ${meaning} Seen by ${gate.host}, ${formatDate(gate.updated)}`));
}
