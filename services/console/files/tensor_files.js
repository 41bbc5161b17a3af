// Arrays from files: .npy, MATLAB's .mat (as -v7 and older write it) and JSON; and .npy files of what was sent.

import { formatNumber, h, svg } from "./dom.js";
import { countElements } from "./wire.js";

const NPY_KINDS = {
  f2: globalThis.Float16Array, f4: Float32Array, f8: Float64Array, i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array,
  i4: Int32Array, u4: Uint32Array, i8: BigInt64Array, u8: BigUint64Array, c8: Float32Array, c16: Float64Array,
};
const NPY_NAMES = {
  FP16: "<f2", FP32: "<f4", FP64: "<f8", INT8: "|i1", UINT8: "|u1", INT16: "<i2", UINT16: "<u2", INT32: "<i4", UINT32: "<u4",
  INT64: "<i8", UINT64: "<u8", BOOL: "|b1",
};

// Returns {shape, values}; complex numbers become a last axis of two, real and imaginary part.
export async function readArrayFile(file, tensor) {
  const buffer = await file.arrayBuffer();
  const name = file.name.toLowerCase();
  if (name.endsWith(".json")) return readJson(new TextDecoder().decode(buffer));
  if (name.endsWith(".mat")) return orderAxes(await readMat(buffer), tensor.shape);
  if (name.endsWith(".npy")) return readNpy(buffer);
  throw new Error(`${file.name} is of no known kind; give .npy, .mat or .json`);
}

export function readJson(text) {
  const nested = JSON.parse(text);
  const shape = [];
  for (let level = nested; Array.isArray(level); level = level[0]) shape.push(level.length);
  return { shape, values: nested.flat(Infinity) };
}

function readNpy(buffer) {
  const bytes = new Uint8Array(buffer);
  if (String.fromCharCode(...bytes.subarray(1, 6)) !== "NUMPY") throw new Error("this is no .npy file");
  const view = new DataView(buffer);
  const isOld = bytes[6] === 1;
  const start = isOld ? 10 : 12;
  const length = isOld ? view.getUint16(8, true) : view.getUint32(8, true);
  const head = new TextDecoder("latin1").decode(bytes.subarray(start, start + length));
  const [, kind] = /'descr':\s*'[<|=]?([a-z]\d+)'/.exec(head) ?? [];
  const Kind = NPY_KINDS[kind === "b1" ? "u1" : kind];
  if (!Kind) throw new Error(`this .npy file holds values of a kind that is not read here: ${head.slice(0, 60)}`);
  if (/'fortran_order':\s*True/.test(head)) throw new Error("this .npy file is in Fortran order; save np.ascontiguousarray(x)");
  const shape = /'shape':\s*\(([^)]*)\)/.exec(head)[1].split(",").map((part) => part.trim()).filter(Boolean).map(Number);
  if (kind.startsWith("c")) shape.push(2);
  return { shape, values: new Kind(buffer.slice(start + length), 0, countElements(shape)) };
}

