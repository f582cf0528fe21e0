// Going to a function by a part of its name, from anywhere.

import { ask, name } from "./api.js";
import { el, put } from "./dom.js";
import { plain } from "./units.js";

const MOST = 12, PAUSE = 120;

export function jump() {
  const input = document.getElementById("jump-input"), list = document.getElementById("jump-list");
  let timer = 0, found = [], at = -1, asking = null;

  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    at = -1;
  }
  function go(row) {
    close();
    input.value = "";
    input.blur();
    location.hash = `#/functions/${name(row.function)}`;
  }
  function mark(index) {
    at = index;
    [...list.children].forEach((one, place) => one.setAttribute("aria-selected", place === at));
    if (at >= 0) { input.setAttribute("aria-activedescendant", list.children[at].id); list.children[at].scrollIntoView({ block: "nearest" }); }
  }
  async function look() {
    asking?.abort();
    const q = input.value.trim();
    if (!q) { close(); return; }
    asking = new AbortController();
    try {
      const told = await ask("api/discovered", { query: { q, limit: MOST }, signal: asking.signal });
      found = told.functions;
    } catch { return; }
    put(list, found.map((row, index) => el("li", { role: "option", id: `jump-${index}`, "aria-selected": "false", onmousedown: (event) => { event.preventDefault(); go(row); } },
      el("span", {}, plain(row.function)), el("small", {}, row.running.length ? "" : "not running"))));
    if (!found.length) put(list, el("li", { role: "option", "aria-disabled": "true", "aria-selected": "false" }, "no function of that name"));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    mark(found.length ? 0 : -1);
  }
  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, PAUSE); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && at + 1 < found.length) { event.preventDefault(); mark(at + 1); }
    else if (event.key === "ArrowUp" && at > 0) { event.preventDefault(); mark(at - 1); }
    else if (event.key === "Escape") { input.value = ""; close(); input.blur(); }
  });
  document.getElementById("jump").addEventListener("submit", (event) => { event.preventDefault(); if (at >= 0) go(found[at]); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest("input, select, textarea, dialog")) {
      event.preventDefault();
      input.focus();
    }
  });
}
