// Sampled calls: found by service, function, error and duration; and where their time goes.

import { ask } from "../api.js";
import { choice, el, empty, field, put, section, tag } from "../dom.js";
import { flame } from "../flame.js";
import { more } from "../more.js";
import { suggesting } from "../suggest.js";
import { grid } from "../grid.js";
import { clock, date, duration, exact, now, plain } from "../units.js";

const PERIODS = [["", "everything kept"], ["300", "5 minutes"], ["900", "15 minutes"], ["3600", "1 hour"], ["86400", "1 day"]];

export function traces(main, { signal: left, query, again }) {
  const input = (key, attributes) => el("input", { value: query.get(key) || "", spellcheck: "false", onchange: search, ...attributes });
  const wanted = {
    service: choice([["", "any"]], "", { onchange: search }),
    function: suggesting(input("function", { type: "text", placeholder: "module:name", class: "mono" }), "functions"),
    min_duration: input("min_duration", { type: "text", inputmode: "decimal", placeholder: "0.25" }),
    errors: el("input", { type: "checkbox", checked: query.get("errors") === "true", onchange: search }),
    period: choice(PERIODS, query.get("period") || "", { onchange: search }),
  };
  const wrong = el("p", { class: "failure", role: "alert", hidden: true });
  const list = grid([
    { title: "When", text: (row) => clock(row.start), hint: (row) => date(row.start) },
    { title: "Began with", kind: "name", text: (row) => row.name, href: (row) => `#/traces/${row.trace_id}`, hint: (row) => row.function },
    { title: "Service", kind: "dim opt", text: (row) => row.service },
    { title: "Duration", kind: "num", sort: (row) => row.duration, text: (row) => duration(row.duration) },
    { title: "Compared", unseen: true, kind: "bars opt", text: (row) => row.part, draw: (row) => el("span", { class: "meter", style: { "--part": `${row.part}%` } }) },
    { title: "Spans", kind: "num", sort: (row) => row.span_count, text: (row) => exact(row.span_count) },
    { title: "Errors", kind: "num", sort: (row) => row.errors, text: (row) => (row.errors ? String(row.errors) : ""), draw: (row) => (row.errors ? tag(String(row.errors), "bad") : "") },
  ], { label: "Traces", empty: "No trace matches." });
  const graph = flame(), graphEmpty = el("div");
  const further = more([50, 200, 500], again);
  const listPart = section("Newest", "", list.node, further.node), graphPart = section("Where the time goes", "", graph.node, graphEmpty);
  const form = el("form", { class: "filters", role: "search", onsubmit: (event) => { event.preventDefault(); search(); } },
    field("Service", wanted.service), field("Function", wanted.function), field("Longer than, seconds", wanted.min_duration), field("Began within", wanted.period), field("With errors only", wanted.errors));
  main.append(el("h1", {}, "Traces"), form, wrong, graphPart, listPart);
  let drawn = null, head, asking = null; // of what the flame graph is, and the newest trace in it

  const service = () => (wanted.service.options.length > 1 ? wanted.service.value : query.get("service") || "");

  function search() {
    const asked = { service: service(), function: wanted.function.value.trim(), min_duration: wanted.min_duration.value.trim(), errors: wanted.errors.checked ? "true" : "", period: wanted.period.value };
    const text = new URLSearchParams(Object.entries(asked).filter(([, value]) => value)).toString();
    history.replaceState(null, "", `#/traces${text ? `?${text}` : ""}`);
    asking?.abort(); // what was wanted before is no longer
    list.node.setAttribute("aria-busy", "true");
    again();
  }

  async function refresh() {
    asking = new AbortController();
    const signal = AbortSignal.any([left, asking.signal]);
    const status = ask("api/status", { signal });
    const asked = {
      service: service(), function: wanted.function.value.trim(), min_duration: wanted.min_duration.value.trim(),
      errors: wanted.errors.checked ? "true" : "", since: wanted.period.value ? now() - Number(wanted.period.value) : "",
    };
    const wish = Object.values({ ...asked, since: wanted.period.value }).join("\n"), fresh = wish !== drawn;
    try {
      const [found, { services, store }] = await Promise.all([ask("api/traces", { query: { ...asked, limit: further.limit }, signal }), status]);
      const newest = found.traces[0]?.trace_id;
      const tree = fresh || (!graph.looking && newest !== head) ? graphed(asked, signal) : null; // on its way while the list is written
      tree?.catch(() => {}); // what is wrong with it is said when it is its turn
      if (wanted.service.options.length === 1) for (const one of services) wanted.service.append(el("option", { value: one, selected: one === query.get("service") }, plain(one)));
      wrong.hidden = true;
      list.node.removeAttribute("aria-busy");
      const longest = Math.max(...found.traces.map((one) => one.duration), 1e-9);
      list.show(found.traces.map((one) => ({ ...one, part: ((100 * one.duration) / longest).toFixed(1) })));
      further.show(found.count);
      listPart.note(`${exact(found.count)} traces; ${exact(store.spans)} spans are kept in all`);
      if (tree) grow(await tree);
      [drawn, head] = [wish, newest];
    } catch (error) {
      if (error.status !== 422) throw error;
      list.node.removeAttribute("aria-busy");
      put(wrong, plain(`${error.field}: ${error.remedy}`));
      wrong.hidden = false;
    }
  }

  const graphed = (asked, signal) => ask("api/analysis/flame", { query: { ...asked, limit: 100 }, signal });

  function grow(tree) {
    graph.show(tree);
    put(graphEmpty, tree.traces ? null : empty("No sampled call in that period."));
    graphPart.note(`mean of ${exact(tree.traces)} sampled traces; a box looks closer`);
  }
  return { refresh, close: list.close };
}
