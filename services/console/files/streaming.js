// Answers that come piece by piece: Triton's generate extension, as server-sent events.

import { send } from "./api.js";
import { h } from "./dom.js";

// What the server says of a model that it can stream; see the property of its metadata.
export function canStream(manifest) {
  return manifest.streams === true;
}

export async function streamText(manifest, version, request) {
  const text = h("p", { class: "text stream" });
  const body = Object.fromEntries(request.inputs.map(({ name, data }) => [name, new TextDecoder().decode(data[0])]));
  const path = `v2/models/${encodeURIComponent(manifest.model)}/versions/${encodeURIComponent(version)}/generate_stream`;
  const response = await send(path, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ ...body, parameters: request.parameters }),
  });
  readEvents(response, (event) => (text.textContent = event.text_output ?? event.translation ?? text.textContent));
  return text;
}

async function readEvents(response, take) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    pending += value;
    const events = pending.split("\n\n");
    pending = events.pop();
    for (const event of events) {
      const line = event.split("\n").find((each) => each.startsWith("data:"));
      if (line) take(JSON.parse(line.slice(5)));
    }
  }
}
