// Elements from text. Nothing here, or anywhere in this folder, reads text as HTML: the policy forbids it, too.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((one) => one !== null && one !== undefined && one !== false));
  return node;
}

export const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

export function put(parent, ...children) {
  parent.replaceChildren(...children.flat().filter((one) => one !== null && one !== undefined && one !== false));
  return parent;
}

/** Sets text only where it differs, so that what somebody has selected stays selected. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
  return node;
}

/** A part of a page with a heading; `note` stands beside it in small letters. */
export function section(title, note, ...children) {
  const small = el("small", {}, note || "");
  const node = el("section", { class: "part" }, el("h2", {}, title, " ", small), ...children);
  return Object.assign(node, { note: (text) => say(small, text) });
}

export const button = (text, onclick, attributes = {}) => el("button", { type: "button", onclick, ...attributes }, text);
export const tag = (text, kind = "") => el("span", { class: `tag ${kind}` }, text);
export const empty = (text, ...more) => el("p", { class: "empty" }, text, ...more);

/** A number with its name. */
export function figure(name) {
  const value = el("dd", {}, "–"), note = el("dd", { class: "note" });
  const node = el("div", { class: "figure" }, el("dt", {}, name), value, note);
  return Object.assign(node, {
    show(text, more = "", kind = "") {
      say(value, text);
      say(note, more);
      node.dataset.kind = kind;
    },
  });
}

export function field(label, input, help = "") {
  const id = input.id || `f${(field.count = (field.count || 0) + 1)}`;
  input.id = id;
  const notes = help ? [el("small", { id: `${id}-help` }, help)] : [];
  if (help) input.setAttribute("aria-describedby", `${id}-help`);
  return el("div", { class: "field" }, el("label", { for: id }, label), input, ...notes);
}

export function choice(values, chosen, attributes = {}) {
  const options = values.map((one) => {
    const [value, text] = Array.isArray(one) ? one : [one, one];
    return el("option", { value, selected: value === chosen }, text);
  });
  return el("select", attributes, ...options);
}

const FRAME = 100; // milliseconds; a hidden page paints nothing

/** Resolves when what has been written is painted: what is asked or drawn next does not keep anybody from reading it. */
export const painted = () => new Promise((done) => {
  const late = setTimeout(done, FRAME);
  requestAnimationFrame(() => { clearTimeout(late); setTimeout(done); });
});
