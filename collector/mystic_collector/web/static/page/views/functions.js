// Every function there is, with its figures; as many as there are.

import { ask, name } from "../api.js";
import { choice, el, field, painted, put, say, tag } from "../dom.js";
import { grid } from "../grid.js";
import { ago, count, duration, exact, plain } from "../units.js";

const FIRST = 100; // functions that are shown before all others have arrived

let last = []; // what was shown last time, or will be first, until the collector has answered

const brief = (signal, limit) => ask("api/metrics", { query: { brief: true, limit }, signal });
const inForce = (signal) => ask("api/hijacked", { signal });

/** Asks for the first rows before anybody opens the page, so that it opens with them. */
export async function prepare() {
  if (last.length) return; // it is the one that was opened first
  const told = await Promise.all([brief(undefined, FIRST), inForce()]);
  if (!last.length) last = joined(...told);
}

/** Every function with the strategies that are in force on it. */
function joined(metrics, hijacked) {
  const strategies = new Map();
  for (const one of hijacked.hijacked_functions) {
    const key = `${one.service}\n${one.name}`;
    strategies.set(key, [...new Set([...(strategies.get(key) || []), ...one.in_force])]);
  }
  for (const row of metrics.functions) {
    row.low = row.name.toLowerCase();
    row.strategies = strategies.get(`${row.service}\n${row.name}`) || [];
  }
  return metrics.functions;
}

export function functions(main, { signal, query }) {
  const text = el("input", { type: "search", value: query.get("q") || "", placeholder: "part of a name", spellcheck: "false", oninput: () => filter() });
  const service = choice([["", "all services"]], "", { onchange: () => filter() });
  const which = choice([["called", "called"], ["hijacked", "hijacked"], ["", "all"]], query.get("which") ?? "called", { onchange: () => filter() });
  const told = el("p", { class: "count", role: "status" });
  let rows = last;
  const table = grid([
    { title: "Function", kind: "name", sort: (row) => row.name, text: (row) => row.name, href: (row) => `#/functions/${name(row.name)}`, hint: (row) => row.name },
    { title: "Service", kind: "dim opt", sort: (row) => row.service, text: (row) => row.service },
    { title: "Hijacked by", kind: "opt", sort: (row) => row.strategies.join(), text: (row) => row.strategies.join(", "), draw: (row) => el("span", {}, row.strategies.map((one) => tag(one, "accent"))) },
    { title: "Calls", kind: "num", sort: (row) => row.call_count, text: (row) => count(row.call_count), hint: (row) => exact(row.call_count) },
    { title: "Errors", kind: "num", sort: (row) => row.exceptions, text: (row) => (row.exceptions ? count(row.exceptions) : ""), draw: (row) => (row.exceptions ? tag(count(row.exceptions), "bad") : "") },
    { title: "Average", kind: "num", sort: (row) => row.avg_time, text: (row) => (row.call_count ? duration(row.avg_time) : "") },
    { title: "p95", kind: "num", sort: (row) => row.p95, text: (row) => (row.call_count ? duration(row.p95) : "") },
    { title: "Longest", kind: "num opt", sort: (row) => row.max_time, text: (row) => (row.call_count ? duration(row.max_time) : "") },
    { title: "In all", kind: "num", sort: (row) => row.total_time, text: (row) => (row.call_count ? duration(row.total_time) : "") },
    { title: "Last called", kind: "num opt", sort: (row) => row.last_called || 0, text: (row) => (row.last_called ? ago(row.last_called) : "") },
  ], { label: "Functions", sort: "In all", tall: true, empty: "No function matches." });
  main.append(el("h1", {}, "Functions"), el("div", { class: "filters" }, field("Name", text), field("Service", service), field("Show", which), told), table.node);

  function filter() {
    const part = text.value.trim().toLowerCase();
    const kept = rows.filter((row) => (!part || row.low.includes(part)) && (!service.value || row.service === service.value)
      && (which.value === "called" ? row.call_count : which.value === "hijacked" ? row.strategies.length : true));
    table.show(kept);
    say(told, `${exact(kept.length)} of ${exact(rows.length)}`);
  }

  async function refresh() {
    const hijacked = inForce(signal);
    if (!rows.length) {
      const [first, known] = await Promise.all([brief(signal, FIRST), hijacked]);
      arrange(joined(first, known));
      if (first.total <= FIRST) return; // these are all
      await painted();
    }
    arrange(joined(...await Promise.all([brief(signal), hijacked])));
  }

  function arrange(found) {
    last = rows = found;
    const names = [...new Set(rows.map((row) => row.service))].sort();
    if (names.join() !== [...service.options].slice(1).map((one) => one.value).join()) {
      const before = service.value;
      put(service, el("option", { value: "" }, "all services"), names.map((one) => el("option", { value: one, selected: one === before }, plain(one))));
    }
    filter();
  }
  if (rows.length) arrange(rows);
  return { refresh, close: table.close };
}
