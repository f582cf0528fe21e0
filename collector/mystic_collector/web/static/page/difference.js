// What differs between two hijacks, line by line.

import { el } from "./dom.js";
import { date, plain } from "./units.js";

const SHOWN = ["target", "service", "stages", "owner", "reason", "expires_at"];

function flat(value, place, into) {
  if (value !== null && typeof value === "object" && Object.keys(value).length) {
    for (const [key, one] of Object.entries(value)) flat(one, Array.isArray(value) ? `${place}[${key}]` : place ? `${place}.${key}` : key, into);
  } else into.set(place, value);
}

const shown = (place, value) => (place === "expires_at" ? (value ? date(value) : "no end") : JSON.stringify(value));

/** Returns `[sign, place, text]` for each line; `before` and `after` are hijacks or null. */
export function difference(before, after) {
  const sides = [before, after].map((one) => {
    const found = new Map();
    if (one) for (const key of SHOWN) flat(one[key], key, found);
    return found;
  });
  const places = [...new Set([...sides[0].keys(), ...sides[1].keys()])];
  return places.flatMap((place) => {
    const [old, now] = sides.map((side) => (side.has(place) ? shown(place, side.get(place)) : null));
    if (old === now) return [];
    return [...(old === null ? [] : [["-", place, old]]), ...(now === null ? [] : [["+", place, now]])];
  });
}

export function drawn(rows) {
  return el("pre", { class: "diff", tabindex: "0", "aria-label": "Difference" }, rows.map(([sign, place, text]) => el("span", { class: sign === "+" ? "added" : "removed" }, `${sign} ${place}: ${plain(text)}\n`)));
}

/** A text in which lines begin with + or -, as the API gives it. */
export function drawnText(text) {
  return el("pre", { class: "diff", tabindex: "0", "aria-label": "Difference" }, text.split("\n").map((line) => {
    const sign = line.trimStart()[0];
    return el("span", { class: sign === "+" ? "added" : sign === "-" ? "removed" : "" }, `${plain(line)}\n`);
  }));
}
