// Elements made by hand. Text only ever becomes a text node, so what a model, a file or a stranger says cannot be markup.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...present(children));
  return element;
}

// Replace what an element holds; what is null or false is left out, as it is in `h`.
export function put(element, ...children) {
  element.replaceChildren(...present(children));
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

export function formatNumber(value, digits = 4) {
  if (typeof value === "bigint") return value.toString();
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size < 1e-4) return value.toExponential(Math.min(digits, 3) - 1);
  return Number(value.toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 20 });
}

export function formatBytes(size) {
  for (const [unit, factor] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (size >= factor) return `${(size / factor).toPrecision(3)} ${unit}`;
  }
  return `${size} B`;
}

export function formatMs(value) {
  if (value === null || value === undefined) return "–";
  return value >= 1000 ? `${(value / 1000).toPrecision(3)} s` : `${value.toPrecision(3)} ms`;
}

export function formatDate(time) {
  return new Date(time).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

export function download(name, content, type = "application/octet-stream") {
  const url = URL.createObjectURL(new Blob([content], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function copyButton(text) {
  const button = h("button", { type: "button", class: "quiet copy", onclick: copy }, "Copy");
  async function copy() {
    await navigator.clipboard.writeText(text());
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  }
  return button;
}

// What is wider than the page scrolls by itself, also by keyboard.
export function scroller(label, ...children) {
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, ...children);
}

// One run of the work at a time, and of those asked for meanwhile only the last: a drawn line asks often.
export function latestOnly(work) {
  let isBusy = false;
  let isStale = false;
  return async () => {
    isStale = true;
    if (isBusy) return;
    isBusy = true;
    try {
      while (isStale) {
        isStale = false;
        await work();
      }
    } finally {
      isBusy = false;
    }
  };
}

// Buttons of which one is pressed; the choice is reported by value.
export function choice(label, options, chosen, onchoose) {
  const buttons = options.map(([value, text]) =>
    h("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => choose(value) }, text));
  const group = h("div", { class: "choice", role: "group", "aria-label": label }, buttons);
  function choose(value) {
    markChosen(group, options.findIndex(([each]) => each === value));
    onchoose(value);
  }
  return group;
}

// Shows another button of a choice as pressed, and reports nothing.
export function markChosen(group, place) {
  [...group.children].forEach((button, each) => button.setAttribute("aria-pressed", String(each === place)));
}

export function problem(error) {
  return h("div", { class: "problem", role: "alert" },
    h("p", {}, error.message),
    error.request ? h("p", { class: "muted small" }, "request ", h("code", {}, error.request)) : null);
}

// The allowed values of an input or a parameter, in words.
export function describeRange({ minimum, maximum, unit = "" }) {
  const after = unit ? ` ${unit}` : "";
  // The ends of 64 bits are no range that helps to choose.
  const has = (value) => value !== null && value !== undefined && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
  if (has(minimum) && has(maximum)) return `; ${minimum} to ${maximum}${after}`;
  if (has(minimum)) return `; at least ${minimum}${after}`;
  if (has(maximum)) return `; at most ${maximum}${after}`;
  return unit ? `; in ${unit}` : "";
}
