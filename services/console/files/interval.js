// A value within its interval, drawn on a scale that it may share with others.

import { h } from "./dom.js";

// Numbers as they come; `limit`, where there is one, is marked on the scale.
export function whisker({ value, low, high, limit = null }, [least, most]) {
  const share = (x) => `${most > least ? (100 * (x - least)) / (most - least) : 50}%`;
  const bar = h("span", { class: "whisker", "aria-hidden": "true" },
    h("span", { class: "extent" }), h("span", { class: "point" }), limit === null ? null : h("span", { class: "limit" }));
  for (const [name, x] of Object.entries({ low, high, value, limit })) if (x !== null) bar.style.setProperty(`--${name}`, share(x));
  return bar;
}
