// Single calls. All of it was captured in an application: foreign text, shown as text and marked as what it is.

import { name } from "./api.js";
import { el, tag } from "./dom.js";
import { clock, duration, plain } from "./units.js";

const link = (record) => (record.trace_id ? el("a", { href: `#/traces/${record.trace_id}` }, "trace") : null);

export function snapshot(record) {
  const facts = [
    ...Object.entries(record.arguments || {}).map(([key, value]) => [key, value]),
    ...(record.result !== null && record.result !== undefined ? [["returned", record.result]] : []),
    ...(record.exception ? [["raised", `${record.exception.type || ""} ${record.exception.message || ""}`]] : []),
  ];
  const frames = (record.exception?.frames || []).flatMap((frame) => [
    el("li", {}, `${plain(frame.function)} · ${plain(frame.file)}:${frame.line}`, Object.keys(frame.locals || {}).length ? el("dl", { class: "facts mono" }, Object.entries(frame.locals).flatMap(([key, value]) => [el("dt", {}, plain(key)), el("dd", {}, plain(value))])) : null),
  ]);
  const callers = (record.caller || []).map((frame) => el("li", {}, `${plain(frame.function)} · ${plain(frame.file)}:${frame.line}`));
  return el("article", { class: "sample" },
    el("header", {}, el("time", {}, clock(record.time, true)), " ", tag(record.outcome || "captured", record.outcome === "raised" ? "bad" : ""), " ", duration(record.duration), " ", el("span", { class: "dim" }, plain(record.task || record.thread || "")), " ", link(record)),
    el("dl", { class: "facts mono" }, facts.flatMap(([key, value]) => [el("dt", {}, plain(key)), el("dd", {}, plain(typeof value === "string" ? value : JSON.stringify(value)))])),
    record.text ? el("pre", {}, plain(record.text)) : null,
    frames.length ? el("details", {}, el("summary", {}, "Where it was raised"), el("ul", { class: "plain mono" }, frames)) : null,
    callers.length ? el("details", {}, el("summary", {}, "Called by"), el("ul", { class: "plain mono" }, callers)) : null);
}

export function logLine(record) {
  return el("div", { class: "logline" }, el("time", {}, clock(record.time, true)), " ", tag(record.level, record.severity >= 17 ? "bad" : record.severity >= 13 ? "warn" : ""), " ",
    record.function ? el("a", { class: "dim", href: `#/functions/${name(record.function)}` }, plain(record.function)) : null, " ", el("span", { class: "text" }, plain(record.message)), " ", link(record));
}
