// Everything that is in force: who, why, until when, how far, to what effect; and the way back.

import { ask, name as path, once, post } from "../api.js";
import { change, release, undoFirst } from "../change.js";
import { confirm, dialog, toast } from "../dialog.js";
import { drawnChanges, drawnText } from "../difference.js";
import { button, el, empty, put, section, tag } from "../dom.js";
import { grid } from "../grid.js";
import { more } from "../more.js";
import { ago, date, plain, span, until } from "../units.js";
import { strategiesOf } from "./function.js";
import { effect, effectWord } from "./impact.js";

export function hijacks(main, { name, signal, again }) {
  const chosen = el("div"), stale = el("div"), history = el("div", { class: "history" });
  const buttons = el("div", { class: "actions" });

  const list = grid([
    { title: "Target", kind: "name", sort: (row) => row.target, text: (row) => row.target, href: (row) => `#/hijacks/${row.id}`, hint: (row) => row.target },
    { title: "Strategies", text: (row) => strategiesOf(row).join(", "), draw: (row) => el("span", {}, strategiesOf(row).map((one) => tag(one, "accent"))) },
    { title: "Owner", kind: "opt", sort: (row) => row.owner, text: (row) => row.owner },
    { title: "Reason", kind: "cut opt", text: (row) => row.reason, hint: (row) => row.reason },
    { title: "Since", kind: "num opt", sort: (row) => row.created_at, text: (row) => ago(row.created_at), hint: (row) => date(row.created_at) },
    { title: "Ends", kind: "num", sort: (row) => row.expires_at ?? Infinity, text: (row) => until(row.expires_at) + (row.ends_soon ? "!" : ""), draw: (row) => (row.ends_soon ? tag(until(row.expires_at), "warn") : until(row.expires_at)) },
    { title: "Attached", kind: "num", sort: (row) => row.progress.attached, text: (row) => (row.off ? "off" : `${row.progress.attached} of ${row.progress.processes}`), draw: (row) => reach(row), hint: (row) => row.progress.summary },
    { title: "Effect", text: (row) => effectWord(row.impact).join(), draw: (row) => tag(...effectWord(row.impact)) },
    { title: "Actions", unseen: true, kind: "num", text: (row) => row.id + row.version, draw: (row) => button("Release", () => release(row, again), { "aria-label": `Release ${plain(row.target)}`, class: "small" }) },
  ], { label: "Hijacks in force", sort: "Since", empty: "No hijacks: everything runs as it was written." });
  const audit = grid([
    { title: "When", text: (row) => date(row.at) }, { title: "Who", text: (row) => row.actor },
    { title: "What", text: (row) => row.action, draw: (row) => tag(row.action, row.action === "denied" ? "bad" : "") },
    { title: "Target", kind: "name", text: (row) => (row.after || row.before || {}).target || row.hijack },
    { title: "Version", kind: "num", text: (row) => String(row.version) }, { title: "Note", kind: "cut", text: (row) => row.note, hint: (row) => row.note },
  ], { label: "Audit log", tall: true, empty: "Nothing was changed yet." });
  const further = more([50, 500, 5000], again), earlier = more([20, 200, 1000], again);
  const listPart = section("In force", "", list.node);
  const stalePart = section("Has had its time", "offered for removal", stale);
  main.append(el("h1", {}, "Hijacks"), buttons, chosen, listPart, stalePart, section("History", "every version can be brought back", history, earlier.node), section("Audit log", "changes, and what was refused", audit.node, further.node));

  async function refresh() {
    const [set, impacts, old, past, lines, { strategies }] = await Promise.all([
      ask("api/hijacks", { signal }), ask("api/analysis/impact", { query: { limit: 200 }, signal }), ask("api/hijacks/stale", { signal }),
      ask("api/hijacks/history", { query: { limit: earlier.limit }, signal }), ask("api/audit", { query: { limit: further.limit }, signal }), once("api/strategies"),
    ]);
    const measured = new Map(impacts.impacts.map((one) => [one.id, one]));
    const rows = set.hijacks.map((one) => ({ ...one, version: set.version, impact: measured.get(one.id) }));
    listPart.note(`${set.count}, version ${set.version}`);
    list.show(rows);
    head(set);
    one(rows, measured);
    outdated(old.stale, rows);
    const sign = `${past.version} ${past.count}`;
    if (history.dataset.sign !== sign) put(history, past.history.map((entry) => versionRow(entry, past.version, strategies)), past.history.length ? null : empty("Nothing was changed yet."));
    history.dataset.sign = sign;
    earlier.show(past.count);
    audit.show(lines.audit);
    further.show(lines.count);
  }

  function head(set) {
    const off = Object.keys(set.off), sign = off.join();
    if (buttons.dataset.off === sign) return;
    buttons.dataset.off = sign;
    put(buttons, button("New hijack", () => change({ done: again }), { class: "main" }), button("Undo the last change", () => undoFirst(undefined, again)), el("span", { class: "grow" }),
      off.length ? button("Switch on again", () => turn("on"), { class: "main" }) : button("Switch everything off", () => turn("off"), { class: "danger" }));
  }

  async function turn(way) {
    const note = way === "on" ? "" : await confirm("Switch everything off", "Every function in every process gets its original code back. Nothing is hijacked and nothing observed until somebody switches it on again; hijacks are kept.", "Switch off", { note: "reason", danger: true });
    if (note === null) return;
    try {
      for (const service of way === "on" ? await stopped() : ["*"]) await post(`api/${way}`, { ...(service === "*" ? {} : { service }), ...(note ? { reason: note } : {}) });
      toast(way === "on" ? "everything is on" : "everything is off", "good");
    } catch (error) { toast(error.text || error.message, "bad"); }
    again();
  }
  const stopped = async () => Object.keys((await ask("api/hijacks")).off);

  function one(rows, measured) {
    if (!name) return;
    const found = rows.find((row) => row.id === name), told = measured.get(name);
    if (!found) {
      put(chosen, section(`Hijack ${name}`, told ? `released ${ago(told.released_at)}` : "there is none of that name", told ? el("p", {}, plain(told.target)) : null, told ? effect(told) : null));
      return;
    }
    const sign = JSON.stringify([found.stages, found.progress, told?.versions, until(found.expires_at)]);
    if (chosen.dataset.sign === sign) return;
    chosen.dataset.sign = sign;
    put(chosen, section(plain(found.target), `hijack ${found.id}`,
      el("dl", { class: "facts" }, facts(found).flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, typeof text === "string" ? plain(text) : text)])),
      el("div", { class: "actions" }, button("Change", () => change({ known: found, done: again })), button("Renew", () => renew(found)), button("As a patch of the source", () => exported(found)), button("Release", () => release(found, again), { class: "danger" })),
      found.progress.failures.map((bad) => el("p", { class: "failure" }, `${plain(bad.function)}: ${plain(bad.reason)}`)),
      found.progress.notes.slice(0, 10).map((said) => el("p", { class: "dim" }, `process ${said.pid}: ${plain(said.note)}`)),
      el("details", {}, el("summary", {}, "Strategies with all options"), el("pre", { tabindex: "0" }, plain(JSON.stringify(found.stages, null, 2)))),
      effect(told) || empty("No call was measured yet.")));
  }

  const facts = (row) => [["State", row.progress.summary], ["Service", row.service === "*" ? "all" : row.service], ["Owner", row.owner || "nobody"], ["Reason", row.reason || "none given"], ["Since", `${date(row.created_at)} (${span(row.age)})`], ["Ends", row.expires_at ? `${date(row.expires_at)} (${until(row.expires_at)})` : "never"], ["Functions", row.progress.functions.length ? el("span", { class: "mono" }, row.progress.functions.slice(0, 20).flatMap((one, index) => [index ? ", " : "", el("a", { href: `#/functions/${path(one)}` }, plain(one))]), row.progress.functions.length > 20 ? ` and ${row.progress.functions.length - 20} more` : "") : "none yet"]];

  async function renew(row) {
    try { await post(`api/hijacks/${row.id}/renew`, {}, { seen: row.version }); toast("the lease begins anew", "good"); } catch (error) { toast(error.text || error.message, "bad"); }
    again();
  }

  async function exported(row) {
    try {
      const told = await ask(`api/hijacks/${row.id}/patch`);
      dialog("As a patch of the source", () => el("div", {}, told.patch ? drawnText(told.patch) : null, told.refused.map((bad) => el("p", { class: "failure" }, `${plain(bad.function)}: ${plain(bad.reason)}`)), told.notes.map((text) => el("p", { class: "dim" }, plain(text)))), { wide: true });
    } catch (error) { toast(error.text || error.message, "bad"); }
  }

  function outdated(rows, hijacks) {
    stalePart.hidden = !rows.length;
    const sign = JSON.stringify(rows);
    if (stale.dataset.sign === sign) return;
    stale.dataset.sign = sign;
    put(stale, rows.map((row) => {
      const found = hijacks.find((one) => one.id === row.hijack);
      return el("div", { class: "row" }, el("a", { href: `#/hijacks/${row.hijack}`, class: "mono" }, plain(row.target)), el("span", { class: "grow" }, row.reasons.map((one) => plain(one.text || one.reason || one.message || JSON.stringify(one))).join("; ")), found ? [button("Renew", () => renew(found)), button("Release", () => release(found, again))] : null);
    }));
  }

  function versionRow(entry, latest, strategies) {
    const title = entry.changes.map((one) => `${one.change} ${one.target}`).join(", ") || `${entry.action} ${entry.services.join(", ")}`;
    return el("details", {}, el("summary", {}, el("span", { class: "num" }, `${entry.version}`), " ", el("time", {}, date(entry.at)), " ", plain(entry.actor), " ", el("strong", {}, plain(title)), entry.note ? ` (${plain(entry.note)})` : ""),
      entry.changes.length ? drawnChanges(entry.changes, strategies) : null, entry.version < latest ? button(`Bring version ${entry.version} back`, () => undoFirst(entry.version, again)) : button("Undo this", () => undoFirst(undefined, again)));
  }
  return { refresh, close() { list.close(); audit.close(); } };
}

function reach(row) {
  if (row.off) return tag("off", "warn");
  const { attached, processes, failures } = row.progress;
  return tag(`${attached} of ${processes}`, failures.length ? "bad" : attached === processes && processes ? "good" : "warn");
}
