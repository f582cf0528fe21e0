// One change of the hijacks: form, dry run, difference, then the change itself and the way back.

import { actor, ask, once, post } from "./api.js";
import { dialog, toast } from "./dialog.js";
import { difference, drawn, drawnChanges } from "./difference.js";
import { button, el, field, put, tag } from "./dom.js";
import { stack } from "./stack.js";
import { suggesting } from "./suggest.js";
import { plain } from "./units.js";

/** Opens the form. `known` is a hijack to be replaced, or null; `strategy` is chosen first. */
export async function change({ target = "", service = "*", known = null, strategy = "cache", options = {}, done }) {
  const { strategies } = await once("api/strategies");
  const begin = known || { target, service, stages: { "*": [{ [strategy]: options }] }, owner: actor(), reason: "" };
  dialog(known ? "Change a hijack" : "Hijack", (close) => form({ begin, known, done, strategies, close }), { wide: true });
}

function form({ begin, known, done, strategies, close }) {
  const inputs = {
    target: suggesting(el("input", { type: "text", value: begin.target, required: true, spellcheck: "false", class: "mono" }), "functions"),
    service: el("input", { type: "text", value: begin.service, spellcheck: "false" }),
    owner: el("input", { type: "text", value: begin.owner || "", required: true, maxlength: "100", autocomplete: "name" }),
    reason: el("input", { type: "text", value: begin.reason, maxlength: "500" }),
    expires: el("input", { type: "text", value: "", placeholder: known ? "as it is" : "7d", spellcheck: "false" }),
  };
  const rows = stack(strategies);
  rows.show(begin.stages);
  const json = el("textarea", { rows: "10", spellcheck: "false", class: "mono", "aria-label": "Strategies by stage, as JSON", onchange: take });
  const asJson = el("details", { ontoggle: () => { if (asJson.open && json.validity.valid) json.value = JSON.stringify(rows.read(), null, 2); } }, el("summary", {}, "The same as JSON"), json);
  const outcome = el("div", { class: "outcome", "aria-live": "polite" });
  const apply = el("button", { type: "submit", class: "main" }, known ? "Replace" : "Put in force");

  /** Takes over what was written as JSON; the rows are what counts. */
  function take() {
    json.setCustomValidity("");
    put(outcome);
    try { rows.show(JSON.parse(json.value)); } catch (error) {
      json.setCustomValidity(error.message);
      failed(outcome, `this JSON is not taken over: ${error.message}`);
    }
  }

  function body() {
    if (!json.validity.valid) throw new SyntaxError(json.validationMessage);
    const made = { target: inputs.target.value.trim(), service: inputs.service.value.trim() || "*", stages: rows.read(), owner: inputs.owner.value.trim(), reason: inputs.reason.value.trim() };
    if (inputs.expires.value.trim()) made.expires_in = inputs.expires.value.trim();
    else if (known) made.expires_at = known.expires_at;
    return made;
  }

  const path = known ? `api/hijacks/${known.id}` : "api/hijacks", method = known ? "PUT" : "POST";
  async function attempt(work) {
    put(outcome, el("p", {}, "Asking…"));
    try { await work(); } catch (error) {
      failed(outcome, error.field ? `${error.field}: ${error.message}: ${error.remedy}` : error.text || error.message);
    }
  }
  const dry = () => attempt(async () => {
    const told = await ask(path, { method, body: body(), query: { dry_run: true } });
    put(outcome, trial(told), el("h3", {}, "What changes in the set"), drawn(difference(known, told.hijack, strategies)));
    outcome.scrollIntoView({ block: "nearest" });
  });
  const send = () => attempt(async () => {
    const before = (await ask("api/hijacks")).version;
    actor(inputs.owner.value.trim());
    const told = await ask(path, { method, body: body(), seen: known ? known.version : undefined });
    close();
    toast(`${plain(told.target)}: ${known ? "replaced" : "hijacked"}`, "good", wayBack(before, told.version, done));
    done?.(told);
  });
  return el("form", { class: "change", onsubmit: (event) => { event.preventDefault(); send(); } },
    field("Target", inputs.target, "module:qualname; * stands for anything"), rows.node, asJson,
    field("Reason", inputs.reason),
    el("div", { class: "pairs" }, field("Owner", inputs.owner), field("Service", inputs.service, "* for all"), field("Ends in", inputs.expires, "such as 30m, 24h, 7d, or never")),
    el("div", { class: "row end" }, button("Dry run", dry), apply), outcome);
}

const failed = (outcome, text) => put(outcome, el("p", { class: "failure", role: "alert" }, plain(text)));

/** What a dry run has said. */
function trial(told) {
  const rows = told.processes.flatMap((process) => process.matches.slice(0, 40).map((match) => el("li", {},
    tag(match.outcome === "attach" ? "would attach" : "refused", match.outcome === "attach" ? "good" : "bad"), " ",
    el("code", {}, plain(match.function)), ` in ${plain(process.service)} (${process.pid})`,
    match.reason ? `: ${plain(match.reason)}` : "", match.in_force.length ? `; now ${match.in_force.join(", ")}` : "")));
  return el("div", {}, el("p", {}, el("strong", {}, `Would be: ${plain(told.summary)}`), "; nothing was changed."), el("ul", { class: "plain" }, rows));
}

/** What a change offers to take it back at once; where others changed something between, what it would undo is shown first. */
const wayBack = (before, after, done) => ["Undo", () => (after === before + 1 ? undo(before, after, done) : undoFirst(before, done))];

/** Brings version `to` back, if nobody has changed anything since version `seen`. */
async function undo(to, seen, done) {
  try {
    const told = await post("api/hijacks/undo", { to }, { seen });
    toast(`back to version ${told.to}, as version ${told.version}`, "good");
    done?.();
  } catch (error) { toast(error.text || error.message, "bad"); }
}

/** Shows what undoing would change, then does it. */
export async function undoFirst(to, done) {
  let told, strategies;
  try {
    ({ strategies } = await once("api/strategies"));
    told = await post("api/hijacks/undo", to === undefined ? {} : { to }, { query: { dry_run: true } });
  } catch (error) { toast(error.text || error.message, "bad"); return; }
  dialog("Undo", (close) => el("div", {}, el("p", {}, `Back to version ${told.to}. This is what changes:`), drawnChanges(told.changes, strategies),
    told.left_out.length ? el("p", {}, `Left out, because their time is over: ${told.left_out.join(", ")}`) : null,
    el("div", { class: "row end" }, button("Cancel", close), button("Undo", async () => {
      close();
      try {
        const back = await post("api/hijacks/undo", { to: told.to }, { seen: told.version });
        toast(`back to version ${back.to}, as version ${back.version}`, "good", wayBack(back.version - 1, back.version, done));
      } catch (error) { toast(error.text || error.message, "bad"); }
      done?.();
    }, { class: "main" }))), { wide: true });
}

/** Releases one hijack, and offers the way back. */
export async function release(hijack, done) {
  const node = document.activeElement;
  try {
    const before = (await ask("api/hijacks")).version;
    const told = await ask(`api/hijacks/${hijack.id}`, { method: "DELETE", seen: hijack.version });
    toast(`${plain(hijack.target)}: released`, "good", wayBack(before, told.version, done));
  } catch (error) { toast(error.text || error.message, "bad"); }
  if (node?.isConnected) node.blur();
  done?.();
}
