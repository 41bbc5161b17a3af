// The making of a first model, shown by `serve --demo` until that is served: the same address is the console then.

import { getJson } from "./api.js";
import { h, problem } from "./dom.js";

const LOOK_MS = 1000;

const steps = h("ol", { class: "steps" });
const bar = h("progress", { max: 1, "aria-label": "Progress of this step" });
const log = h("pre", { class: "log", tabindex: 0, role: "log", "aria-label": "Output" });
const end = h("div", {});
document.getElementById("view").replaceChildren(h("div", { class: "page" },
  h("h1", {}, "A first model is being made"),
  h("p", { class: "muted" }, "The store is empty, so a small classifier is trained, measured and released here and now. Then it is served."),
  h("section", { class: "card" }, steps, bar, end),
  h("section", { class: "card" }, h("h2", {}, "Output"), log)));
watch();

async function watch() {
  let demo;
  do {
    demo = await getJson("api/demo").catch(() => demo);
    if (demo) draw(demo);
    await wait(LOOK_MS);
  } while (demo?.state !== "done");
  // What shows this is never ready, and what comes after it is when its workers can answer.
  while (!(await fetch("v2/health/ready").then(({ ok }) => ok, () => false))) await wait(LOOK_MS);
  location.reload();
}

function wait(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function draw(demo) {
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
