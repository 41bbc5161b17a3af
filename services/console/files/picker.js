// Which model, and which of its versions.

import { listModels } from "./api.js";
import { h } from "./dom.js";

// Begin a view with its choice of models, and of versions where the view finds one of them; null if nothing is served.
export async function chooseModel(root, title, name, findVersion = () => null) {
  const models = await listModels();
  const chosen = models.find((model) => model.name === name) ?? models[0];
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
