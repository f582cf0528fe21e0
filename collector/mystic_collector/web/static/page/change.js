// One change of the hijacks: form, dry run, difference, then the change itself and the way back.

import { actor, ask, once, post } from "./api.js";
import { dialog, toast } from "./dialog.js";
import { difference, drawn, drawnText } from "./difference.js";
import { button, choice, el, empty, field, put, tag } from "./dom.js";
import { plain } from "./units.js";

const STAGES = ["*", "development", "staging", "production"];
const MAIN = 4; // options that are shown at once; the others unfold

/** Opens the form. `known` is a hijack to be replaced, or null; `strategy` is chosen first. */
export async function change({ target = "", service = "*", known = null, strategy = "", options = {}, done }) {
  const { strategies } = await once("api/strategies");
  dialog(known ? "Change a hijack" : "Hijack", (close) => form({ target, service, known, strategy, options, done, strategies, close }), { wide: true });
}

function form({ target, service, known, strategy, options, done, strategies, close }) {
  const first = known ? firstOf(known) : { stage: "*", name: strategy || "cache", options };
  const several = known && (Object.keys(known.stages).length > 1 || Object.values(known.stages)[0].length > 1);
  const inputs = {
    target: el("input", { type: "text", value: known ? known.target : target, required: true, spellcheck: "false", class: "mono" }),
    service: el("input", { type: "text", value: known ? known.service : service, spellcheck: "false" }),
    stage: el("input", { type: "text", value: first.stage, list: "stages", spellcheck: "false" }),
    owner: el("input", { type: "text", value: (known ? known.owner : actor()) || "", required: true, maxlength: "100", autocomplete: "name" }),
    reason: el("input", { type: "text", value: known ? known.reason : "", maxlength: "500" }),
    expires: el("input", { type: "text", value: "", placeholder: known ? "as it is" : "7d", spellcheck: "false" }),
  };
  const pick = choice(groups(strategies), first.name, { onchange: () => unfold() });
  const set = el("div", { class: "options" });
  const json = el("textarea", { rows: "10", spellcheck: "false", class: "mono" });
  json.value = known ? JSON.stringify(known.stages, null, 2) : "";
  const outcome = el("div", { class: "outcome", "aria-live": "polite" });
  const apply = el("button", { type: "submit", class: "main" }, known ? "Replace" : "Put in force");
  let given = {};

  function unfold() {
    const chosen = strategies.find((one) => one.strategy === pick.value);
    given = {};
    const rows = chosen.options.map((one) => {
      const value = pick.value === first.name ? first.options[one.option] : undefined;
      given[one.option] = input(one, value);
      return field(one.option.replaceAll("_", " "), given[one.option].node, one.help);
    });
    put(set, rows.slice(0, MAIN), rows.length > MAIN ? el("details", {}, el("summary", {}, `${rows.length - MAIN} more options`), el("div", { class: "options" }, rows.slice(MAIN))) : null, rows.length ? null : empty("It has no options."));
  }

  function body() {
    const stages = several ? JSON.parse(json.value) : { [inputs.stage.value.trim() || "*"]: [{ [pick.value]: read(given) }] };
    const made = { target: inputs.target.value.trim(), service: inputs.service.value.trim() || "*", stages, owner: inputs.owner.value.trim(), reason: inputs.reason.value.trim() };
    if (inputs.expires.value.trim()) made.expires_in = inputs.expires.value.trim();
    else if (known) made.expires_at = known.expires_at;
    return made;
  }

  const path = known ? `api/hijacks/${known.id}` : "api/hijacks", method = known ? "PUT" : "POST";
  async function attempt(work) {
    put(outcome, el("p", {}, "Asking…"));
    try { await work(); } catch (error) {
      if (error instanceof SyntaxError) put(outcome, el("p", { class: "failure", role: "alert" }, `stages is no JSON: ${error.message}`));
      else put(outcome, el("p", { class: "failure", role: "alert" }, plain(error.field ? `${error.field}: ${error.message}: ${error.remedy}` : error.text || error.message)));
    }
  }
  const dry = () => attempt(async () => {
    const told = await ask(path, { method, body: body(), query: { dry_run: true } });
    put(outcome, trial(told), el("h3", {}, "What changes in the set"), drawn(difference(known, told.hijack)));
    outcome.scrollIntoView({ block: "nearest" });
  });
  const send = () => attempt(async () => {
    const before = (await ask("api/hijacks")).version;
    actor(inputs.owner.value.trim());
    const told = await ask(path, { method, body: body(), seen: known ? known.version : undefined });
    close();
    toast(`${plain(told.target)}: ${known ? "replaced" : "hijacked"}`, "good", ["Undo", () => undo(before, done)]);
    done?.(told);
  });
  unfold();
  return el("form", { class: "change", onsubmit: (event) => { event.preventDefault(); send(); } },
    el("datalist", { id: "stages" }, STAGES.map((one) => el("option", { value: one }))),
    field("Target", inputs.target, "module:qualname; * stands for anything"),
    several ? field("Strategies by stage", json, "as JSON; outermost first") : [field("Strategy", pick), set],
    el("div", { class: "pairs" }, several ? null : field("Stage", inputs.stage, "MYSTIC_ENV of the process; * for every other"), field("Service", inputs.service, "* for all"), field("Owner", inputs.owner), field("Ends in", inputs.expires, "such as 30m, 24h, 7d, or never"), field("Reason", inputs.reason)),
    el("div", { class: "row end" }, button("Dry run", dry), apply), outcome);
}

