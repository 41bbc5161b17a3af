// Who gets which release: pin one, give a part of the callers another, or go back. Shown where keys may do it.

import { getJson } from "./api.js";
import { h, problem } from "./dom.js";

const SHARES = [0.01, 0.05, 0.25, 0.5];

// `changed` is called with a model's new routing.
export function steeringControls(release, routing, changed) {
  if (!routing.writable || !release.verified) return null;
  const rules = routing.models[release.model] ?? {};
  const prefix = `${release.release}-`;
  const versions = release.variants.filter(({ gate }) => gate.passed).map(({ version }) => version);
  const weights = rules.canary?.weights ?? {};
  const pinned = rules.pin?.startsWith(prefix) ? rules.pin : null;
  const canary = Object.keys(weights).find((version) => version.startsWith(prefix));
  const id = `steer-${release.model}-${release.release}`;
  const version = h("select", { id }, versions.map((each) =>
    h("option", { value: each, selected: each === (pinned ?? canary ?? `${prefix}${release.default}`) }, each)));
  const share = h("select", { "aria-label": "Share of the callers" }, SHARES.map((each) =>
    h("option", { value: each, selected: each === 0.05 }, `${100 * each} %`)));
  const trouble = h("div", {});

  async function set(next) {
    try {
      await getJson(`api/routing/${encodeURIComponent(release.model)}`, {
        method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify(next),
      });
      changed();
    } catch (error) {
      trouble.replaceChildren(problem(error));
    }
  }
  const button = (text, next) => h("button", { type: "button", onclick: () => set(next()) }, text);
  return h("div", { class: "steering" },
    h("div", { class: "row" },
      pinned ? h("span", { class: "badge now" }, `pinned: ${pinned}`) : null,
      canary ? h("span", { class: "badge warn" }, `canary: ${canary}, ${100 * weights[canary]} %`) : null,
      h("label", { for: id }, "Send to"), version,
      button("Everybody", () => ({ pin: version.value })),
      h("span", { class: "row" },
        button("A part", () => ({ ...without(rules, version.value), canary: { ...rules.canary, weights: { [version.value]: Number(share.value) } } })), share),
      pinned || canary ? button("Leave it to the store", () => ({})) : null),
    trouble);
}

// A version is pinned or a canary, not both.
function without(rules, version) {
  const { pin, ...rest } = rules;
  return pin && pin !== version ? { pin, ...rest } : rest;
}
