// What differs between two hijacks, line by line.

import { el } from "./dom.js";
import { date, plain } from "./units.js";

const SHOWN = ["target", "service", "owner", "reason", "expires_at"];

const shown = (place, value) => (place === "expires_at" ? (value ? date(value) : "no end") : JSON.stringify(value));

/** Writes the strategies of a hijack as places; each has its name, and each option is one of `usual` or is not. */
function strategiesOf(hijack, usual, into) {
  for (const [stage, specs] of Object.entries(hijack.stages || {})) {
    specs.forEach((spec, index) => {
      const [name, options] = Object.entries(spec)[0], place = `stages.${stage}[${index}]`;
      into.set(place, { text: name });
      for (const [option, value] of Object.entries(options)) {
        const text = JSON.stringify(value);
        into.set(`${place}.${name}.${option}`, { text, usual: usual.get(`${name}.${option}`) === text });
      }
    });
  }
}

/**
 * Returns `[sign, place, text]` for each line. An option that is as it usually is on either side is left out.
 *
 * @param before and after: hijacks or null.
 * @param strategies as the API describes them.
 */
export function difference(before, after, strategies) {
  const usual = new Map(strategies.flatMap((one) => one.options.map((option) => [`${one.strategy}.${option.option}`, JSON.stringify(option.default)])));
  const sides = [before, after].map((one) => {
    const found = new Map();
    if (one) {
      for (const key of SHOWN) if (one[key] !== undefined) found.set(key, { text: shown(key, one[key]) });
      strategiesOf(one, usual, found);
    }
    return found;
  });
  const places = [...SHOWN, ...[...new Set([...sides[0].keys(), ...sides[1].keys()])].filter((one) => !SHOWN.includes(one)).sort()];
  return places.flatMap((place) => {
    const [old, now] = sides.map((side) => side.get(place));
    if (old?.text === now?.text || [old, now].every((one) => !one || one.usual)) return [];
    return [...(old ? [["-", place, old.text]] : []), ...(now ? [["+", place, now.text]] : [])];
  });
}

const KIND = { "+": "added", "-": "removed" };
const line = (sign, text, inside = "") => el("span", { class: KIND[sign] || "" }, `${inside}${sign} ${plain(text)}\n`);
const sheet = (...lines) => el("pre", { class: "diff", tabindex: "0", "aria-label": "Difference" }, ...lines);

export function drawn(rows) {
  return sheet(rows.length ? rows.map(([sign, place, text]) => line(sign, `${place}: ${text}`)) : "nothing");
}

/** Changes between two versions, as the API tells them: of each hijack the fields that differ. */
export function drawnChanges(changes, strategies) {
  const side = (one, which) => Object.fromEntries(one.fields.filter((field) => field[which] !== null).map((field) => [field.field, field[which]]));
  return sheet(changes.length ? changes.flatMap((one) => [
    line({ added: "+", removed: "-" }[one.change] || "~", `${one.hijack} on ${one.target}: ${one.change}`),
    ...difference(side(one, "before"), side(one, "after"), strategies).map(([sign, place, text]) => line(sign, `${place}: ${text}`, "  ")),
  ]) : "nothing");
}

/** A text in which lines begin with + or -, such as a patch. */
export function drawnText(text) {
  return sheet(text.split("\n").map((line) => {
    const sign = line.trimStart()[0];
    return el("span", { class: sign === "+" ? "added" : sign === "-" ? "removed" : "" }, `${plain(line)}\n`);
  }));
}
