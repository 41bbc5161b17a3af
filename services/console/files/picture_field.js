// A picture for a model: dropped, pasted, chosen, drawn, or one of the examples.

import { choice, h, problem } from "./dom.js";
import { paintImage } from "./image_grid.js";

const CANVAS_PX = 280;
const PEN_SHARE = 0.085;
const MARGIN_SHARE = 0.12;
const MAX_FILE_BYTES = 8 * 2 ** 20;

export function makePictureField({ pixels, file, examples }, onready) {
  const canvas = h("canvas", { width: CANVAS_PX, height: CANVAS_PX, "aria-label": "Drawing area", role: "img" });
  const shown = h("div", { class: "shown" }, h("p", { class: "muted" }, "Drop, paste or choose a picture"));
  const chooser = h("input", { type: "file", accept: "image/*", id: `input-${pixels.name}`, onchange: () => takeFile(chooser.files[0]) });
  const erase = h("button", { type: "button", class: "quiet", onclick: () => pad.clear() }, "Erase");
  const pad = makePad(canvas, examples, () => {
    held = { kind: "drawing" };
    onready();
  });
  const board = h("div", { class: "board" }, canvas, erase);
  board.hidden = true;
  let held = null;

  const modes = choice("Where the picture comes from", [["picture", "Picture"], ["draw", "Draw"]], "picture", showMode);
  function showMode(mode) {
    board.hidden = mode !== "draw";
    shown.hidden = chosen.hidden = mode === "draw";
    if (mode === "draw") pad.start();
  }
  function returnToPicture() {
    if (!board.hidden) modes.querySelector("button").click();
  }

  function takeFile(chosenFile) {
    if (!chosenFile) return;
    returnToPicture();
    if (chosenFile.size > MAX_FILE_BYTES) {
      shown.replaceChildren(problem(new Error(`${chosenFile.name} has ${chosenFile.size} bytes; the limit is ${MAX_FILE_BYTES}`)));
      return;
    }
    held = { kind: "file", file: chosenFile };
    const url = URL.createObjectURL(chosenFile);
    const image = h("img", { src: url, alt: chosenFile.name, onload: () => URL.revokeObjectURL(url), onerror: unreadable });
    function unreadable() {
      URL.revokeObjectURL(url);
      image.replaceWith(h("p", { class: "muted" }, chosenFile.name));
    }
    shown.replaceChildren(image);
    onready();
  }

  const chosen = h("div", { class: "row file" }, h("label", { for: chooser.id, class: "button" }, "Choose a file"), chooser,
    h("span", { class: "muted small" }, "or drop or paste it here"));
  const element = h("div", {
    class: "field picture", tabindex: -1,
    ondragover: (event) => { event.preventDefault(); element.classList.add("over"); },
    ondragleave: () => element.classList.remove("over"),
    ondrop: (event) => { event.preventDefault(); element.classList.remove("over"); takeFile(event.dataTransfer.files[0]); },
  }, h("span", { class: "label" }, pixels.name), modes, shown, board, chosen, h("p", { class: "hint" }, (file ?? pixels).meaning));
  const paste = (event) => {
    if (!element.isConnected) document.removeEventListener("paste", paste);
    else takeFile([...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/")));
  };
  document.addEventListener("paste", paste);

  return {
    name: pixels.name,
    isScalar: false,
    element,
    takes: (name) => name === pixels.name,
    isReady: () => held !== null,
    set(tensor) {
      returnToPicture();
      held = { kind: "tensor", tensor };
      const image = h("canvas", { role: "img", "aria-label": "The example" });
      paintImage(image, tensor, 0);
      shown.replaceChildren(image);
    },
    async read() {
      if (held === null) throw new Error("There is no picture yet; choose an example, a file, or draw one");
      if (held.kind === "tensor") return held.tensor;
      const source = held.kind === "drawing" ? pad.cut() : await createImageBitmap(held.file).catch(() => null);
      if (file) {
        const blob = held.kind === "drawing" ? await new Promise((done) => source.toBlob(done, "image/png")) : held.file;
        const name = held.kind === "drawing" ? "drawing.png" : held.file.name;
        return { name: file.name, datatype: "BYTES", shape: [1], data: [new Uint8Array(await blob.arrayBuffer())], file: name };
      }
      if (source === null) throw new Error(`${held.file.name} is no picture that this browser can read`);
      return toPixels(source, pixels);
    },
  };
}

function toPixels(source, { name, shape }) {
  const [, height, width, channels] = shape.map((size) => (size < 0 ? 224 : size));
  const context = h("canvas", { width, height }).getContext("2d");
  context.drawImage(source, 0, 0, width, height);
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * channels);
  for (let place = 0; place < width * height; place++) {
    const [red, green, blue] = rgba.subarray(4 * place, 4 * place + 3);
    if (channels === 1) data[place] = Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
    else data.set([red, green, blue], 3 * place);
  }
  return { name, datatype: "UINT8", shape: [1, height, width, channels], data };
}

// Draws like the examples: light on dark where their edges are dark, else dark on light.
function makePad(canvas, examples, ondrawn) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let colours = ["#000", "#fff"];
  let isStarted = false;
  let last = null;
  const where = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * (CANVAS_PX / box.width), (event.clientY - box.top) * (CANVAS_PX / box.height)];
  };
  const draw = (event) => {
    if (!last) return;
    const next = where(event);
    context.strokeStyle = colours[1];
    context.lineWidth = PEN_SHARE * CANVAS_PX;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(...next);
    context.stroke();
    last = next;
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = where(event);
    draw(event);
  });
  canvas.addEventListener("pointermove", draw);
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => {
      if (last) ondrawn();
      last = null;
    });
  }
  function clear() {
    context.fillStyle = colours[0];
    context.fillRect(0, 0, CANVAS_PX, CANVAS_PX);
  }
  return {
    clear,
    async start() {
      if (isStarted) return;
      isStarted = true;
      if (await isDark(examples[0]?.image)) colours = ["#000", "#fff"];
      else colours = ["#fff", "#000"];
      clear();
    },
    cut: () => cutOut(context, colours[0] === "#000"),
  };
}

