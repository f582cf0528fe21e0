// What runs, how much it does, where the time goes, and what Mystic itself costs and loses.

import { ask, name } from "../api.js";
import { histogram, lines } from "../chart.js";
import { choice, el, empty, figure, put, section, tag } from "../dom.js";
import { grid } from "../grid.js";
import { ago, bytes, count, duration, exact, now, plain, rate, share } from "../units.js";

const SLOWEST = 12;
const YOUNG = 4; // seconds; processes have not yet told what they did in an interval that has just begun
const SPANS = [["900", "15 minutes"], ["3600", "1 hour"], ["21600", "6 hours"]];

export function overview(main, { signal, again }) {
  const figures = Object.fromEntries(["Calls", "Errors", "Functions", "Processes", "Hijacks", "Overhead", "Dropped"].map((one) => [one, figure(one)]));
  const chart = lines("Calls per second", [
    { name: "calls/s", colour: "--accent", format: rate, area: true },
    { name: "cache hits/s", colour: "--good", format: rate },
    { name: "errors/s", colour: "--bad", format: rate },
  ]);
  const period = choice(SPANS, "900", { "aria-label": "Period", onchange: again });
  const service = choice([["", "all services"]], "", { "aria-label": "Service", onchange: again });
  const sort = choice([["total_time", "time in all"], ["avg_time", "average"], ["max_time", "longest call"], ["exceptions", "errors"]], "total_time", { "aria-label": "Slowest by", onchange: again });
  const slowest = grid([
    { title: "Function", kind: "name", text: (row) => row.name, href: (row) => `#/functions/${name(row.name)}`, hint: (row) => row.name },
    { title: "Service", kind: "dim opt", text: (row) => row.service },
    { title: "Calls", kind: "num", text: (row) => count(row.call_count), hint: (row) => exact(row.call_count) },
    { title: "Average", kind: "num", text: (row) => duration(row.avg_time) },
    { title: "p95", kind: "num", text: (row) => duration(row.p95) },
    { title: "Longest", kind: "num opt", text: (row) => duration(row.max_time) },
    { title: "How long calls last", kind: "bars opt", text: (row) => JSON.stringify(row.histogram || []), draw: (row) => histogram(row.histogram || [], { width: 120, height: 20, labels: false }) },
    { title: "Errors", kind: "num", text: (row) => (row.exceptions ? count(row.exceptions) : ""), draw: (row) => (row.exceptions ? tag(count(row.exceptions), "bad") : "") },
    { title: "In all", kind: "num", text: (row) => duration(row.total_time) },
  ], { label: "Slowest functions", empty: "No function was called yet." });
  const processes = grid([
    { title: "Service", kind: "name", text: (row) => row.service },
    { title: "Host or pod", kind: "cut opt", text: (row) => row.status.host || "", hint: (row) => row.status.host || "" },
    { title: "PID", kind: "num", text: (row) => String(row.pid || ""), hint: (row) => [row.status.program, row.status.python && `Python ${row.status.python}`].filter(Boolean).join(", ") },
    { title: "Stage", text: (row) => row.stage },
    { title: "Functions", kind: "num", text: (row) => exact(row.functions.attached || 0), hint: (row) => Object.entries(row.functions).map(([state, many]) => `${many} ${state}`).join(", ") },
    { title: "Overhead", kind: "num", text: (row) => (row.overhead === null ? "–" : share(row.overhead)), hint: () => "of one core, measured by the process itself" },
    { title: "Dropped", kind: "num opt", text: (row) => count(sum(row.dropped)) },
    { title: "Link", text: (row) => (row.status.off ? "off" : row.connected ? "connected" : `gone, ${ago(row.last_seen)}`), draw: (row) => (row.status.off ? tag("off", "warn") : row.connected ? tag("connected", "good") : tag(`gone, ${ago(row.last_seen)}`, "bad")) },
  ], { label: "Processes", empty: "No process has reported yet." });
  const warnings = el("ul", { class: "plain" });
  const drops = el("dl", { class: "facts" });
  const chartPart = section("Calls", "", period, service, chart.node);
  const slowPart = section("Slowest functions", "", sort, slowest.node);
  const processPart = section("Processes", "", processes.node, warnings);
  const hint = el("div");
  main.append(el("h1", { class: "unseen" }, "Overview"), el("dl", { class: "figures" }, ...Object.values(figures)), hint, chartPart, slowPart,
    el("div", { class: "columns" }, processPart, section("What did not arrive", "", drops)));

  async function refresh() {
    const [status, metrics, rates] = await Promise.all([
      shown(ask("api/status", { signal }), running),
      shown(ask("api/metrics", { query: { limit: SLOWEST, sort: sort.value, histograms: true, service: service.value }, signal }), (told) => slowest.show(told.functions.filter((row) => row.call_count))),
      shown(ask("api/analysis/rates", { query: { since: period.value, service: service.value }, signal }), ({ rates }) => drawn(rates)),
    ]);
    numbers(status, metrics, rates.rates);
  }

  const shown = (promise, show) => promise.then((told) => { show(told); return told; });

  function drawn(all) {
    const rates = now() - all.at(-1).at < YOUNG ? all.slice(0, -1) : all;
    chart.show([rates.map((one) => one.at), ...["calls_per_second", "hits_per_second", "errors_per_second"].map((key) => rates.map((one) => one[key]))]);
  }

  function running(status) {
    served(status.services);
    processes.show(status.processes.filter((one) => !service.value || one.service === service.value));
    put(warnings, status.processes.flatMap((one) => [...(one.status.warnings || []), ...(one.status.faults || [])].slice(0, 5).map((text) => el("li", {}, tag("warning", "warn"), " ", `${plain(one.service)} (${one.pid}): ${plain(typeof text === "string" ? text : `${text.where}: ${text.error}${text.count > 1 ? `, ${text.count} times` : ""}`)}`))));
    put(hint, status.processes.length ? null : empty("No application has reported yet. Start one with ", el("code", {}, "mystic run -- python app.py"), "."));
    lost(status);
  }

  function served(names) {
    service.hidden = names.length < 2;
    if (names.join() === [...service.options].slice(1).map((one) => one.value).join()) return;
    const before = service.value;
    put(service, el("option", { value: "" }, "all services"), names.map((one) => el("option", { value: one, selected: one === before }, plain(one))));
  }

  function numbers(status, metrics, rates) {
    const last = rates.slice(-7, -1), mean = (key) => last.reduce((all, one) => all + one[key], 0) / (last.length || 1);
    const calls = metrics.summary.total_calls, errors = metrics.summary.total_exceptions, dropped = losses(status);
    figures.Calls.show(`${rate(mean("calls_per_second"))}/s`, `${count(calls)} in all`);
    figures.Errors.show(`${rate(mean("errors_per_second"))}/s`, `${count(errors)} in all`, errors ? "bad" : "");
    figures.Functions.show(count(metrics.summary.total_functions), `${count(metrics.summary.called_functions)} called`);
    figures.Processes.show(String(status.processes.filter((one) => one.connected).length), `${status.services.length} service${status.services.length === 1 ? "" : "s"}`);
    figures.Hijacks.show(String(status.hijacks.count), `version ${status.hijacks.version}`);
    figures.Overhead.show(share(status.overhead.mean_share_of_core), "of one core");
    figures.Dropped.show(count(dropped), dropped ? "see below" : "nothing was lost", dropped ? "bad" : "");
  }

  function lost(status) {
    const rows = [
      ["Agents dropped", Object.entries(status.dropped).filter(([, many]) => many).map(([kind, many]) => `${exact(many)} ${kind}`).join(", ") || "nothing"],
      ["Collector refused", status.ingest.refused ? exact(status.ingest.refused) : "nothing"],
      ["Collector lost", status.ingest.lost ? exact(status.ingest.lost) : "nothing"],
      ["Waiting to be written", exact(status.ingest.waiting)],
      ["Kept", `${count(status.store.spans)} spans, ${count(status.store.logs)} log records`],
      ["Telemetry on disk", `${bytes(status.store.bytes)} of ${bytes(status.store.bytes_kept_at_most)}`],
      ...(status.store.functions_overflowing ? [["Function names", "more than are kept; the rest share one name"]] : []),
    ];
    put(drops, rows.flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)]));
  }

  return { refresh, close() { chart.close(); slowest.close(); processes.close(); } };
}

const sum = (counts) => Object.values(counts || {}).reduce((all, one) => all + one, 0);
const losses = (status) => sum(status.dropped) + status.ingest.refused + status.ingest.lost;
