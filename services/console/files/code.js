// The same call by curl, with this project's Python client, and with tritonclient.

import { choice, copyButton, download, h, put } from "./dom.js";
import { writeNpy } from "./tensor_files.js";
import { readText, toNested } from "./wire.js";
import { getJson, readKey } from "./api.js";

const MAX_INLINE = 120;
let language = "curl";
let ports = null;
const isTls = location.protocol === "https:";
// As this project's client reads it from the environment.
const KEY = "MILLRACE_API_KEY";

export async function showCode(place, manifest, version, request) {
  ports ??= getJson("api/server").catch((error) => {
    ports = null;
    throw error;
  });
  const { grpc_port } = await ports;
  const writers = { curl: writeCurl, Python: writePython, tritonclient: writeTriton };
  const pre = h("pre", { tabindex: 0 });
  const needed = h("p", { class: "row small" });
  function write() {
    const files = new Map();
    pre.textContent = writers[language](manifest, version, request, files, grpc_port);
    needed.hidden = !files.size;
    put(needed, "Its files:", [...files].map(([name, content]) =>
      h("button", { type: "button", class: "quiet", onclick: () => download(name, content) }, name)));
  }
  write();
  put(place,
    h("h2", {}, "This call"),
    h("div", { class: "row" },
      choice("Language", Object.keys(writers).map((name) => [name, name]), language, (chosen) => {
        language = chosen;
        write();
      }),
      copyButton(() => pre.textContent)),
    pre,
    readKey() ? h("p", { class: "hint" }, "It reads the key from the environment: ", h("code", {}, `export ${KEY}=…`)) : null,
    needed);
}

function base() {
  return new URL(".", location.href).href.replace(/\/$/, "");
}

export function quote(text) {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function writeCurl(manifest, version, { inputs, parameters, outputs }, files) {
  const key = readKey() ? ` -H "authorization: Bearer $${KEY}"` : "";
  const query = Object.entries(parameters).map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&");
  const url = `${base()}/v1/${manifest.model}/${version}`;
  const [only] = inputs;
  if (inputs.length === 1 && only.file) {
    files.set(only.file, only.data[0]);
    return `curl${key} -T ${quote(only.file)} ${quote(url + (query ? `?${query}` : ""))}`;
  }
  const text = inputs.length === 1 && only.datatype === "BYTES" && only.data.length === 1 && !outputs.length ? readText(only.data[0]) : null;
  if (text !== null && !text.startsWith("@")) return `curl${key} ${quote(url + (query ? `?${query}` : ""))} -d ${quote(text)}`;
  const rows = inputs.map((tensor) => `${JSON.stringify(tensor.name)}: ${toNested(tensor)}`).join(", ");
  const more = (Object.keys(parameters).length ? `, "parameters": ${JSON.stringify(parameters)}` : "")
    + (outputs.length ? `, "outputs": ${JSON.stringify(outputs)}` : "");
  const body = `{"inputs": {${rows}}${more}}`;
  const head = ` -H 'content-type: application/json'`;
  if (body.length <= 4 * MAX_INLINE) return `curl${key}${head} ${quote(url)} \\\n  -d ${quote(body)}`;
  files.set("request.json", body);
  return `curl${key}${head} ${quote(url)} -d @request.json`;
}

// Python for a tensor's values; large ones are read from a file that the page gives.
function writeArray(tensor, files) {
  const { name, datatype, data } = tensor;
  if (datatype === "BYTES") {
    if (tensor.file) {
      files.set(tensor.file, data[0]);
      return `np.array([Path(${JSON.stringify(tensor.file)}).read_bytes()], np.object_)`;
    }
    return `np.array([${data.map((element) => `${JSON.stringify(readText(element) ?? "")}.encode()`).join(", ")}], np.object_)`;
  }
  const inline = data.length <= MAX_INLINE / 4 ? toNested(tensor).replace(/\bNaN\b/g, "np.nan") : "";
  if (inline) return `np.array(${inline}, np.${dtype(datatype)})`;
  files.set(`${name}.npy`, writeNpy(tensor));
  return `np.load(${JSON.stringify(`${name}.npy`)})`;
}

function dtype(datatype) {
  if (datatype === "BOOL") return "bool_";
  return datatype.toLowerCase().replace("fp", "float");
}

function imports(inputs) {
  return `${inputs.some((tensor) => tensor.file) ? "from pathlib import Path\n\n" : ""}import numpy as np\n`;
}

function python(value) {
  return value === true ? "True" : value === false ? "False" : JSON.stringify(value);
}

function pythonDict(values) {
  return `{${Object.entries(values).map(([name, value]) => `${JSON.stringify(name)}: ${python(value)}`).join(", ")}}`;
}

function writePython(manifest, version, { inputs, parameters, outputs }, files, grpcPort) {
  const lines = inputs.map((tensor) => `    ${JSON.stringify(tensor.name)}: ${writeArray(tensor, files)},`);
  return [
    imports(inputs) + "from services.client import Client",
    "",
    `with Client(${JSON.stringify(`${isTls ? "https://" : ""}${location.hostname}:${grpcPort}`)}) as client:`,
    `    answer = client.infer(${JSON.stringify(manifest.model)}, {`,
    ...lines.map((line) => `    ${line}`),
    `    }, version=${JSON.stringify(version)}${Object.keys(parameters).length ? `, parameters=${pythonDict(parameters)}` : ""}${outputs.length ? `, outputs=${JSON.stringify(outputs)}` : ""})`,
    "print(answer)",
  ].join("\n");
}

function writeTriton(manifest, version, { inputs, parameters, outputs }, files) {
  const lines = inputs.flatMap((tensor, place) => [
    `inputs.append(triton.InferInput(${JSON.stringify(tensor.name)}, ${JSON.stringify(tensor.shape)}, ${JSON.stringify(tensor.datatype)}))`,
    `inputs[${place}].set_data_from_numpy(${writeArray(tensor, files)})`,
  ]);
  const wanted = outputs.length ? `, outputs=[triton.InferRequestedOutput(name) for name in ${JSON.stringify(outputs)}]` : "";
  const given = Object.keys(parameters).length ? `, parameters=${pythonDict(parameters)}` : "";
  const key = readKey() ? `, headers={"authorization": f"Bearer {os.environ['${KEY}']}"}` : "";
  return [
    (key ? "import os\n" : "") + imports(inputs) + "import tritonclient.http as triton",
    "",
    `client = triton.InferenceServerClient(${JSON.stringify(location.host)}${isTls ? ", ssl=True" : ""})`,
    "inputs = []",
    ...lines,
    `answer = client.infer(${JSON.stringify(manifest.model)}, inputs, model_version=${JSON.stringify(version)}${wanted}${given}${key})`,
    "print(answer.get_response())",
  ].join("\n");
}
