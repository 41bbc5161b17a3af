// Try: a model's form, its answer, and the code of exactly that call.

import { getManifest, infer, listExamples } from "./api.js";
import { showAnswer } from "./answers.js";
import { showCode } from "./code.js";
import { formatMs, h, latestOnly, problem } from "./dom.js";
import { makeForm } from "./form.js";
import { chooseModel } from "./picker.js";
import { canStream, streamText } from "./streaming.js";

export async function show(root, [model, version]) {
  const findVersion = ({ versions }) => versions.find((each) => each.version === version) ?? versions[0];
  const chosen = await chooseModel(root, "Try", model, { findVersion });
  if (!chosen) return;
  const wanted = findVersion(chosen);
  const bench = h("div", { class: "bench" });
  root.append(bench);
  const manifest = await getManifest(chosen.name, wanted.version);
  const examples = await listExamples(chosen.name, wanted.version);
  await openBench(bench, manifest, examples, wanted);
}

async function openBench(bench, manifest, examples, { state, reason }) {
  const version = `${manifest.release}-${manifest.variant}`;
  const answer = h("div", { class: "answer", "aria-live": "polite" }, h("p", { class: "muted" }, "The answer comes here."));
  const code = h("section", { class: "card code" });
  const run = h("button", { type: "submit", class: "primary" }, "Run");
  const streaming = canStream(manifest)
    ? h("button", { type: "button", onclick: () => stream().catch(fail) }, "Stream") : null;
  const timing = h("span", { class: "muted small timing" });
  const form = makeForm(manifest, examples, { onready: () => ask() });

  const ask = latestOnly(async () => {
    run.setAttribute("aria-busy", "true");
    try {
      const request = await form.read();
      const result = await infer(manifest.model, version, request);
      timing.textContent = `${formatMs(result.ms)} here and back`;
      answer.replaceChildren(await showAnswer(manifest, result, request));
      await showCode(code, manifest, version, request);
    } catch (error) {
      fail(error);
    }
    run.removeAttribute("aria-busy");
  });

  async function stream() {
    timing.textContent = "";
    const request = await form.read();
    await streamText(answer, manifest, version, request);
    await showCode(code, manifest, version, request);
  }

  function fail(error) {
    timing.textContent = "";
    answer.replaceChildren(problem(error));
  }

  bench.append(
    h("form", { class: "card ask", onsubmit: (event) => { event.preventDefault(); ask(); } },
      h("h2", {}, "Ask"),
      state === "READY" ? null : h("p", { class: "problem" }, `This version does not answer now: ${reason}`),
      form.element,
      h("p", { class: "row" }, run, streaming, timing)),
    h("section", { class: "card said" }, h("h2", {}, "Answer"), answer),
    code);
  await form.takeFirstExample();
}
