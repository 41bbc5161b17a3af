// Acts: what was decided about a release after it was made, each signed; and going back by one, where keys may do it.

import { getJson } from "./api.js";
import { formatDate, h, problem } from "./dom.js";
import { makeTable } from "./table.js";

const WORDS = { withdraw: "withdrawn", restore: "restored", promote: "promoted", drop: "dropped" };
const KINDS = { withdraw: "bad", restore: "good", promote: "good", drop: "bad" };

// Whether a release answers where none is named, or was withdrawn, whole or a variant of it.
export function standing({ release }, acts) {
  const mine = acts.withdrawn.filter((version) => version === String(release) || version.startsWith(`${release}-`));
  return [
    acts.current === release ? h("span", { class: "badge now" }, "answers by default") : null,
    acts.promoted[release] ? h("span", { class: "badge good" }, `promoted: ${acts.promoted[release]}`) : null,
    ...mine.map((version) => h("span", { class: "badge bad" }, version === String(release) ? "withdrawn" : `withdrawn: ${version}`)),
  ];
}

// `changed` is called when an act was signed.
export function actControls({ model, release }, { writable, models: { [model]: acts } }, changed) {
  const isCurrent = acts.current === release && (acts.previous !== null || Boolean(acts.promoted[release]));
  const isWithdrawn = acts.withdrawn.includes(String(release));
  if (!writable || !(isCurrent || isWithdrawn)) return null;
  const id = `why-${model}-${release}`;
  const why = h("input", { id, type: "text", required: true, maxlength: 400, placeholder: "kept in the signed act" });
  const trouble = h("div", {});
  const path = `api/releases/${encodeURIComponent(model)}/${isCurrent ? "rollback" : `${release}/restore`}`;

  async function sign(event) {
    event.preventDefault();
    try {
      await getJson(path, {
        method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ why: why.value, ...(isCurrent && { current: release }) }),
      });
      changed();
    } catch (error) {
      trouble.replaceChildren(problem(error));
    }
  }
  return h("form", { class: "steering", onsubmit: sign },
    h("div", { class: "row acting" }, h("label", { for: id }, "Why"), why, h("button", {}, isCurrent ? "Roll back" : "Restore")),
    h("p", { class: "hint" }, isCurrent
      ? `Withdraws what answers by default, by a signed act: every server that follows this store goes back to ${acts.promoted[release] ? "the variant before" : `release ${acts.previous}`}.`
      : "Lets this release answer again, by a signed act."),
    trouble);
}

export function actHistory({ problem: why, acts }) {
  if (why) return problem(new Error(`The acts of this model do not verify: ${why}`));
  if (!acts.length) return null;
  return h("details", {}, h("summary", {}, `Signed acts (${acts.length})`),
    makeTable("Acts", ["Act", "What", "Version", ["Why", "why"], "When"], acts.map((act) => [
      String(act.number), h("span", { class: `badge ${KINDS[act.kind]}` }, WORDS[act.kind]),
      act.against ? `${act.version}, against ${act.against}` : act.version, act.why, formatDate(act.created)])));
}
