// The frame around the pages: which one is shown, when it asks again, login, theme.

import { ask, onLocked } from "./api.js";
import { button, el, painted, put, say } from "./dom.js";
import { toast } from "./dialog.js";
import { jump } from "./jump.js";
import { live } from "./live.js";
import { login } from "./login.js";
import { fleetFunction } from "./views/function.js";
import { functions, prepare } from "./views/functions.js";
import { hijacks } from "./views/hijacks.js";
import { overview } from "./views/overview.js";
import { servers } from "./views/servers.js";
import { trace } from "./views/trace.js";
import { traces } from "./views/traces.js";

const PAGES = [
  [/^$/, overview, "Overview"],
  [/^functions$/, functions, "Functions"],
  [/^functions\/(.+)$/, fleetFunction, "Function"],
  [/^hijacks(?:\/(.+))?$/, hijacks, "Hijacks"],
  [/^traces$/, traces, "Traces"],
  [/^traces\/([0-9a-f]{32})$/, trace, "Trace"],
  [/^servers(?:\/(.+))?$/, servers, "Servers"],
];
const SOONEST = 1000; // milliseconds between two refreshes, and ten times as long as one takes

const AGAIN = 5000; // milliseconds after a failure

const main = document.getElementById("main");
let page = null, due = 0, busy = false, wanted = false, took = 0, ready = null;

function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  for (const [pattern, view, title] of PAGES) {
    const match = pattern.exec(path);
    if (match) return { view, title, name: match[1] ? decodeURIComponent(match[1]) : "", query: new URLSearchParams(query || "") };
  }
  return { view: overview, title: "Overview", name: "", query: new URLSearchParams() };
}

function show() {
  page?.stop.abort();
  page?.close?.();
  const { view, title, name, query } = place();
  const stop = new AbortController();
  document.title = `${name && title === "Function" ? name : title} · Mystic`;
  put(main);
  page = { stop, ...view(main, { name, query, signal: stop.signal, again: refresh }) };
  const top = `#/${location.hash.replace(/^#\/?/, "").split(/[/?]/)[0]}`;
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.getAttribute("href") === top) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  window.scrollTo(0, 0);
  refresh();
}

async function refresh(news) {
  if (busy) { wanted = true; return; }
  const mine = page, began = performance.now();
  busy = true;
  wanted = false;
  try {
    await mine.refresh?.(news || null);
    mine.failed?.remove();
    mine.failed = null;
    ready ||= painted().then(prepare).catch(() => {}); // whoever goes on to the functions does not wait for them
  } catch (error) {
    if (error.name !== "AbortError" && mine === page) failed(mine, error);
  } finally {
    busy = false;
    took = performance.now() - began;
    main.setAttribute("aria-busy", "false");
    main.dataset.shown = location.hash;
    if (mine !== page || wanted) refresh();
  }
}

function failed(mine, error) {
  mine.failed?.remove();
  clearTimeout(failed.again);
  failed.again = setTimeout(() => { if (mine === page) refresh(); }, AGAIN);
  mine.failed = el("p", { class: "failure", role: "alert" }, error.text || `${error.message}: the collector cannot be reached`, " ", button("Try again", () => refresh()));
  main.prepend(mine.failed);
}

function changed(news) {
  off(news);
  if (due || document.hidden) { wanted ||= document.hidden; return; }
  const wait = Math.max(SOONEST, took * 10);
  due = setTimeout(() => { due = 0; refresh(news); }, wait);
}

let version = null;

/** Says on every page when everything is switched off. */
async function off(news) {
  if (news.version === version) return;
  version = news.version;
  const told = await ask("health").catch(() => null);
  const banner = document.getElementById("banner");
  const services = told?.off || [];
  banner.hidden = !services.length;
  const where = services.includes("*") ? "in all processes" : `in ${services.join(", ")}`;
  say(banner, services.length ? `Mystic is switched off ${where}: nothing is hijacked, nothing observed. Switch it on under Hijacks.` : "");
}

function theme() {
  const root = document.documentElement, button = document.getElementById("theme");
  const next = { auto: "light", light: "dark", dark: "auto" };
  const tell = () => say(button, { auto: "Auto", light: "Light", dark: "Dark" }[root.dataset.theme]);
  button.addEventListener("click", () => {
    root.dataset.theme = next[root.dataset.theme];
    try { localStorage.setItem("mystic.theme", root.dataset.theme); } catch { /* only for this visit, then */ }
    tell();
    document.dispatchEvent(new Event("mystic-theme"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("mystic-theme")));
  tell();
}

const state = document.getElementById("live");
const stream = live(changed, (text) => { say(state, text); state.dataset.state = text; });
const leave = document.getElementById("logout");
onLocked(async () => {
  await login();
  leave.hidden = false;
  stream.again();
});
leave.addEventListener("click", async () => {
  await ask("logout", { method: "POST" }).catch((error) => toast(error.text || error.message, "bad"));
  location.reload();
});
ask("api/status").then((told) => { leave.hidden = !told.api_key; }, () => {});
document.addEventListener("visibilitychange", () => { if (!document.hidden && wanted) refresh(); });
window.addEventListener("hashchange", show);
theme();
jump();
show();
