// Open Inference Protocol over HTTP with the binary tensor extension, both ways.
// A tensor is {name, datatype, shape, data}: a typed array, or for BYTES a list of Uint8Array.

const ARRAYS = {
  BOOL: Uint8Array, UINT8: Uint8Array, UINT16: Uint16Array, UINT32: Uint32Array, UINT64: BigUint64Array,
  INT8: Int8Array, INT16: Int16Array, INT32: Int32Array, INT64: BigInt64Array,
  FP16: globalThis.Float16Array, FP32: Float32Array, FP64: Float64Array,
};
export const HEADER_LENGTH = "inference-header-content-length";
const utf8 = new TextEncoder();
const strictText = new TextDecoder("utf-8", { fatal: true });

export function countElements(shape) {
  return shape.reduce((product, size) => product * size, 1);
}

export function textTensor(name, texts) {
  return { name, datatype: "BYTES", shape: [texts.length], data: texts.map((text) => utf8.encode(text)) };
}

export function makeTensor(name, datatype, shape, values) {
  const Kind = ARRAYS[datatype];
  const isBig = Kind === BigInt64Array || Kind === BigUint64Array;
  const data = Kind.from(isBig ? values.map((value) => BigInt(value)) : values.map(Number));
  return { name, datatype, shape, data };
}

// The text of a BYTES element, or null where it is none.
export function readText(bytes) {
  try {
    return strictText.decode(bytes);
  } catch {
    return null;
  }
}

export function encodeRequest({ inputs, outputs = [], parameters = {} }) {
  const contents = inputs.map(encodeContents);
  const head = {
    inputs: inputs.map(({ name, datatype, shape }, place) =>
      ({ name, datatype, shape, parameters: { binary_data_size: contents[place].length } })),
    outputs: outputs.map((name) => ({ name })),
    parameters: { ...parameters, binary_data_output: true },
  };
  const header = utf8.encode(JSON.stringify(head));
  return { body: new Blob([header, ...contents]), headerLength: header.length };
}

export function decodeBody(buffer, headerLength) {
  const length = headerLength === null ? buffer.byteLength : Number(headerLength);
  const message = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 0, length)));
  let offset = length;
  const tensors = message.outputs.map((output) => {
    const { name, datatype, shape } = output;
    const size = output.parameters?.binary_data_size;
    if (size === undefined) return fromJson(name, datatype, shape, output.data);
    const contents = buffer.slice(offset, offset + size);
    offset += size;
    return { name, datatype, shape, data: decodeContents(datatype, contents) };
  });
  return { model: message.model_name, version: message.model_version, id: message.id, tensors };
}

function fromJson(name, datatype, shape, data) {
  if (datatype === "BYTES") return { name, datatype, shape, data: data.map((text) => utf8.encode(text)) };
  return makeTensor(name, datatype, shape, data);
}

function encodeContents({ datatype, data }) {
  if (datatype !== "BYTES") return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const size = data.reduce((sum, element) => sum + 4 + element.length, 0);
  const contents = new Uint8Array(size);
  const view = new DataView(contents.buffer);
  let offset = 0;
  for (const element of data) {
    view.setUint32(offset, element.length, true);
    contents.set(element, offset + 4);
    offset += 4 + element.length;
  }
  return contents;
}

function decodeContents(datatype, buffer) {
  if (datatype !== "BYTES") return new ARRAYS[datatype](buffer);
  const view = new DataView(buffer);
  const elements = [];
  for (let offset = 0; offset < buffer.byteLength;) {
    const size = view.getUint32(offset, true);
    elements.push(new Uint8Array(buffer, offset + 4, size));
    offset += 4 + size;
  }
  return elements;
}

// A tensor's row: the same tensor with one row.
export function takeRow(tensor, row) {
  const size = countElements(tensor.shape.slice(1));
  const data = tensor.data.slice(row * size, (row + 1) * size);
  return { ...tensor, shape: [1, ...tensor.shape.slice(1)], data };
}

// Nested lists as JSON has them; big integers stay exact because they are written as text.
export function toNested(tensor) {
  const { shape } = tensor;
  let place = 0;
  const build = (axis) => {
    if (axis === shape.length) {
      const value = tensor.data[place++];
      return tensor.datatype === "BYTES" ? JSON.stringify(readText(value) ?? "") : writeNumber(value, tensor.datatype);
    }
    return `[${Array.from({ length: shape[axis] }, () => build(axis + 1)).join(", ")}]`;
  };
  return build(0);
}

function writeNumber(value, datatype) {
  if (datatype === "BOOL") return value ? "true" : "false";
  if (datatype !== "FP32") return String(value);
  // The fewest digits that are this very number: `String` would write those of a double.
  for (const digits of [7, 8]) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}
