// A model's form, made from its manifest: which inputs go together, what each takes, which parameters there are.

import { fetchExample } from "./api.js";
import { choice, describeRange, h, markChosen } from "./dom.js";
import { makeField } from "./fields.js";

const MAX_ROWS = 64;

// onready is called whenever the form holds a new request that may be sent without asking. What goes without parameters and
// a choice of outputs has no options.
export function makeForm(manifest, examples, { onready, hasOptions = true }) {
  const tensors = new Map(manifest.inputs.map((tensor) => [tensor.name, tensor]));
  const picture = findPicture(manifest, examples);
  const sets = joinPictureSets(manifest, picture);
  let fields = [];
  let set = sets[0];
  let isTouched = false;
  const place = h("div", { class: "fields" });
  const touch = () => (isTouched = true);
  const rows = makesPictures(manifest) ? rowsControl(Math.min(manifest.max_rows, MAX_ROWS), onready) : null;
  const options = makeOptions(manifest, () => set, onready);
  const strip = makeExamples(examples, (row) => takeExample(row));

  function useSet(names) {
    set = names;
    const kept = new Map(fields.map((field) => [field.name, field]));
    fields = names.map((name) => kept.get(name) ?? makeField(tensors.get(name), { picture, onready }));
    place.replaceChildren(...fields.map((field) => field.element));
    if (rows) rows.element.hidden = !fields.every((field) => field.isScalar);
    options.refresh();
  }

  // The first example comes by itself, and must not come into what somebody is typing meanwhile.
  let coming = Promise.resolve();

  async function takeFirstExample() {
    if (examples.length) await (coming = takeExample(0, () => !isTouched));
    else if (fields.every((field) => field.isReady())) onready();
  }

  async function takeExample(row, isWanted = () => true) {
    const brought = await fetchExample(manifest.model, `${manifest.release}-${manifest.variant}`, row);
    if (!isWanted()) return;
    const names = brought.map((tensor) => tensor.name);
    const fitting = sets.find((each) => each.length === names.length && each.every((name) => names.includes(name)))
      ?? sets.find((each) => each.some((name) => names.includes(name)));
    if (fitting && fitting !== set) {
      useSet(fitting);
      markChosen(setChoice, sets.indexOf(fitting));
    }
    for (const tensor of brought) fields.find((field) => field.takes(tensor.name))?.set(tensor);
    onready();
  }

  const setChoice = sets.length > 1
    ? choice("Inputs to send", sets.map((names) => [names, names.join(" + ")]), set, (names) => {
      useSet(names);
      if (fields.every((field) => field.isReady())) onready();
    }) : null;
  useSet(set);

  return {
    element: h("div", { class: "form", oninput: touch, onpointerdown: touch, onfocusin: touch }, setChoice, strip, place, rows?.element, hasOptions ? options.element : null),
    takeFirstExample,
    async read() {
      // Who asks while the example is on its way means it, unless a hand was quicker.
      if (!isTouched) await coming.catch(() => {});
      const count = rows && !rows.element.hidden ? rows.count() : 1;
      const inputs = (await Promise.all(fields.map((field) => field.read(count)))).filter((tensor) => tensor !== null);
      return { inputs, ...options.read() };
    },
  };
}

// The image as pixels, and the file from which it may be read instead: two inputs, one control.
function findPicture(manifest, examples) {
  const pixels = manifest.inputs.find(isImage);
  if (!pixels) return null;
  const hasTexts = examples.some((example) => example.text !== undefined);
  const isFile = (tensor) => tensor.datatype === "BYTES" && tensor.shape.length === 1 && !hasTexts;
  return { pixels, file: manifest.inputs.find(isFile) ?? null, examples };
}

export function isImage({ datatype, shape }) {
  return datatype === "UINT8" && shape.length === 4 && (shape[3] === 1 || shape[3] === 3);
}

function joinPictureSets(manifest, picture) {
  if (!picture?.file) return manifest.input_sets;
  return manifest.input_sets.filter((names) => !names.includes(picture.file.name));
}

