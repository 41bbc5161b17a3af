// Explain: where in its input a model found what it answered.

import { getManifest, infer, listExamples } from "./api.js";
import { ranking, readRanking, showAnswer } from "./answers.js";
import { choice, formatNumber, h, latestOnly, problem } from "./dom.js";
import { makeForm } from "./form.js";
import { paintImage } from "./image_grid.js";
import { chooseModel } from "./picker.js";
import { showSignal } from "./signal_reasons.js";
import { readText } from "./wire.js";

const NAMES = {
  "integrated-gradients": "Integrated gradients", "grad-cam": "Grad-CAM", attention: "Attention", ablation: "Leaving words out",
};

export async function show(root, [model]) {
  const chosen = await chooseModel(root, "Explain", model, { isFit: ({ explained_by: methods }) => methods.length > 0 });
  if (!chosen) return;
  const { versions: [{ version }], explained_by: methods } = chosen;
  if (!methods.length) {
    root.append(h("p", { class: "card" }, "Only answers to images, signals and texts are explained: there a person can see whether the reason is a good one."));
    return;
  }
  const manifest = await getManifest(chosen.name, version);
  const examples = await listExamples(chosen.name);
  let [method] = methods;
  const place = h("div", { class: "answer", "aria-live": "polite" }, h("p", { class: "muted" }, "The explanation comes here."));
  const form = makeForm(manifest, examples, { onready: () => explain(), hasOptions: false });
  const run = h("button", { type: "submit", class: "primary" }, "Explain");

  const explain = latestOnly(async () => {
    run.setAttribute("aria-busy", "true");
    try {
      const { inputs } = await form.read();
      const result = await infer(manifest.model, version, { inputs, parameters: { method } }, { verb: "explain" });
      place.replaceChildren(await showReasons(manifest, result, { inputs }));
    } catch (error) {
      place.replaceChildren(problem(error));
    }
    run.removeAttribute("aria-busy");
  });

  root.append(h("div", { class: "bench" },
    h("form", { class: "card ask", onsubmit: (event) => { event.preventDefault(); explain(); } }, h("h2", {}, "Input"),
      methods.length > 1 ? choice("Method", methods.map((each) => [each, NAMES[each] ?? each]), method, (value) => { method = value; explain(); }) : null,
      form.element, h("p", { class: "row" }, run)),
    h("section", { class: "card said" }, h("h2", {}, "Where it looked"), place)));
  await form.takeFirstExample();
}

// By what came: an image, a signal or the pieces of a text with what each place counts, else an answer that tells it itself.
function showReasons(manifest, result, request) {
  const read = (name) => result.tensors.find((tensor) => tensor.name === name);
  const [attribution, scores, text] = ["attribution", "probabilities", "text"].map(read);
  if (!attribution) return showAnswer(manifest, result, request);
  const entries = scores && readRanking({ scores, names: null, labels: manifest.handler_options.labels }, 0);
  const best = entries ? entries[0].label : "the answer";
  const most = attribution.data.reduce((strongest, value) => Math.max(strongest, Math.abs(value)), 0);
  const strengthAt = (place) => (Math.abs(attribution.data[place]) / Math.max(most, 1e-12)) ** 0.7;
  const shown = read("image") ? showImage(read("image"), attribution, strengthAt, best)
    : read("signal") ? showSignal(read("signal"), attribution, strengthAt)
    : showPieces(read("pieces"), attribution, strengthAt);
  return h("div", { class: read("image") ? "explained" : "explained text-only" },
    shown.picture,
    h("div", {},
      shown.control,
      h("p", { class: "scale" }, h("span", { class: "for" }, `speaks for ${best}`), h("span", { class: "against" }, "speaks against it")),
      h("p", { class: "hint" }, `Explained by ${result.version}. The strongest place counts ${formatNumber(most, 2)}.`)),
    text ? h("div", {}, h("h3", {}, "What it goes on with"), h("p", { class: "text" }, readText(text.data[0]) ?? "")) : null,
    entries ? ranking(entries) : null);
}

function showImage(image, attribution, strengthAt, best) {
  const picture = h("canvas", { role: "img", "aria-label": "The image as the model sees it" });
  paintImage(picture, image, 0);
  const overlay = h("canvas", { role: "img", "aria-label": `What spoke for ${best}` });
  const strength = h("input", { id: "strength", type: "range", min: 0, max: 100, value: 75, oninput: () => (overlay.style.opacity = strength.value / 100) });
  overlay.style.opacity = "0.75";
  paintAttribution(overlay, attribution, strengthAt);
  return {
    picture: h("div", { class: "overlay" }, picture, overlay),
    control: h("div", { class: "field" }, h("label", { for: "strength" }, "Overlay"), strength),
  };
}

// A text whose pieces are the more coloured the more they count; the number is told to who points at one.
function showPieces(pieces, { data }, strengthAt) {
  const shown = pieces.data.map((bytes, place) => {
    if (!bytes.length) return null;
    const piece = h("mark", { class: data[place] < 0 ? "against" : "for", title: formatNumber(data[place], 2) }, readText(bytes) ?? "");
    piece.style.setProperty("--strength", `${100 * strengthAt(place)}%`);
    return piece;
  });
  return { picture: h("p", { class: "text pieces" }, shown), control: null };
}

// Red-orange speaks for the class, blue against it; weak places stay clear.
function paintAttribution(canvas, { shape, data }, strengthAt) {
  const [, height, width] = shape;
  canvas.width = width;
  canvas.height = height;
  canvas.classList.add("pixels");
  const image = new ImageData(width, height);
  for (let place = 0; place < width * height; place++) {
    image.data.set(data[place] > 0 ? [255, 106, 26] : [45, 125, 255], 4 * place);
    image.data[4 * place + 3] = Math.round(255 * strengthAt(place));
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
