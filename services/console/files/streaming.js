// Answers that come bit by bit: Triton's generate extension, as server-sent events.

import { readAlignment } from "./answers.js";
import { send } from "./api.js";
import { formatNumber, h } from "./dom.js";
import { readText } from "./wire.js";

export function canStream(manifest) {
  return manifest.streams === true && manifest.inputs.every(({ datatype }) => datatype === "BYTES");
}

// Send a request of texts and show each text of its answer as it grows, by what each event adds; resolves when it is whole,
// with the times of its first words and of its end. Where a translator looked comes at the end, and is drawn then.
export async function streamText(place, manifest, version, { inputs, parameters, outputs }, signal) {
  const texts = new Map();
  const shown = h("div", { class: "texts" });
  place.replaceChildren(shown);
  const body = Object.fromEntries(inputs.map(({ name, data }) => [name, data.map(readText)[0]]));
  const path = `v2/models/${encodeURIComponent(manifest.model)}/versions/${encodeURIComponent(version)}/generate_stream`;
  const started = performance.now();
  let firstMs = null;
  const response = await send(path, {
    method: "POST", signal, headers: { "content-type": "application/json" }, body: JSON.stringify({ ...body, parameters, outputs }),
  });
  for await (const event of readEvents(response)) {
    if (event.error) throw new Error(event.error);
    for (const { name, datatype } of manifest.outputs) {
      if (typeof event[name] === "number") shown.append(h("p", { class: "hint" }, `${name} ${formatNumber(event[name])}`));
      if (datatype !== "BYTES" || typeof event[name] !== "string") continue;
      const alignment = readAlignment(event[name]);
      if (alignment) {
        const module = await import("./alignment.js");
        shown.append(module.alignmentMap(alignment));
        continue;
      }
      if (!texts.has(name)) {
        texts.set(name, h("p", { class: "text" }));
        shown.append(h("h3", {}, name), texts.get(name));
      }
      texts.get(name).append(event[name]);
      firstMs ??= performance.now() - started;
    }
  }
  return { firstMs, ms: performance.now() - started };
}

async function* readEvents(response) {
  let pending = "";
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    pending += decoder.decode(value, { stream: true });
    const events = pending.split("\n\n");
    pending = events.pop();
    for (const event of events) {
      const data = event.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart()).join("\n");
      if (data) yield JSON.parse(data);
    }
  }
}