function makesPictures(manifest) {
  return manifest.outputs.some(isImage);
}

function rowsControl(most, onready) {
  const text = h("output", { for: "rows" }, "16");
  const slider = h("input", {
    id: "rows", type: "range", min: 1, max: most, value: Math.min(16, most),
    oninput: () => (text.textContent = slider.value), onchange: onready,
  });
  text.textContent = slider.value;
  return {
    element: h("div", { class: "field" }, h("label", { for: "rows" }, "How many"), h("div", { class: "row" }, slider, text)),
    count: () => Number(slider.value),
  };
}

function makeExamples(examples, choose) {
  if (!examples.length) return null;
  const buttons = examples.map(({ row, image, text }) =>
    h("button", {
      type: "button", class: image ? "thumb" : "chip", "aria-label": text ?? `Example ${row + 1}`,
      onclick: () => choose(row),
    }, image ? h("img", { src: image, alt: "", loading: "lazy" }) : text ?? String(row + 1)));
  return h("div", { class: "field" },
    h("span", { class: "label" }, "Examples"),
    h("div", { class: examples[0].text === undefined ? "strip" : "strip texts", tabindex: 0, role: "group", "aria-label": "Examples" }, buttons));
}

function makeOptions(manifest, currentSet, onready) {
  const parameters = manifest.parameters.map((rule) => makeParameter(rule, onready));
  const boxes = manifest.outputs.map(({ name, meaning }) => ({
    name,
    box: h("input", { type: "checkbox", id: `output-${name}`, onchange: onready }),
    meaning,
  }));
  const body = [
    ...parameters.map((parameter) => parameter.element),
    manifest.outputs.length > 1
      ? h("fieldset", {}, h("legend", {}, "Outputs"), boxes.map(({ name, box, meaning }) =>
        h("div", { class: "check" }, box, h("label", { for: `output-${name}` }, h("strong", {}, name), ` ${meaning}`))))
      : null,
  ];
  const hasAny = parameters.length || manifest.outputs.length > 1;
  return {
    element: hasAny ? h("details", {}, h("summary", {}, "Options"), body) : null,
    // Small texts beside a text are worth seeing; other outputs are sent where the model sends them by itself.
    refresh() {
      const isText = currentSet().every((name) => manifest.inputs.find((tensor) => tensor.name === name).datatype === "BYTES");
      const wanted = manifest.default_outputs;
      for (const { name, box } of boxes) box.checked = isText || !wanted.length || wanted.includes(name);
    },
    read() {
      const given = parameters.map((parameter) => parameter.read()).filter((pair) => pair !== null);
      const chosen = boxes.filter(({ box }) => box.checked).map(({ name }) => name);
      return { parameters: Object.fromEntries(given), outputs: chosen.length === boxes.length && !manifest.default_outputs.length ? [] : chosen };
    },
  };
}

function makeParameter(rule, onready) {
  const id = `parameter-${rule.name}`;
  const standard = rule.readable_default ?? "";
  let field;
  if (rule.kind === "bool" || rule.choices.length) {
    const values = rule.kind === "bool" ? ["true", "false"] : rule.choices;
    field = h("select", { id, onchange: onready }, h("option", { value: "" }, "not sent"),
      values.map((value) => h("option", { value, selected: String(standard) === value }, value)));
  } else if (rule.kind === "string") {
    field = h("input", { id, type: "text", value: standard, onchange: onready });
  } else {
    field = h("input", {
      id, type: "number", value: standard, placeholder: "not sent", min: rule.minimum, max: rule.maximum,
      step: rule.kind === "int64" ? 1 : "any", onchange: onready,
    });
  }
  return {
    element: h("div", { class: "field" }, h("label", { for: id }, rule.name), field,
      h("p", { class: "hint" }, `${rule.meaning}${describeRange(rule)}`)),
    read() {
      if (field.value === "") return null;
      const isText = rule.kind === "string";
      return [rule.name, isText ? field.value : rule.kind === "bool" ? field.value === "true" : Number(field.value)];
    },
  };
}
