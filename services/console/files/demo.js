// The making of a first model, where the server was started to show it: `serve --demo`.

import { getJson } from "./api.js";
import { h, problem } from "./dom.js";

const LOOK_MS = 1000;

// Returns what ends the watching, or null where nothing is being made.
export async function show(root) {
  let demo = await getJson("api/demo").catch(() => null);
  if (demo === null) return null;
  const steps = h("ol", { class: "steps" });
  const bar = h("progress", { max: 1, "aria-label": "Progress of this step" });
  const log = h("pre", { class: "log", tabindex: 0, role: "log", "aria-label": "Output" });
  const end = h("div", {});
  root.replaceChildren(
    h("h1", {}, "A first model is being made"),
    h("p", { class: "muted" }, "The store is empty, so a small classifier is trained, measured and released here and now. Then it is served."),
    h("section", { class: "card" }, steps, bar, end),
    h("section", { class: "card" }, h("h2", {}, "Output"), log));
  draw();
  let isLeft = false;
  watch();

  async function watch() {
    while (!isLeft) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      demo = await getJson("api/demo").catch(() => demo);
      draw();
      // The gateway takes the port over once the release is there: from then on it answers.
      if (await getJson("api/models").then(() => true, () => false)) {
        location.reload();
        return;
      }
    }
  }

  function draw() {
    steps.replaceChildren(...demo.steps.map((title, place) => {
      const isDone = place < demo.step || demo.state === "done";
      return h("li", { class: isDone ? "done" : place === demo.step ? "now" : "later", "aria-current": !isDone && place === demo.step ? "step" : null }, title);
    }), h("li", { class: demo.state === "done" ? "now" : "later" }, "Starting the workers"));
    if (demo.state !== "done" && demo.share) bar.value = demo.share;
    else bar.removeAttribute("value");
    bar.hidden = demo.state === "failed";
    end.replaceChildren(demo.state === "failed" ? problem(new Error("It failed. The output below says why.")) : "");
    const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    log.textContent = demo.lines.join("\n");
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  }
  return () => (isLeft = true);
}
