// Images as a model sends them: pixels, shown large enough to see.

import { getJson } from "./api.js";
import { formatNumber, h, latestOnly } from "./dom.js";

export function paintImage(canvas, { shape, data }, row) {
  const [, height, width, channels] = shape;
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  const start = row * height * width * channels;
  for (let place = 0; place < width * height; place++) {
    const from = start + place * channels;
    for (let channel = 0; channel < 3; channel++) image.data[4 * place + channel] = data[from + (channels === 1 ? 0 : channel)];
    image.data[4 * place + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  canvas.classList.add("pixels");
}

export function imageGrid(tensor, captions = []) {
  return h("ul", { class: "grid", "aria-label": "Images" }, Array.from({ length: tensor.shape[0] }, (_, row) => {
    const canvas = h("canvas", { role: "img", "aria-label": captions[row] ?? `Image ${row + 1}` });
    paintImage(canvas, tensor, row);
    return h("li", {}, canvas, captions[row] ? h("span", { class: "muted small" }, captions[row]) : null);
  }));
}

// A walk from one seed's image to another's: latents on the sphere between them, an image at each place of the slider.
export function latentWalk(manifest, { seed, latent, others }, firstSeed, ask) {
  const size = latent.shape[1];
  const canvas = h("canvas", { role: "img", "aria-label": "The image on the way", class: "walk" });
  const ends = [firstSeed, firstSeed + 1].map((value, place) =>
    h("input", { type: "number", step: 1, value, "aria-label": place ? "To seed" : "From seed", onchange: () => load().catch(fail) }));
  const slider = h("input", { type: "range", min: 0, max: 100, value: 0, "aria-label": "Share of the way", oninput: () => step().catch(fail) });
  const said = h("output", { class: "muted small" });
  let latents = null;

  const step = latestOnly(async () => {
    if (!latents) return;
    const share = slider.value / 100;
    const between = { ...latent, shape: [1, size], data: Float32Array.from(walk(...latents, share)) };
    // A seed beside a latent draws its class alone, so the class stays while the image changes.
    const anchor = { name: seed.name, datatype: seed.datatype, shape: [1], data: BigInt64Array.of(BigInt(Math.trunc(Number(ends[0].value)))) };
    const result = await ask([between, ...(others.length ? others : manifest.input_sets.some((set) => set.includes(latent.name) && set.includes(seed.name)) ? [anchor] : [])]);
    paintImage(canvas, result, 0);
    said.textContent = `${formatNumber(100 * share)} % of the way`;
  });
  async function load() {
    const query = ends.map((end) => `seed=${Math.trunc(Number(end.value))}`).join("&");
    latents = await getJson(`api/latents?size=${size}&${query}`);
    await step();
  }
  const fail = (error) => (said.textContent = error.message);
  load().catch(fail);
  return h("section", { class: "walker" }, h("h3", {}, "From seed to seed"), canvas,
    h("div", { class: "row" }, ends[0], slider, ends[1]), said);
}

// Source: White 2016, Sampling Generative Networks: latents of N(0, 1) lie near a sphere, and a straight line leaves it.
function walk(first, second, share) {
  const dot = (a, b) => a.reduce((sum, value, place) => sum + value * b[place], 0);
  const cosine = dot(first, second) / Math.sqrt(dot(first, first) * dot(second, second));
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  const sine = Math.sin(angle);
  const [near, far] = sine < 1e-6 ? [1 - share, share] : [Math.sin((1 - share) * angle) / sine, Math.sin(share * angle) / sine];
  return first.map((value, place) => near * value + far * second[place]);
}