export function writeNpy({ datatype, shape, data }) {
  const head = `{'descr': '${NPY_NAMES[datatype]}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const padded = head.padEnd(64 * Math.ceil((head.length + 11) / 64) - 11) + "\n";
  const start = new Uint8Array(10 + padded.length);
  start.set([0x93, ...[..."NUMPY"].map((letter) => letter.charCodeAt()), 1, 0, padded.length & 255, padded.length >> 8]);
  start.set([...padded].map((letter) => letter.charCodeAt()), 10);
  return new Blob([start, data]);
}

// MATLAB level 5 files: elements of (kind, size, contents) padded to 8 bytes, matrices compressed or not.
const MAT_KINDS = {
  1: Int8Array, 2: Uint8Array, 3: Int16Array, 4: Uint16Array, 5: Int32Array, 6: Uint32Array, 7: Float32Array, 9: Float64Array,
};
const MATRIX = 14;
const COMPRESSED = 15;

async function readMat(buffer) {
  const head = new TextDecoder("latin1").decode(new Uint8Array(buffer, 0, 116));
  if (head.startsWith("MATLAB 7.3") || head.slice(1, 4) === "HDF") {
    throw new Error("this .mat file is of version 7.3; save it with -v7, or send it with the command infer");
  }
  if (!head.startsWith("MATLAB 5.0")) throw new Error("this is no MATLAB file");
  for (const element of readElements(buffer.slice(128))) {
    let { kind, contents } = element;
    if (kind === COMPRESSED) [{ kind, contents }] = readElements(await inflate(contents));
    const array = kind === MATRIX ? readMatrix(contents) : null;
    if (array) return array;
  }
  throw new Error("this .mat file holds no numeric array");
}

async function inflate(contents) {
  return new Response(new Blob([contents]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
}

function readElements(buffer) {
  const view = new DataView(buffer);
  const elements = [];
  for (let offset = 0; offset + 8 <= buffer.byteLength;) {
    const first = view.getUint32(offset, true);
    const isSmall = first >> 16 !== 0;
    const kind = isSmall ? first & 0xffff : first;
    const size = isSmall ? first >> 16 : view.getUint32(offset + 4, true);
    const start = offset + (isSmall ? 4 : 8);
    elements.push({ kind, contents: buffer.slice(start, start + size) });
    offset = isSmall ? offset + 8 : kind === COMPRESSED ? start + size : start + 8 * Math.ceil(size / 8);
  }
  return elements;
}

function readMatrix(contents) {
  const [flags, sizes, , ...parts] = readElements(contents);
  const isComplex = (new Uint32Array(flags.contents)[0] & 0x0800) !== 0;
  if (parts.length !== (isComplex ? 2 : 1)) return null;
  const columns = [...new Int32Array(sizes.contents)];
  const [real, imaginary] = parts.map(({ kind, contents: values }) => new MAT_KINDS[kind](values));
  const values = isComplex ? Array.from(real, (value, place) => [value, imaginary[place]]).flat() : Array.from(real);
  // MATLAB writes the first axis fastest: as we read, its axes lie in reverse.
  const reversed = [...columns].reverse();
  const order = columns.map((_, axis) => columns.length - 1 - axis);
  if (!isComplex) return { shape: columns, values: permute(values, reversed, order) };
  return { shape: [...columns, 2], values: permute(values, [...reversed, 2], [...order, columns.length]) };
}

// MATLAB knows no rows of a batch and drops axes of one: find the order of axes in which the array fits.
function orderAxes(array, wanted) {
  const { shape, values } = array;
  const target = wanted.slice(1);
  for (const order of permutations(shape.map((_, axis) => axis))) {
    const ordered = order.map((axis) => shape[axis]);
    const rest = ordered.length === target.length ? ordered : ordered.length === wanted.length ? ordered.slice(1) : null;
    if (rest?.every((size, axis) => target[axis] < 0 || target[axis] === size)) {
      return { shape: ordered, values: permute(values, shape, order) };
    }
  }
  return array;
}

function permutations(items) {
  if (items.length < 2) return [items];
  return items.flatMap((item, place) =>
    permutations([...items.slice(0, place), ...items.slice(place + 1)]).map((rest) => [item, ...rest]));
}

function permute(values, shape, order) {
  const strides = shape.map((_, axis) => countElements(shape.slice(axis + 1)));
  const sizes = order.map((axis) => shape[axis]);
  const result = new Array(values.length);
  const place = sizes.map(() => 0);
  for (let index = 0; index < values.length; index++) {
    result[index] = values[place.reduce((sum, step, axis) => sum + step * strides[order[axis]], 0)];
    for (let axis = sizes.length - 1; axis >= 0 && ++place[axis] === sizes[axis]; axis--) place[axis] = 0;
  }
  return result;
}

// An array at a glance: its shape, its range, and its values as a line.
export function describeArray({ datatype, shape, data }) {
  const values = Array.from(data, Number).filter(Number.isFinite);
  const [low, high] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return h("div", { class: "array" },
    h("p", { class: "small" }, h("code", {}, `${datatype} [${shape.join(", ")}]`),
      values.length ? ` ${formatNumber(low)} to ${formatNumber(high)}, mean ${formatNumber(mean)}` : " no finite values"),
    values.length > 1 ? sparkline(values, low, high) : null);
}

function sparkline(values, low, high) {
  const step = Math.max(1, Math.floor(values.length / 300));
  const points = values.filter((_, place) => place % step === 0);
  const scale = high > low ? 36 / (high - low) : 0;
  const line = points.map((value, place) => `${((300 * place) / (points.length - 1 || 1)).toFixed(1)},${(38 - (value - low) * scale).toFixed(1)}`);
  return svg("svg", { viewBox: "0 0 300 40", class: "spark", "aria-hidden": "true", preserveAspectRatio: "none" },
    svg("polyline", { points: line.join(" "), fill: "none" }));
}
