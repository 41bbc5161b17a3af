// Calls to the server that sent this page, and whether it is there.

import { HEADER_LENGTH, decodeBody, encodeRequest } from "./wire.js";

const KEY = "millrace-key";
const PERIOD_MS = 5000;
const GONE = "Not reachable"; // short, for the bar of a phone
export const server = new EventTarget();
let isThere = null;

class ApiError extends Error {
  constructor(message, status = 0, request = "") {
    super(message);
    this.status = status;
    this.request = request;
  }
}

export function readKey() {
  return sessionStorage.getItem(KEY) ?? "";
}

export function setKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
  server.dispatchEvent(new Event("key"));
}

export async function send(path, { headers = {}, ...options } = {}) {
  const key = readKey();
  if (key) headers = { ...headers, authorization: `Bearer ${key}` };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    tell(false, GONE);
    throw new ApiError("The server does not answer. Is it running, and can this machine reach it?");
  }
  if (response.ok) return response;
  throw await readError(response);
}

async function readError(response) {
  const request = response.headers.get("x-request-id") ?? "";
  let text = `${response.status} ${response.statusText}`;
  try {
    text = (await response.clone().json()).error ?? text;
  } catch {
    // No JSON: something between us and the server answered, and its status says what it can.
  }
  if (response.status === 401 || response.status === 403) server.dispatchEvent(new CustomEvent("refused", { detail: text }));
  return new ApiError(text, response.status, request);
}

export async function getJson(path, options) {
  return (await send(path, options)).json();
}

export async function infer(model, version, request, { verb = "infer", signal } = {}) {
  const { body, headerLength } = encodeRequest(request);
  const started = performance.now();
  const response = await send(`v2/models/${encodeURIComponent(model)}/versions/${encodeURIComponent(version)}/${verb}`, {
    method: "POST", body, signal,
    headers: { [HEADER_LENGTH]: String(headerLength), "content-type": "application/octet-stream" },
  });
  const buffer = await response.arrayBuffer();
  const ms = performance.now() - started;
  return { ...decodeBody(buffer, response.headers.get(HEADER_LENGTH)), ms };
}

let models = null;
export function listModels() {
  models ??= getJson("api/models").catch((error) => {
    models = null;
    throw error;
  });
  return models;
}
server.addEventListener("back", () => (models = null));
server.addEventListener("key", () => (models = null));

export async function getManifest(model, version) {
  return getJson(`api/models/${encodeURIComponent(model)}?version=${encodeURIComponent(version)}`);
}

// The examples of a version; of the default one if none is named.
export async function listExamples(model, version) {
  const query = version === undefined ? "" : `?version=${encodeURIComponent(version)}`;
  return getJson(`api/models/${encodeURIComponent(model)}/examples${query}`);
}

// An example's row as tensors.
export async function fetchExample(model, version, row) {
  const response = await send(`api/models/${encodeURIComponent(model)}/examples/${row}?version=${encodeURIComponent(version)}`);
  return decodeBody(await response.arrayBuffer(), response.headers.get(HEADER_LENGTH)).tensors;
}

// Do something now and every few seconds while the page is seen, and at once when it is seen again; returns what ends it.
export function whileSeen(work) {
  let timer = 0;
  let isOver = false;
  async function turn() {
    if (isOver || document.visibilityState !== "visible") return;
    await work();
    clearTimeout(timer);
    timer = setTimeout(turn, PERIOD_MS);
  }
  document.addEventListener("visibilitychange", turn);
  turn();
  return () => {
    isOver = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", turn);
  };
}

export async function lookAfterServer() {
  try {
    const response = await fetch("v2/health/ready");
    tell(true, response.ok ? "Ready" : "Not all ready", response.ok);
  } catch {
    tell(false, GONE);
  }
}

function tell(there, text, isReady = there) {
  const isBack = there && isThere === false;
  isThere = there;
  server.dispatchEvent(new CustomEvent("state", { detail: { text, state: there ? (isReady ? "ready" : "waiting") : "gone" } }));
  if (isBack) server.dispatchEvent(new Event("back"));
}
