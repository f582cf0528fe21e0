// What a hijack has changed, measured: before, after, and whether that is a difference.

import { el, tag } from "../dom.js";
import { count, duration, plain, share } from "../units.js";

const KIND = { faster: "good", fewer: "good", slower: "bad", more: "bad" };

function side(title, row) {
  return el("tr", {}, el("th", { scope: "row" }, title), ...[count(row.call_count), row.call_count ? share(row.error_rate) : "–", row.hit_rate === null ? "–" : share(row.hit_rate), duration(row.avg_time), duration(row.p95), duration(row.p99)].map((text) => el("td", { class: "num" }, text)));
}

function row(one, label) {
  const time = one.change.time;
  const said = time.relative === null ? "" : ` by ${duration(Math.abs(time.difference))} a call (${share(time.relative)})`;
  return el("div", { class: "impact" },
    el("p", {}, label ? el("span", { class: "mono" }, `${plain(label)} `) : null, tag(time.verdict, KIND[time.verdict] || ""), said, time.why ? el("span", { class: "dim" }, ` ${plain(time.why)}`) : null,
      one.change.saved_time > 0 ? ` · ${duration(one.change.saved_time)} saved so far` : "", one.change.errors.verdict === "more" ? [" ", tag("more errors", "bad")] : null,
      one.beside.length ? el("span", { class: "dim" }, ` · beside ${one.beside.join(", ")}`) : null),
    el("div", { class: "grid" }, el("table", { "aria-label": `Before and after on ${plain([one.function, label].filter(Boolean).join(" in "))}` },
      el("thead", {}, el("tr", {}, ["", "Calls", "Errors", "Hits", "Average", "p95", "p99"].map((text, index) => (index ? el("th", { scope: "col", class: "num" }, text) : el("td"))))),
      el("tbody", {}, side("before", one.before), side("after", one.after)))));
}

/** Returns what is known of one hijack's effect, on one function or on all; null when nothing was measured. */
export function effect(told, only = "") {
  const version = told?.versions.at(-1);
  const rows = (version?.functions || []).filter((one) => !only || one.function === only);
  const services = new Set(rows.map((one) => one.service)).size > 1;
  const label = (one) => [...(!only && rows.length > 1 ? [one.function] : []), ...(services ? [one.service] : [])].join(" in ");
  return rows.length ? el("div", {}, rows.slice(0, 20).map((one) => row(one, label(one)))) : null;
}

/** In few words, for a line of a list. */
export function effectWord(told) {
  const version = told?.versions.at(-1), rows = version?.functions || [];
  if (!rows.length) return ["not measured yet", ""];
  const sum = version.sum, looked = sum.after.hits + sum.after.misses;
  const hits = looked ? `, ${share(sum.after.hits / looked)} hits` : "";
  const words = new Set(rows.map((one) => one.change.time.verdict));
  const word = ["slower", "faster", "same", "unclear"].find((one) => words.has(one)) || [...words][0];
  const relative = rows.length === 1 ? rows[0].change.time.relative : null;
  return [`${word}${relative === null ? "" : ` ${share(relative)}`}${hits}`, KIND[word] || ""];
}
