// Asking for the key. It is sent once, and kept nowhere: the browser gets a cookie that no script can read.

import { post } from "./api.js";
import { el, field, say } from "./dom.js";

export function login() {
  const key = el("input", { type: "password", autocomplete: "current-password", required: true, spellcheck: "false" });
  const wrong = el("p", { class: "failure", role: "alert", hidden: true });
  const send = el("button", { type: "submit", class: "main" }, "Open");
  const form = el("form", { class: "login" }, el("h2", { id: "login-title" }, "Mystic"), el("p", {}, "This collector asks for its key."),
    field("Key", key, "what MYSTIC_API_KEY of the collector says"), wrong, send);
  const dialog = el("dialog", { "aria-labelledby": "login-title" }, form);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  document.body.append(dialog);
  dialog.showModal();
  key.focus();
  return new Promise((resolve) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      send.disabled = true;
      wrong.hidden = true;
      try {
        await post("login", { key: key.value }, { bare: true });
        dialog.remove();
        resolve();
      } catch (error) {
        say(wrong, error.text || "the collector cannot be reached");
        wrong.hidden = false;
        key.select();
      } finally {
        send.disabled = false;
      }
    });
  });
}
