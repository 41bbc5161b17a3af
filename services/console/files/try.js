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
  return openBench(bench, manifest, examples, wanted);
}

async function openBench(bench, manifest, examples, { state, reason }) {
  const version = `${manifest.release}-${manifest.variant}`;
  const answer = h("div", { class: "answer", "aria-live": "polite" }, h("p", { class: "muted" }, "The answer comes here."));
  const code = h("section", { class: "card code" });
  const run = h("button", { type: "submit", class: "primary" }, "Run");
  const streaming = canStream(manifest) ? h("button", { type: "button", onclick: stream }, "Stream") : null;
  let current = null;
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

  // A second click ends the work for a stream, as does leaving the view.
  async function stream() {
    if (current) {
      current.abort();
      return;
    }
    const mine = current = new AbortController();
    streaming.textContent = "Stop";
    timing.textContent = "";
    try {
      const request = await form.read();
      const { firstMs, ms } = await streamText(answer, manifest, version, request, mine.signal);
      timing.textContent = `first words after ${formatMs(firstMs)}, the last after ${formatMs(ms)}`;
      await showCode(code, manifest, version, request);
    } catch (error) {
      if (!mine.signal.aborted) fail(error);
    }
    current = null;
    streaming.textContent = "Stream";
  }

  function fail(error) {
    timing.textContent = "";
    code.replaceChildren(); // it was another call's
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
  return () => current?.abort();
}
