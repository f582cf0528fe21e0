// The strategies of a hijack as rows: added, taken out and put in order by hand or by keyboard, each for its stage.

import { button, choice, el, empty, field, put, say } from "./dom.js";
import { input, same } from "./options.js";
import { plain } from "./units.js";

const STAGES = ["*", "development", "staging", "production"];
const MAIN = 4; // options that are shown at once; the others unfold

/**
 * @param strategies as the API describes them.
 * @returns `node`, `read()` (stages as the API takes them), and `show(stages)`.
 */
export function stack(strategies) {
  const known = new Map(strategies.map((one) => [one.strategy, one]));
  const list = el("ol", { class: "stack" }), order = el("p", { class: "dim", "aria-live": "polite" });
  const add = button("Add a strategy", () => {
    const last = rows.at(-1);
    const made = insert(last ? last.stage.value : "*", "log", {}, true);
    tell();
    made.pick.focus();
  });
  let rows = [];

  function insert(stage, name, options, open) {
    const made = row(stage, name, options, open);
    rows.push(made);
    list.append(made.node);
    return made;
  }

  function row(stage, name, options, open) {
    const one = {
      stage: el("input", { type: "text", value: stage, list: "stages", spellcheck: "false", oninput: tell }),
      pick: choice(offered(name), name, { onchange: () => unfold({}) }),
      place: el("span", { class: "place num" }),
      up: button("↑", () => move(one, -1), { class: "small" }), down: button("↓", () => move(one, 1), { class: "small" }),
      out: button("Remove", () => remove(one), { class: "small" }),
    };
    const settings = el("div");
    function unfold(from) {
      one.given = Object.fromEntries(known.get(one.pick.value).options.map((option) => [option.option, input(option, from[option.option])]));
      put(settings, drawn(known.get(one.pick.value).options, one.given, from, open));
      tell();
    }
    one.read = () => Object.fromEntries(Object.entries(one.given).map(([key, given]) => [key, given.read()]).filter(([, value]) => value !== undefined));
    one.node = el("li", { onkeydown: (event) => {
      const step = event.altKey ? { ArrowUp: -1, ArrowDown: 1 }[event.key] : 0;
      if (step) { event.preventDefault(); move(one, step); }
    } }, el("div", { class: "strategy" }, one.place, field("Strategy", one.pick), field("Stage", one.stage), el("span", { class: "row end" }, one.up, one.down, one.out)), settings);
    unfold(options);
    return one;
  }

  const offered = (name) => strategies.filter((one) => one.allowed || one.strategy === name)
    .map((one) => [one.strategy, `${one.strategy.replaceAll("_", " ")}${one.observing ? " (observes)" : ""}${one.allowed ? "" : " (not allowed here)"}`]);

  function move(one, step) {
    const at = rows.indexOf(one), to = at + step;
    if (at < 0 || !rows[to]) return;
    const focused = document.activeElement;
    rows.splice(to, 0, ...rows.splice(at, 1));
    list.insertBefore(one.node, step < 0 ? rows[to + 1].node : rows[to - 1].node.nextSibling);
    tell();
    (focused.disabled ? (step < 0 ? one.down : one.up) : focused).focus();
  }

  function remove(one) {
    const at = rows.indexOf(one);
    rows = rows.filter((other) => other !== one);
    one.node.remove();
    tell();
    (rows[Math.min(at, rows.length - 1)]?.pick || add).focus();
  }

  /** Says in which order what happens where, and numbers the rows. */
  function tell() {
    rows.forEach((one, index) => {
      const name = one.pick.value.replaceAll("_", " ");
      say(one.place, `${index + 1}`);
      one.up.disabled = index === 0;
      one.down.disabled = index === rows.length - 1;
      one.out.disabled = rows.length === 1;
      for (const [node, text] of [[one.up, "up"], [one.down, "down"]]) node.setAttribute("aria-label", `Move ${name} ${text}`);
      one.out.setAttribute("aria-label", `Remove ${name}`);
    });
    const stages = Object.entries(grouped());
    const many = rows.length > 1 || stages.some(([stage]) => stage !== "*");
    const alone = stages.length === 1;
    say(order, many ? plain([...stages.map(([stage, found]) => `${stage === "*" ? (alone ? "everywhere" : "everywhere else") : `in ${stage}`}: ${found.map((one) => one.pick.value).join(", then ")}`), ...(stages.some(([stage]) => stage === "*") ? [] : ["everywhere else: nothing"])].join(" · ")) : "");
  }

  function grouped() {
    const stages = {};
    for (const one of rows) (stages[one.stage.value.trim() || "*"] ||= []).push(one);
    const { "*": others, ...named } = stages;
    return others ? { ...named, "*": others } : named;
  }

  return {
    node: el("div", { role: "group", "aria-label": "Strategies" }, el("datalist", { id: "stages" }, STAGES.map((one) => el("option", { value: one }))), list,
      el("div", { class: "row" }, add, el("small", {}, "The first is outermost. A stage (MYSTIC_ENV of the process) has its own strategies, * those of every other; Alt with an arrow key moves."), order)),
    read: () => Object.fromEntries(Object.entries(grouped()).map(([stage, found]) => [stage, found.map((one) => ({ [one.pick.value]: one.read() }))])),
    show(stages) {
      const wanted = listed(stages, known);
      rows = [];
      put(list);
      for (const [stage, name, options] of wanted) insert(stage, name, options || {}, wanted.length === 1);
      tell();
    },
  };
}

/** Returns `[stage, strategy, options]` for each row; what is no such thing throws. */
function listed(stages, known) {
  const found = Object.entries(Array.isArray(stages) ? { "*": stages } : stages || {}).flatMap(([stage, specs]) => {
    if (!Array.isArray(specs)) throw new SyntaxError(`stages.${stage} is no list of strategies`);
    return specs.map((spec) => [stage, ...(typeof spec === "string" ? [spec, {}] : Object.entries(spec || {})[0] || [""])]);
  });
  const wrong = found.find(([, name]) => !known.has(name));
  if (wrong) throw new SyntaxError(`${wrong[1] || "nothing"} is no strategy`);
  if (!found.length) throw new SyntaxError("there is no strategy in it");
  return found;
}

/** The options of one strategy; those of several rows unfold, and say what is set in them. */
function drawn(options, given, from, open) {
  if (!options.length) return empty("It has no options.");
  const fields = options.map((one) => field(one.option.replaceAll("_", " "), given[one.option].node, one.help));
  const more = (text, inside) => el("details", {}, el("summary", {}, text), el("div", { class: "options" }, inside));
  if (!open) {
    const set = options.filter((one) => from[one.option] !== undefined && !same(from[one.option], one.default)).map((one) => `${one.option.replaceAll("_", " ")} ${JSON.stringify(from[one.option])}`);
    return more(plain(set.join(", ") || "all options as usual"), fields);
  }
  return el("div", { class: "options" }, fields.slice(0, MAIN), fields.length > MAIN ? more(`${fields.length - MAIN} more options`, fields.slice(MAIN)) : null);
}
