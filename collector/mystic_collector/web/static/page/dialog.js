// Questions, and short news.

import { button, el } from "./dom.js";

/** Opens a dialog; `build(close)` gives its content. Focus goes back to where it was. */
export function dialog(title, build, { wide = false } = {}) {
  const heading = el("h2", { id: `d${Date.now()}` }, title);
  const node = el("dialog", { class: wide ? "wide" : "", "aria-labelledby": heading.id });
  const before = document.activeElement;
  const close = () => { node.close(); };
  node.addEventListener("close", () => { node.remove(); if (before?.isConnected) before.focus(); });
  node.append(el("header", {}, heading, button("Close", close, { class: "quiet" })), build(close));
  document.body.append(node);
  node.showModal();
  return close;
}

/** Asks before something is done; resolves to the note somebody gave, or null. */
export function confirm(title, text, action, { note = "", danger = false } = {}) {
  return new Promise((resolve) => {
    let answer = null;
    const input = note ? el("input", { type: "text", maxlength: "200", "aria-label": note, placeholder: note }) : null;
    const close = dialog(title, (leave) => el("form", {
      method: "dialog",
      onsubmit: (event) => { event.preventDefault(); answer = input ? input.value : ""; leave(); },
    }, el("p", {}, text), input, el("div", { class: "row end" }, button("Cancel", () => leave()), el("button", { type: "submit", class: danger ? "danger" : "main" }, action))));
    const node = document.querySelector("dialog:last-of-type");
    node.addEventListener("close", () => resolve(answer));
    void close;
  });
}

const SECONDS = 12;

/** Shows news at the edge; `action` is `[text, what to do]`. */
export function toast(text, kind = "", action = null) {
  const node = el("div", { class: `toast ${kind}` }, el("span", {}, text));
  const leave = () => { clearTimeout(timer); node.remove(); };
  if (action) node.append(button(action[0], () => { leave(); action[1](); }));
  node.append(button("Dismiss", leave, { class: "quiet" }));
  const timer = setTimeout(leave, SECONDS * 1000);
  node.addEventListener("focusin", () => clearTimeout(timer));
  document.getElementById("toasts").append(node);
}
