// Explain: where in its input a model found what it answered.

import { getManifest, infer, listExamples } from "./api.js";
import { findRanking, ranking, readRanking, showAnswer } from "./answers.js";
import { choice, formatNumber, h, latestOnly, problem } from "./dom.js";
import { isImage, makeForm } from "./form.js";
import { paintImage } from "./image_grid.js";
import { chooseModel } from "./picker.js";

const METHODS = [["integrated-gradients", "Integrated gradients"], ["grad-cam", "Grad-CAM"]];

export async function show(root, [model]) {
  const chosen = await chooseModel(root, "Explain", model);
  if (!chosen) return;
  const { version } = chosen.versions[0];
  const manifest = await getManifest(chosen.name, version);
  const examples = await listExamples(chosen.name);
  const isText = manifest.outputs.some(({ name }) => name === "alignment");
  if (!isText && !manifest.inputs.some(isImage)) {
    root.append(h("p", { class: "card" }, "Only answers to images and translations are explained: there a person can see whether the reason is a good one."));
    return;
  }
  let method = METHODS[0][0];
  const place = h("div", { class: "answer", "aria-live": "polite" }, h("p", { class: "muted" }, "The explanation comes here."));
  const form = makeForm(manifest, examples, { onready: () => explain(), hasOptions: isText });
  const run = h("button", { type: "submit", class: "primary" }, "Explain");

  const explain = latestOnly(async () => {
    run.setAttribute("aria-busy", "true");
    try {
      const request = await form.read();
      place.replaceChildren(isText ? await explainText(manifest, version, request) : await explainImage(manifest, version, request, method));
    } catch (error) {
      place.replaceChildren(problem(error));
    }
    run.removeAttribute("aria-busy");
  });

  root.append(h("div", { class: "bench" },
    h("form", { class: "card ask", onsubmit: (event) => { event.preventDefault(); explain(); } }, h("h2", {}, "Input"),
      isText ? null : choice("Method", METHODS, method, (value) => { method = value; explain(); }),
      form.element, h("p", { class: "row" }, run)),
    h("section", { class: "card said" }, h("h2", {}, "Where it looked"), place)));
  await form.takeFirstExample();
}

// A translator says itself which pieces it looked at.
async function explainText(manifest, version, request) {
  const result = await infer(manifest.model, version, { ...request, outputs: manifest.outputs.map(({ name }) => name) });
  return showAnswer(manifest, result, request);
}

async function explainImage(manifest, version, request, method) {
  const result = await infer(manifest.model, version, { inputs: request.inputs, parameters: { method } }, { verb: "explain" });
  const read = (name) => result.tensors.find((tensor) => tensor.name === name);
  const [image, attribution] = [read("image"), read("attribution")];
  const ranked = findRanking(manifest, result.tensors);
  const entries = ranked && readRanking(ranked, 0);
  const best = entries ? entries[0].label : "the answer";
  const picture = h("canvas", { role: "img", "aria-label": "The image as the model sees it" });
  paintImage(picture, image, 0);
  const overlay = h("canvas", { role: "img", "aria-label": `What spoke for ${best}` });
  const strength = h("input", { id: "strength", type: "range", min: 0, max: 100, value: 75, oninput: () => (overlay.style.opacity = strength.value / 100) });
  overlay.style.opacity = "0.75";
  const most = paintAttribution(overlay, attribution);
  return h("div", { class: "explained" },
    h("div", { class: "overlay" }, picture, overlay),
    h("div", {},
      h("div", { class: "field" }, h("label", { for: "strength" }, "Overlay"), strength),
      h("p", { class: "scale" }, h("span", { class: "for" }, `speaks for ${best}`), h("span", { class: "against" }, "speaks against it")),
      h("p", { class: "hint" }, `Explained by ${result.version}. The strongest place counts ${formatNumber(most, 2)}.`)),
    entries ? ranking(entries) : null);
}

// Red-orange speaks for the class, blue against it; weak places stay clear.
function paintAttribution(canvas, { shape, data }) {
  const [, height, width] = shape;
  canvas.width = width;
  canvas.height = height;
  canvas.classList.add("pixels");
  const most = data.reduce((best, value) => Math.max(best, Math.abs(value)), 1e-12);
  const image = new ImageData(width, height);
  for (let place = 0; place < width * height; place++) {
    const share = data[place] / most;
    image.data.set(share > 0 ? [255, 106, 26] : [45, 125, 255], 4 * place);
    image.data[4 * place + 3] = Math.round(255 * Math.abs(share) ** 0.7);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return most;
}
