// One trace: every sampled call in order, as long as it took.

import { ask, name as path } from "../api.js";
import { logLine } from "../captured.js";
import { el, put, section, tag } from "../dom.js";
import { grid } from "../grid.js";
import { tone } from "../tones.js";
import { date, duration, exact, plain } from "../units.js";

/** Spans as lines: depth first, by start; what has no parent here begins anew. */
function arranged(spans) {
  const ids = new Set(spans.map((one) => one.span_id)), children = new Map();
  for (const one of spans) {
    const parent = ids.has(one.parent_id) ? one.parent_id : "";
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(one);
  }
  const rows = [], waiting = [...(children.get("") || [])].reverse().map((one) => [one, 0]);
  while (waiting.length) {
    const [one, depth] = waiting.pop();
    rows.push({ ...one, depth });
    for (const child of [...(children.get(one.span_id) || [])].reverse()) waiting.push([child, depth + 1]);
  }
  return rows;
}

export function trace(main, { name, signal }) {
  const head = el("div", { class: "title" }), facts = el("p", { class: "dim" }), detail = el("div"), logs = el("div");
  let shown = false, start = 0, whole = 1;
  const bar = (row) => el("span", { class: "lane" }, el("span", { class: `span ${row.status === "error" ? "failed" : tone(row.name)}`, style: { left: `${(100 * (row.start_ns - start)) / whole}%`, width: `${Math.max((100 * row.duration * 1e9) / whole, 0.15)}%` } }));
  const list = grid([
    { title: "Call", kind: "name tree", text: (row) => row.name, draw: (row) => el("button", { type: "button", class: "plainbutton", style: { "padding-inline-start": `${Math.min(row.depth, 30) * 14}px` }, onclick: () => look(row) }, plain(row.name), row.status === "error" ? [" ", tag("error", "bad")] : "") },
    { title: "Duration", kind: "num", text: (row) => duration(row.duration) },
    { title: "When", kind: "lanes", text: (row) => row.span_id, draw: bar },
  ], { label: "Calls of this trace", tall: true, empty: "No spans." });
  const logPart = section("Log records of this trace", "captured in the application", logs);
  main.append(head, facts, list.node, detail, logPart);

  function look(row) {
    const attributes = Object.entries(row.attributes);
    put(detail, section(plain(row.name), `${duration(row.duration)}, ${duration((row.start_ns - start) / 1e9)} after the beginning`,
      el("p", {}, row.function ? el("a", { class: "mono", href: `#/functions/${path(row.function)}` }, plain(row.function)) : null, ` · ${plain(row.service)} · ${row.instance}`),
      row.error ? el("p", { class: "failure" }, plain(row.error)) : null,
      el("p", { class: "dim" }, "captured in the application:"),
      el("dl", { class: "facts mono" }, attributes.flatMap(([key, value]) => [el("dt", {}, plain(key)), el("dd", {}, plain(typeof value === "string" ? value : JSON.stringify(value)))])),
      row.events.map((one) => el("pre", { tabindex: "0" }, plain(JSON.stringify(one, null, 2))))));
    detail.scrollIntoView({ block: "nearest" });
  }

  function describe(told, ui) {
    put(facts, `${plain(told.service)} · ${date(told.start)} · ${exact(told.span_count)} spans · `, told.errors ? tag(`${told.errors} errors`, "bad") : "no errors", " · ", el("span", { class: "mono" }, name), ui ? [" · ", el("a", { href: ui, rel: "noreferrer noopener", target: "_blank" }, "open in the tracing UI")] : null);
  }

  async function refresh() {
    if (shown) return; // what has happened does not change
    const further = Promise.all([ask("api/status", { signal }), ask("api/logs", { method: "POST", body: { trace_id: name, limit: 50 }, signal })]);
    further.catch(() => {}); // is said below
    const told = await ask(`api/traces/${name}`, { signal });
    start = Math.min(...told.spans.map((one) => one.start_ns));
    whole = Math.max(told.duration * 1e9, 1);
    put(head, el("h1", { class: "mono" }, plain(told.name)), el("p", { class: "count" }, duration(told.duration)));
    describe(told, "");
    list.show(arranged(told.spans));
    const [status, records] = await further;
    describe(told, elsewhere(status.trace_ui, name));
    put(logs, records.logs.map(logLine));
    logPart.hidden = !records.logs.length;
    shown = true;
  }
  return { refresh, close: list.close };
}

/** The address of the same trace in the configured UI; only http and https. */
function elsewhere(template, id) {
  if (!template) return "";
  const found = template.includes("{trace_id}") ? template.replaceAll("{trace_id}", id) : `${template.replace(/\/$/, "")}/trace/${id}`;
  return /^https?:\/\//.test(found) ? found : "";
}
