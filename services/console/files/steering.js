// Who gets which release: pin one, give a part of the callers another, or go back. Shown where keys may do it.

import { getJson } from "./api.js";
import { h, problem } from "./dom.js";

const FIRST_PERCENT = 5;
const percent = (share) => `${Number((100 * share).toPrecision(6))} %`;

// `changed` is called when a model's routing is another.
export function steeringControls(release, routing, changed) {
  if (!routing.writable || !release.verified) return null;
  const rules = routing.models[release.model] ?? {};
  const mine = (version) => Boolean(version?.startsWith(`${release.release}-`));
  const versions = release.variants.filter(({ gate }) => gate.passed).map(({ version }) => version);
  const canaries = Object.entries(rules.canary?.weights ?? {}).filter(([version]) => mine(version));
  const [[canary, weight] = []] = canaries;
  const id = `steer-${release.model}-${release.release}`;
  const chosen = (mine(rules.pin) && rules.pin) || canary || `${release.release}-${release.default}`;
  const version = h("select", { id, onchange: warn }, versions.map((each) => h("option", { value: each, selected: each === chosen }, each)));
  const share = h("input", { type: "number", min: 0.1, max: 100, step: "any", value: weight ? Number((100 * weight).toPrecision(6)) : FIRST_PERCENT, "aria-label": "Share of the callers in percent" });
  const by = h("input", { id: `${id}-by`, type: "text", value: rules.canary?.by ?? "", placeholder: "x-user", spellcheck: "false", class: "header-name" });
  const warning = h("p", { class: "hint" });
  const trouble = h("div", {});

  // What somebody else has changed since this page looked is not overwritten.
  async function set(next) {
    const etag = routing.etags[release.model];
    try {
      await getJson(`api/routing/${encodeURIComponent(release.model)}`, {
        method: "PUT", headers: { "content-type": "application/json", ...(etag ? { "if-match": etag } : { "if-none-match": "*" }) }, body: JSON.stringify(next),
      });
      changed();
    } catch (error) {
      const again = error.status === 412 ? h("button", { type: "button", onclick: changed }, "Look again") : "";
      trouble.replaceChildren(problem(error), again);
    }
  }
  function warn() {
    const ends = [rules.canary && "the canary", rules.shadow?.to === version.value && "the trial"].filter(Boolean);
    warning.textContent = ends.length ? `“Everybody” ends ${ends.join(" and ")}.` : "";
  }
  warn();
  const button = (text, next) => h("button", { type: "button", onclick: () => set(next()) }, text);
  const badges = [
    mine(rules.pin) && h("span", { class: "badge now" }, `pinned: ${rules.pin}`),
    ...canaries.map(([each, part]) => h("span", { class: "badge warn" }, `canary: ${each}, ${percent(part)}${rules.canary.by ? ` by ${rules.canary.by}` : ""}`)),
    mine(rules.shadow?.to) && h("span", { class: "badge warn" }, `on trial: ${rules.shadow.to}, copies of ${percent(rules.shadow.share)}${rules.shadow.promote ? ", takes over if it passes" : ""}`),
  ].filter(Boolean);
  return h("div", { class: "steering" },
    badges.length ? h("p", { class: "row" }, badges) : null,
    h("div", { class: "row" },
      h("label", { for: id }, "Send to"), version,
      button("Everybody", () => withPin(rules, version.value)),
      h("span", { class: "row" }, button("A part", () => withCanary(rules, version.value, share.value / 100, by.value.trim())), share, "%"),
      h("span", { class: "row" }, h("label", { for: by.id }, "told apart by header"), by)),
    h("div", { class: "row" },
      mine(rules.pin) ? button("Leave it to the store", () => without(rules, "pin")) : null,
      canaries.map(([each]) => button(`End the canary ${each}`, () => withoutCanary(rules, each))),
      mine(rules.shadow?.to) ? button("End the trial", () => without(rules, "shadow")) : null),
    warning, trouble);
}

function without(rules, name) {
  const { [name]: _, ...rest } = rules;
  return rest;
}

// Everybody means also those who got a canary; a shadow goes on beside it, unless it is the same version.
function withPin(rules, version) {
  const { canary, shadow, ...rest } = rules;
  return { ...rest, ...(shadow && shadow.to !== version && { shadow }), pin: version };
}

// A version is pinned or a canary, not both; other canaries keep their shares. Without a header chance tells callers apart.
function withCanary(rules, version, share, by) {
  const { pin, canary, ...rest } = rules;
  return { ...rest, ...(pin !== version && pin && { pin }), canary: { ...(by && { by }), weights: { ...canary?.weights, [version]: share } } };
}

function withoutCanary(rules, version) {
  const { [version]: _, ...weights } = rules.canary.weights;
  return Object.keys(weights).length ? { ...rules, canary: { ...rules.canary, weights } } : without(rules, "canary");
}
