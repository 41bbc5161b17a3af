// Which model, and which of its versions.

import { listModels } from "./api.js";
import { h } from "./dom.js";

// What a visitor sees first, where no model is named: one that takes what everybody can judge.
const EASIEST_FIRST = ["picture", "text", "numbers"];
let last;

// Begin a view with its choice of models, and of versions where the view finds one of them; null if nothing is served.
// A model that was chosen in one view stays so in the others. Else it is one that is fit for this view.
export async function chooseModel(root, title, name = last, { findVersion = () => null, isFit = () => true } = {}) {
  last = name;
  const models = await listModels();
  const byEase = models.toSorted((a, b) => isFit(b) - isFit(a) || EASIEST_FIRST.indexOf(a.takes) - EASIEST_FIRST.indexOf(b.takes));
  const chosen = models.find((model) => model.name === name) ?? byEase[0];
  if (!chosen) {
    root.append(h("h1", {}, title), h("p", { class: "muted" }, "This server serves no model yet."));
    return null;
  }
  root.append(modelPicker(title.toLowerCase(), models, chosen, findVersion(chosen)));
  return chosen;
}

function modelPicker(view, models, chosen, version) {
  const select = version && h("select", { id: "version", onchange: () => go(chosen.name, select.value) },
    chosen.versions.map((each) =>
      h("option", { value: each.version, selected: each === version },
        `${each.version}${each === chosen.versions[0] ? " · default" : ""}${each.state === "READY" ? "" : " · not ready"}`)));
  function go(name, wanted) {
    location.hash = `#/${[view, name, wanted].filter(Boolean).map(encodeURIComponent).join("/")}`;
  }
  return h("div", { class: "picker" },
    h("div", { class: "tabs", role: "group", "aria-label": "Model" },
      models.map((model) =>
        h("a", {
          href: `#/${view}/${encodeURIComponent(model.name)}`,
          class: "tab",
          "aria-current": model === chosen ? "true" : null,
        }, model.name))),
    h("div", { class: "about" },
      h("h1", {}, chosen.name),
      h("p", { class: "muted" }, chosen.description),
      select ? h("p", { class: "row" }, h("label", { for: "version" }, "Version"), select) : null));
}