function firstOf(hijack) {
  const [stage, specs] = Object.entries(hijack.stages)[0];
  const [name, options] = Object.entries(specs[0])[0];
  return { stage, name, options };
}

function groups(strategies) {
  return strategies.filter((one) => one.allowed).map((one) => [one.strategy, one.observing ? `${one.strategy} (observes)` : one.strategy.replaceAll("_", " ")]);
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const written = (value) => (Array.isArray(value) && value.every((one) => typeof one === "string") ? value.join(", ") : typeof value === "string" ? value : JSON.stringify(value));

/** An input that fits an option's default; `read()` gives undefined when it is left as it is. */
function input(option, value) {
  const set = value !== undefined && !same(value, option.default);
  if (typeof option.default === "boolean") {
    const node = choice([["", `as usual: ${option.default ? "yes" : "no"}`], ["true", "yes"], ["false", "no"]], set ? String(value) : "");
    return { node, read: () => (node.value ? node.value === "true" : undefined) };
  }
  const usual = option.default === null || option.default === "" || same(option.default, []) || same(option.default, {}) ? "" : written(option.default);
  const node = el("input", { type: "text", value: set ? written(value) : "", placeholder: usual, spellcheck: "false" });
  return { node, read: () => parsed(node.value.trim(), option.default) };
}

function parsed(text, usual) {
  if (!text) return undefined;
  if (typeof usual === "number" && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (Array.isArray(usual)) return text.split(",").map((one) => one.trim()).filter(Boolean);
  if (usual === null || (typeof usual === "object" && !Array.isArray(usual))) {
    try { return JSON.parse(text); } catch { return text; }
  }
  return text;
}

const read = (given) => Object.fromEntries(Object.entries(given).map(([key, one]) => [key, one.read()]).filter(([, value]) => value !== undefined));

/** What a dry run has said. */
function trial(told) {
  const rows = told.processes.flatMap((process) => process.matches.slice(0, 40).map((match) => el("li", {},
    tag(match.outcome === "attach" ? "would attach" : "refused", match.outcome === "attach" ? "good" : "bad"), " ",
    el("code", {}, plain(match.function)), ` in ${plain(process.service)} (${process.pid})`,
    match.reason ? `: ${plain(match.reason)}` : "", match.in_force.length ? `, beside ${match.in_force.join(", ")}` : "")));
  return el("div", {}, el("p", {}, el("strong", {}, `Would be: ${plain(told.summary)}`), "; nothing was changed."), el("ul", { class: "plain" }, rows));
}

/** Brings version `to` back, if nobody has changed anything since. */
export async function undo(to, done) {
  try {
    const told = await post("api/hijacks/undo", to === undefined ? {} : { to });
    toast(`back to version ${told.to}, as version ${told.version}`, "good");
    done?.();
  } catch (error) { toast(error.text || error.message, "bad"); }
}

/** Shows what undoing would change, then does it. */
export async function undoFirst(to, done) {
  let told;
  try { told = await post("api/hijacks/undo", to === undefined ? {} : { to }, { query: { dry_run: true } }); } catch (error) { toast(error.text || error.message, "bad"); return; }
  dialog("Undo", (close) => el("div", {}, el("p", {}, `Back to version ${told.to}. This is what changes:`), drawnText(told.text || "nothing"),
    told.left_out.length ? el("p", {}, `Left out, because their time is over: ${told.left_out.join(", ")}`) : null,
    el("div", { class: "row end" }, button("Cancel", close), button("Undo", async () => {
      close();
      try {
        const back = await post("api/hijacks/undo", { to: told.to }, { seen: told.version });
        toast(`back to version ${back.to}, as version ${back.version}`, "good", ["Undo", () => undo(told.version, done)]);
      } catch (error) { toast(error.text || error.message, "bad"); }
      done?.();
    }, { class: "main" }))), { wide: true });
}

/** Releases one hijack, and offers the way back. */
export async function release(hijack, done) {
  const node = document.activeElement;
  try {
    const before = (await ask("api/hijacks")).version;
    await ask(`api/hijacks/${hijack.id}`, { method: "DELETE", seen: hijack.version });
    toast(`${plain(hijack.target)}: released`, "good", ["Undo", () => undo(before, done)]);
  } catch (error) { toast(error.text || error.message, "bad"); }
  if (node?.isConnected) node.blur();
  done?.();
}
