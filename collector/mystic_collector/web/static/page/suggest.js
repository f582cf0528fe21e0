// Names that an input offers while somebody writes; anything else may be written all the same.

import { ask } from "./api.js";
import { el, put } from "./dom.js";
import { plain } from "./units.js";

const MOST = 20, PAUSE = 150; // names; milliseconds after the last key

const SOURCES = {
  functions: async (q) => (await ask("api/discovered", { query: { q, limit: MOST } })).functions.map((one) => one.function),
  recordings: async () => (await ask("api/recordings")).recordings.map((one) => one.name),
};
let lists = 0;

export function suggesting(input, kind) {
  const list = el("datalist", { id: `suggest-${(lists += 1)}` });
  let timer = 0, last = null;
  async function look() {
    const q = input.value.trim();
    if (q === last) return;
    last = q;
    const names = await SOURCES[kind](q).catch(() => []);
    put(list, names.map((one) => el("option", { value: plain(one) })));
  }
  input.setAttribute("list", list.id);
  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, PAUSE); });
  input.addEventListener("focus", () => {
    if (!list.isConnected) input.after(list);
    look();
  });
  return input;
}
