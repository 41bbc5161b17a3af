// One input of a model as a control, by what its tensor is: a picture, a text, a number, or an array.

import { describeRange, h, problem } from "./dom.js";
import { makePictureField } from "./picture_field.js";
import { describeArray, readArrayFile, readJson } from "./tensor_files.js";
import { countElements, makeTensor, readText, textTensor, toNested } from "./wire.js";

const MANY_BYTES = 1024;
const MAX_INLINE = 64;

export function makeField(tensor, context) {
  if (context.picture?.pixels === tensor) return makePictureField(context.picture, context.onready);
  if (tensor.datatype === "BYTES") return makeTextField(tensor, context);
  if (tensor.shape.length === 1) return makeNumberField(tensor, context);
  return makeArrayField(tensor, context);
}

function makeTextField(tensor, { onready }) {
  const id = `input-${tensor.name}`;
  const isLong = (tensor.max_element_bytes ?? Infinity) > MANY_BYTES;
  const field = isLong
    ? h("textarea", { id, rows: tensor.optional ? 1 : 3, spellcheck: "false", onkeydown: sendByKey })
    : h("input", { id, type: "text", spellcheck: "false" });
  function sendByKey(event) {
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    if (field.value) onready();
  }
  return {
    name: tensor.name,
    isScalar: true,
    element: labelled(tensor, id, field, isLong ? "Enter sends, Shift+Enter starts a line" : ""),
    takes: (name) => name === tensor.name,
    isReady: () => field.value !== "",
    set: ({ data }) => (field.value = readText(data[0]) ?? ""),
    read(count) {
      if (field.value === "") {
        if (tensor.optional) return null;
        throw new Error(`${tensor.name} is empty; write a text`);
      }
      return textTensor(tensor.name, Array(count).fill(field.value));
    },
  };
}

function makeNumberField(tensor, { onready }) {
  const id = `input-${tensor.name}`;
  const isWhole = tensor.datatype.includes("INT") || tensor.datatype === "BOOL";
  const { minimum, maximum } = tensor;
  const isBounded = minimum !== null && maximum !== null;
  const field = h("input", {
    id, type: "number", step: isWhole ? 1 : "any", min: minimum, max: maximum,
    value: tensor.optional ? "" : Math.max(minimum ?? 0, 0), placeholder: tensor.optional ? "not sent" : "",
    oninput: () => slider && (slider.value = field.value), onchange: onready,
  });
  const slider = isBounded && h("input", {
    type: "range", min: minimum, max: maximum, step: isWhole ? 1 : roundStep((maximum - minimum) / 200), value: field.value,
    "aria-label": `${tensor.name}, slider`, oninput: () => (field.value = slider.value), onchange: onready,
  });
  const dice = isWhole && !isBounded && h("button", {
    type: "button", class: "quiet", onclick: () => { field.value = Math.floor(Math.random() * 1e6); onready(); },
  }, "Draw one");
  const isFree = isWhole && !isBounded;
  return {
    name: tensor.name,
    isScalar: true,
    element: labelled(tensor, id, h("div", { class: "row" }, field, tensor.unit ? h("span", { class: "unit" }, tensor.unit) : null, slider, dice)),
    takes: (name) => name === tensor.name,
    isReady: () => tensor.optional || field.value !== "",
    set({ data }) {
      field.value = Number.isNaN(Number(data[0])) ? "" : String(data[0]);
      if (slider) slider.value = field.value;
    },
    // Several rows: a free number counts on, a bounded one is the same in all.
    read(count) {
      if (field.value === "") {
        if (tensor.optional) return null;
        throw new Error(`${tensor.name} is empty; give a number`);
      }
      const values = Array.from({ length: count }, (_, row) =>
        isFree ? String(BigInt(Math.trunc(Number(field.value))) + BigInt(row)) : field.value);
      return makeTensor(tensor.name, tensor.datatype, [count], values);
    },
  };
}

// The largest of 1, 2 and 5 times a power of ten that is no larger: steps that meet round numbers.
function roundStep(step) {
  const power = 10 ** Math.floor(Math.log10(step));
  return [5, 2, 1].find((factor) => factor * power <= step) * power;
}

function makeArrayField(tensor, { onready }) {
  const id = `input-${tensor.name}`;
  const size = countElements(tensor.shape.slice(1));
  const isSmall = size > 0 && size <= MAX_INLINE;
  const sketch = h("div", { class: "sketch" });
  const editor = isSmall ? h("textarea", { id, rows: 2, spellcheck: "false", class: "mono", onchange: takeText }) : null;
  const file = h("input", { type: "file", id: isSmall ? `${id}-file` : id, accept: ".npy,.mat,.json", onchange: () => takeFile(file.files[0]) });
  let held = null;

  function hold(value) {
    held = value;
    sketch.replaceChildren(describeArray(value));
    if (editor) editor.value = toNested(value);
  }
  function takeText() {
    attempt(() => hold(fitTensor(tensor, readJson(editor.value))));
  }
  async function takeFile(chosen) {
    if (!chosen) return;
    await attempt(async () => hold(fitTensor(tensor, await readArrayFile(chosen, tensor))));
  }
  async function attempt(work) {
    try {
      await work();
      onready();
    } catch (error) {
      sketch.replaceChildren(problem(error));
    }
  }
  const element = labelled(tensor, id, h("div", {
    class: "drop", ondragover: (event) => event.preventDefault(),
    ondrop: (event) => { event.preventDefault(); takeFile(event.dataTransfer.files[0]); },
  }, editor,
  h("div", { class: "row file" }, h("label", { for: file.id, class: "button" }, "Choose a file"), file,
    h("span", { class: "muted small" }, `or drop it here: .npy, .mat or .json of shape ${showShape(tensor)}`)), sketch));
  return {
    name: tensor.name,
    isScalar: false,
    element,
    takes: (name) => name === tensor.name,
    isReady: () => held !== null,
    set: hold,
    read() {
      if (held === null) {
        if (tensor.optional) return null;
        throw new Error(`${tensor.name} is empty; choose an example or a file`);
      }
      return held;
    },
  };
}

function showShape({ shape }) {
  return `[${shape.map((size) => (size < 0 ? "any" : size)).join(", ")}]`;
}

// A file may leave the row dimension out.
function fitTensor(tensor, { shape, values }) {
  const whole = shape.length === tensor.shape.length - 1 ? [1, ...shape] : shape;
  const fits = whole.length === tensor.shape.length
    && whole.every((size, axis) => tensor.shape[axis] < 0 || tensor.shape[axis] === size)
    && values.length === countElements(whole);
  if (!fits) throw new Error(`${tensor.name} takes an array of shape ${showShape(tensor)}; this one is [${shape.join(", ")}]`);
  return makeTensor(tensor.name, tensor.datatype, whole, Array.from(values));
}

function labelled(tensor, id, control, more = "") {
  return h("div", { class: "field" }, h("label", { for: id }, tensor.name), control,
    h("p", { class: "hint" }, `${tensor.meaning}${describeRange(tensor)}${tensor.optional ? "; may be left out" : ""}`, more ? h("span", {}, ` · ${more}`) : null));
}
