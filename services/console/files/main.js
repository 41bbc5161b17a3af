// Which view is shown: the part of the address after #, as in #/try/classifier.

import { lookAfterServer, readKey, server, setKey, whileSeen } from "./api.js";
import { h, problem } from "./dom.js";

const VIEWS = {
  try: ["Try", () => import("./try.js")],
  compare: ["Compare", () => import("./compare.js")],
  explain: ["Explain", () => import("./explain.js")],
  live: ["Live", () => import("./live.js")],
  store: ["Store", () => import("./store.js")],
  reports: ["Reports", () => import("./reports.js")],
};
const root = document.getElementById("view");
let leave = () => {};
let turn = 0;

async function show() {
  const mine = ++turn;
  const [name, ...words] = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  const view = Object.hasOwn(VIEWS, name) ? name : "try";
  const [title, load] = VIEWS[view];
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#/${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${title} · Millrace`;
  leave();
  leave = () => {};
  const page = h("div", { class: `page ${view}` });
  try {
    const module = await load();
    if (mine !== turn) return;
    root.replaceChildren(page);
    leave = (await module.show(page, words)) ?? leave;
  } catch (error) {
    if (mine !== turn) return;
    const needsKey = error.status === 401 || error.status === 403;
    root.replaceChildren(h("div", { class: "page" }, h("h1", {}, title), problem(error),
      needsKey ? h("p", {}, h("button", { type: "button", class: "primary", onclick: askForKey }, "Give a key")) : null));
  }
}

function decode(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

const dialog = document.getElementById("key-dialog");
const field = document.getElementById("key");
const button = document.getElementById("key-button");
function askForKey() {
  field.value = readKey();
  dialog.returnValue = "";
  dialog.showModal();
}
button.addEventListener("click", askForKey);
dialog.addEventListener("close", () => {
  if (dialog.returnValue === "use") setKey(field.value.trim());
  if (dialog.returnValue === "forget") setKey("");
});
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  dialog.close("use");
});

server.addEventListener("state", ({ detail }) => {
  document.getElementById("status").dataset.state = detail.state;
  const text = document.getElementById("status-text");
  if (text.textContent !== detail.text) text.textContent = detail.text;
});
server.addEventListener("refused", () => button.classList.add("wanted"));
server.addEventListener("key", () => {
  button.classList.remove("wanted");
  button.textContent = readKey() ? "Key set" : "Key";
  show();
});
server.addEventListener("back", show);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  root.focus();
});
addEventListener("hashchange", () => {
  show();
  root.focus({ preventScroll: true });
  scrollTo(0, 0);
});
button.textContent = readKey() ? "Key set" : "Key";
whileSeen(lookAfterServer);
show();
