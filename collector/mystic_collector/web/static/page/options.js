// Inputs for the options of a strategy: what is written in one is what the hijack will say, and the other way round.

import { choice, el } from "./dom.js";
import { suggesting } from "./suggest.js";

export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

const yes = (value) => (value ? "yes" : "no");
const isJson = (usual) => usual === null || (typeof usual === "object" && !Array.isArray(usual));

function parses(text) {
  try { JSON.parse(text); return true; } catch { return false; }
}

/** Text that `parsed` reads as `value` again. */
export function written(value, usual) {
  if (typeof value !== "string") return Array.isArray(value) && !isJson(usual) ? value.join(", ") : JSON.stringify(value);
  const plainly = !isJson(usual) || (value && value === value.trim() && !parses(value));
  return plainly ? value : JSON.stringify(value);
}

export function parsed(text, usual) {
  if (!text) return undefined;
  if (typeof usual === "number" && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (Array.isArray(usual)) return text.split(",").map((one) => one.trim()).filter(Boolean);
  return isJson(usual) && parses(text) ? JSON.parse(text) : text;
}

/**
 * An input that fits an option as the API describes it.
 *
 * @returns `node`, and `read()`, which gives undefined when the option is left as it usually is.
 */
export function input(option, value) {
  const usual = option.default, set = value !== undefined && !same(value, usual);
  if (typeof usual === "boolean") {
    const node = choice([["", `as usual: ${yes(usual)}`], ["true", "yes"], ["false", "no"]], set ? String(value) : "");
    return { node, read: () => (node.value ? node.value === "true" : undefined) };
  }
  if (option.choices.length) {
    const node = choice([["", `as usual: ${usual || "none"}`], ...option.choices], set ? value : "");
    return { node, read: () => node.value || undefined };
  }
  const nothing = usual === null || usual === "" || same(usual, []) || same(usual, {});
  const looks = { placeholder: nothing ? "" : written(usual, usual), spellcheck: "false" };
  const node = isJson(usual) ? el("textarea", { rows: "1", class: "mono", ...looks }) : el("input", { type: "text", ...looks });
  if (set) node.value = written(value, usual);
  if (option.option === "to") suggesting(node, "functions");
  if (option.option === "recording") suggesting(node, "recordings");
  return { node, read: () => parsed(node.value.trim(), usual) };
}
