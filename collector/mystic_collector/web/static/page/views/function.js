// One function: what it is, what it costs, who calls it, what was decided about its calls, and what can be done to it.

import { ask, name as path, once, post } from "../api.js";
import { logLine, snapshot } from "../captured.js";
import { change, release } from "../change.js";
import { histogram, lines } from "../chart.js";
import { button, choice, el, empty, figure, painted, put, section, tag } from "../dom.js";
import { grid } from "../grid.js";
import { ago, bytes, count, duration, exact, now, plain, rate, share, span, until } from "../units.js";
import { effect } from "./impact.js";

const SPANS = [["900", "15 minutes"], ["3600", "1 hour"], ["86400", "1 day"]];

export function fleetFunction(main, { name, signal, query, again }) {
  const service = query.get("service") || "";
  const head = el("div", { class: "title" }), state = el("p", { class: "dim" }), actions = el("div", { class: "actions" });
  const figures = Object.fromEntries(["Calls", "Errors", "Average", "p50", "p95", "p99", "Longest", "In all"].map((one) => [one, figure(one)]));
  const period = choice(SPANS, "900", { "aria-label": "Period", onchange: again });
  const chart = lines("Latency", [{ name: "p95", colour: "--accent", format: duration }, { name: "average", colour: "--good", format: duration }], { height: 160 });
  const calls = lines("Calls per second", [{ name: "calls/s", colour: "--accent", format: rate, area: true }, { name: "errors/s", colour: "--bad", format: rate }, { name: "hits/s", colour: "--good", format: rate }], { height: 120 });
  const parts = Object.fromEntries(["bars", "hijacks", "decisions", "callers", "callees", "cache", "samples", "logs", "source", "where"].map((one) => [one, el("div")]));
  const decisions = grid([
    { title: "Strategy", text: (row) => row.strategy }, { title: "Decision", text: (row) => row.decision },
    { title: "Why", text: (row) => row.reason || "" }, { title: "Calls", kind: "num", text: (row) => exact(row.count) },
  ], { label: "Decisions", empty: "No strategy has decided anything yet." });
  const related = (title) => grid([
    { title, kind: "name", text: (row) => row.function || "(outside of what is observed)", href: (row) => (row.function ? `#/functions/${path(row.function)}` : `#/functions/${path(name)}`), hint: (row) => row.function },
    { title: "Calls", kind: "num", text: (row) => exact(row.count) },
    { title: "Time", kind: "num", text: (row) => duration(row.total) },
    { title: "Share", kind: "share", text: (row) => share(row.share), draw: (row) => el("span", { class: "meter", style: { "--part": `${Math.min(100, row.share * 100)}%` } }, share(row.share)) },
  ], { label: title, empty: `No ${title.toLowerCase()} among the sampled calls.` });
  const callers = related("Caller"), callees = related("Callee");
  const links = el("p", { class: "dim" });
  const relationPart = section("Callers and callees", "", links, el("div", { class: "columns even" }, callers.node, callees.node));
  const hijackPart = section("In force", "", actions, parts.hijacks);
  main.append(head, state, el("dl", { class: "figures" }, ...Object.values(figures)), hijackPart,
    el("div", { class: "columns" },
      section("Latency over time", "", period, chart.node, calls.node),
      section("How long calls last", "every column is twice as long as the one before", parts.bars)),
    relationPart,
    el("div", { class: "columns even" }, section("Decisions", "", decisions.node), section("Worth a cache?", "", parts.cache)),
    section("Captured calls", "foreign text from the application; secrets are redacted there", el("div", { class: "captured", tabindex: "0", role: "region", "aria-label": "Captured calls" }, parts.samples, parts.logs)),
    el("div", { class: "columns" }, section("Source", "", parts.source), section("Where it runs", "", parts.where)));
  put(head, el("h1", { class: "mono" }, plain(name)));
  const sampled = (more) => `#/traces?${[`function=${encodeURIComponent(name)}`, ...(service ? [`service=${encodeURIComponent(service)}`] : []), ...(more ? [more] : [])].join("&")}`;
  let source = null, buttons = false;

  async function refresh() {
    const soft = (promise) => promise.catch((error) => { if (error.name === "AbortError") throw error; return { refused: error.text || error.message }; });
    const told = soft(ask(`api/metrics/${path(name)}`, { query: { since: period.value, service }, signal })).then(numbers);
    await Promise.race([told, painted()]); // the figures first: ten requests at once keep the page from its first frame
    source ||= soft(post("api/functions/inspect", { function: name }, { signal }));
    const asked = [
      [ask("api/analysis/relations", { query: { function: name, service }, signal }), relate],
      [ask(`api/analysis/cacheability/${path(name)}`, { query: { service }, signal }), worth],
      [Promise.all([post("api/state/snapshots", { function: name, limit: 10 }, { signal }), post("api/logs", { function: name, limit: 30 }, { signal })]), captured],
      [source, written],
    ];
    await Promise.all([
      told, offers(),
      ...asked.map(([promise, show]) => soft(promise).then(show)),
      Promise.all([ask("api/hijacks", { signal }), ask("api/analysis/impact", { query: { function: name, limit: 20 }, signal })]).then(([set, effects]) => inForce(set, effects.impacts)),
      ask("api/functions", { query: { function: name, service }, signal }).then((live) => where(live.functions)),
    ]);
  }

  function captured(told) {
    const [snapshots, logs] = told.refused ? [[], []] : [told[0].snapshots, told[1].logs];
    put(parts.samples, snapshots.map(snapshot));
    put(parts.logs, logs.map(logLine), snapshots.length + logs.length ? null : told.refused ? empty(told.refused) : empty("Nothing is captured unless asked for: add ", el("code", {}, "snapshot"), " or ", el("code", {}, "log"), "."));
  }

  function numbers(metric) {
    if (metric.refused) { put(state, metric.refused); return; }
    const others = metric.services.map((one) => one.service).filter((one) => one !== metric.service);
    put(state, plain(metric.service), others.length ? [" (also in ", ...others.flatMap((one, index) => [index ? ", " : "", el("a", { href: `#/functions/${path(name)}?service=${encodeURIComponent(one)}` }, plain(one))]), ")"] : null,
      service ? [" (", el("a", { href: `#/functions/${path(name)}` }, "in all services"), ")"] : null, " · ", plain(metric.processes_now.map((one) => one.summary).join("; ") || "no process runs it now"), " · last called ", ago(metric.last_called));
    figures.Calls.show(count(metric.call_count), metric.call_count === metric.timed_count ? "" : `${count(metric.timed_count)} timed`);
    figures.Errors.show(count(metric.exceptions), metric.call_count ? share(metric.exceptions / metric.call_count) : "", metric.exceptions ? "bad" : "");
    for (const [title, key] of [["Average", "avg_time"], ["p50", "p50"], ["p95", "p95"], ["p99", "p99"], ["Longest", "max_time"], ["In all", "total_time"]]) figures[title].show(duration(metric[key]));
    const past = metric.history;
    const seconds = (one) => Math.max(1, Math.min(one.seconds, now() - one.at)), shown = [now() - Number(period.value), now()];
    const drawn = past.flatMap((one, index) => [one, ...idle(one, past[index + 1]?.at ?? now())]);
    const moments = drawn.map((one) => one.at);
    chart.show([moments, ...["p95", "avg_time"].map((key) => drawn.map((one) => (one.call_count ? one[key] : null)))], shown);
    calls.show([moments, ...["call_count", "exceptions", "cache_hits"].map((key) => drawn.map((one) => one[key] / seconds(one)))], shown);
    put(parts.bars, metric.histogram.length ? histogram(metric.histogram) : empty("No call was timed yet."));
    decisions.show(metric.decisions);
  }

  function inForce(set, impacts) {
    const hijacks = set.hijacks.filter((one) => one.progress.functions.includes(name) || one.target === name || one.progress.failures.some((bad) => bad.function === name));
    put(parts.hijacks, hijacks.map((one) => el("article", { class: "hijack" },
      el("header", {}, el("a", { href: `#/hijacks/${one.id}`, class: "mono" }, one.id), " ", strategiesOf(one).map((text) => tag(text, "accent")), " ",
        el("span", {}, plain(one.progress.summary)), " · ", plain(one.owner || "nobody"), one.reason ? `: ${plain(one.reason)}` : "", " · ", until(one.expires_at),
        el("span", { class: "row end" }, button("Change", () => change({ known: one, done: again })), button("Release", () => release(one, again)))),
      one.progress.failures.filter((bad) => bad.function === name).slice(0, 5).map((bad) => el("p", { class: "failure" }, `process ${bad.pid ?? ""}: ${plain(bad.reason)}`)),
      one.progress.notes.filter((said) => said.function === name).slice(0, 5).map((said) => el("p", { class: "dim" }, `process ${said.pid}: ${plain(said.note)}`)),
      effect(impacts.find((told) => told.id === one.id), name))), hijacks.length ? null : empty("It runs as it was written."));
  }

  async function offers() {
    if (buttons) return;
    buttons = true;
    const { strategies } = await once("api/strategies");
    put(actions, strategies.filter((one) => one.allowed).map((one) => button(one.strategy.replaceAll("_", " "), () => change({ target: name, service: service || "*", strategy: one.strategy, done: again }), { "aria-label": `Hijack with ${one.strategy}`, class: one.observing ? "quiet" : "" })));
  }

  function relate(told) {
    relationPart.note(told.refused ? told.refused : `from ${exact(told.calls)} calls in ${exact(told.traces)} sampled traces; ${share(told.total ? told.self / told.total : 0)} of the time is its own`);
    put(links, told.calls ? [el("a", { href: sampled() }, "Its traces and flame graph"), " · ", el("a", { href: sampled("errors=true") }, "those with errors")] : null);
    callers.show(told.callers || []);
    callees.show(told.callees || []);
  }

  const worth = (told) => put(parts.cache, told.refused ? empty(told.refused) : verdict(told));

  function verdict(told) {
    const best = told.predictions.find((one) => one.ttl === told.ttl);
    return [
      el("p", {}, tag(told.verdict, { yes: "good", no: "bad" }[told.verdict] || ""), " ", told.reasons.map(plain).join("; ")),
      told.notes.length ? el("p", { class: "dim" }, told.notes.map(plain).join("; ")) : null,
      told.predictions.some((one) => one.hit_rate > 0) ? predictions(told) : null,
      told.verdict === "yes" ? el("p", {}, button(`Cache it for ${span(told.ttl)}`, () => change({ target: name, service: service || "*", strategy: "cache", options: { ttl: told.ttl }, done: again }), { class: "main" }), " ", best ? `about ${bytes(best.bytes)}` : "") : null,
    ];
  }

  function predictions(told) {
    return el("div", { class: "grid" }, el("table", { "aria-label": "Predicted for each time to live" }, el("thead", {}, el("tr", {}, ["ttl", "hits", "saved an hour", "memory"].map((one, index) => el("th", { scope: "col", class: index ? "num" : "" }, one)))),
      el("tbody", {}, told.predictions.map((one) => el("tr", {}, el("td", {}, span(one.ttl)), ...[share(one.hit_rate, 3), duration(one.seconds_saved_per_hour), bytes(one.bytes)].map((text) => el("td", { class: "num" }, text)))))));
  }

  function written(told) {
    if (told.refused) { put(parts.source, empty(told.refused)); return; }
    if (parts.source.childElementCount) return;
    const numbered = el("pre", { class: "source", tabindex: "0", "aria-label": "Source" }, told.source.split("\n").map((text, index) => el("span", { class: "codeline", "data-line": told.line + index }, `${plain(text)}\n`)));
    put(parts.source, el("p", { class: "mono" }, plain(told.signature)), el("p", { class: "dim mono" }, `${plain(told.file)}:${told.line}`), numbered,
      told.dependencies.calls.length ? el("p", { class: "dim" }, "calls ", el("span", { class: "mono" }, told.dependencies.calls.map(plain).join(", "))) : null);
  }

  function where(rows) {
    put(parts.where, rows.flatMap((row) => row.instances.map((one) => el("p", {}, tag(one.state, one.state === "attached" ? "good" : one.state === "failed" ? "bad" : ""), ` ${plain(row.service)} (${[one.host, one.pid].filter(Boolean).map(plain).join(", ")}) `, el("span", { class: "dim" }, one.strategies.join(", ")),
      one.reason ? el("span", {}, `: ${plain(one.reason)}`) : null, one.references.length ? el("span", { class: "dim" }, ` not reached: ${one.references.map((ref) => plain(typeof ref === "string" ? ref : JSON.stringify(ref))).join(", ")}`) : null))), rows.length ? null : empty("No living process has it."));
  }

  return { refresh, close() { for (const one of [chart, calls, decisions, callers, callees]) one.close(); } };
}

/** What lies between an interval with calls and the next: nothing was called, so that a line must not join them. */
function idle(one, next) {
  const end = one.at + one.seconds, nothing = { call_count: 0, exceptions: 0, cache_hits: 0, seconds: one.seconds };
  if (next < end + one.seconds) return [];
  return [{ ...nothing, at: end }, ...(next > end + 2 * one.seconds ? [{ ...nothing, at: next - one.seconds }] : [])];
}

export const strategiesOf = (hijack) => Object.entries(hijack.stages).flatMap(([stage, specs]) => specs.map((spec) => (stage === "*" ? "" : `${stage}: `) + Object.keys(spec)[0]));
