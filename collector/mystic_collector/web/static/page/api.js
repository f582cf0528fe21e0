// Asking the collector. Addresses are relative to this page, so that a path in front of it does not matter.

const ROOT = new URL("./", document.baseURI);

export class Refused extends Error {
  constructor(status, error) {
    const { message, field, value, remedy } = error || {};
    super(message || (field ? `${field} ${value}` : `the collector answered ${status}`));
    Object.assign(this, { status, field, remedy: remedy || "", more: error || {} });
  }
  get text() { return this.remedy ? `${this.message}: ${this.remedy}` : this.message; }
}

let entering = null;
let enter = () => Promise.reject(new Refused(401, { message: "no valid key" }));

/** Sets what asks a person for the key; it resolves when the browser has its cookie. */
export const onLocked = (asks) => { enter = asks; };

export const address = (path, query = {}) => {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.append(name, value);
  }
  return url;
};

export function actor(name) {
  try {
    if (name !== undefined) localStorage.setItem("mystic.actor", name);
    return localStorage.getItem("mystic.actor") || "";
  } catch { return name || ""; }
}

/** Asks once more when the connection broke under something that only looks: a network that changes, a sleeping laptop. */
async function fetched(url, request) {
  try { return await fetch(url, request); } catch (error) {
    if (request.method !== "GET" || error.name === "AbortError") throw error;
    return fetch(url, request);
  }
}

/** Returns the JSON of an answer. Throws Refused, and AbortError when `signal` says so. */
export async function ask(path, { method = "GET", query, body, signal, seen, bare = false } = {}) {
  const headers = { "X-Mystic-Page": "1" };
  if (actor()) headers["X-Mystic-Actor"] = encodeURIComponent(actor());
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (seen !== undefined) headers["If-Match"] = `"${seen}"`;
  const answer = await fetched(address(path, query), {
    method, headers, signal, credentials: "same-origin", redirect: "error", body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status === 401 && !bare) {
    entering ||= enter().finally(() => { entering = null; });
    await entering;
    return ask(path, { method, query, body, signal, seen, bare: true });
  }
  const text = await answer.text();
  let told = null;
  try { told = text ? JSON.parse(text) : null; } catch { /* a proxy's own page, say */ }
  if (!answer.ok) throw new Refused(answer.status, told && told.error);
  return told;
}

export const post = (path, body = {}, more = {}) => ask(path, { method: "POST", body, ...more });
export const name = (text) => encodeURIComponent(text).replaceAll("%3A", ":");

const kept = new Map();

/** Asks once for what does not change while the page is open. */
export function once(path) {
  if (!kept.has(path)) kept.set(path, ask(path).catch((error) => { kept.delete(path); throw error; }));
  return kept.get(path);
}