async function isDark(url) {
  if (!url) return true;
  const image = h("img", { src: url });
  await image.decode();
  const { naturalWidth: width, naturalHeight: height } = image;
  const context = h("canvas", { width, height }).getContext("2d");
  context.drawImage(image, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  let sum = 0;
  for (let x = 0; x < width; x++) sum += rgba[4 * x] + rgba[4 * ((height - 1) * width + x)];
  return sum / (2 * width) < 128;
}

// What was drawn, in the middle of a square: models were taught on objects that fill their picture.
function cutOut(context, isLightOnDark) {
  const { data } = context.getImageData(0, 0, CANVAS_PX, CANVAS_PX);
  let [left, top, right, bottom] = [CANVAS_PX, CANVAS_PX, 0, 0];
  for (let y = 0; y < CANVAS_PX; y++) {
    for (let x = 0; x < CANVAS_PX; x++) {
      if (data[4 * (y * CANVAS_PX + x)] > 127 === isLightOnDark) {
        [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
      }
    }
  }
  if (right < left) return context.canvas;
  const size = Math.max(right - left, bottom - top) * (1 + 2 * MARGIN_SHARE);
  const cut = h("canvas", { width: CANVAS_PX, height: CANVAS_PX });
  const target = cut.getContext("2d");
  target.fillStyle = isLightOnDark ? "#000" : "#fff";
  target.fillRect(0, 0, CANVAS_PX, CANVAS_PX);
  const [x, y] = [(left + right - size) / 2, (top + bottom - size) / 2];
  target.drawImage(context.canvas, x, y, size, size, 0, 0, CANVAS_PX, CANVAS_PX);
  return cut;
}
