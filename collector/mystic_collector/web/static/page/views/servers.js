// Managed MCP servers: which run, what they write, how to begin and end them.

import { address, ask, name as path, post } from "../api.js";
import { confirm, dialog, toast } from "../dialog.js";
import { button, choice, el, empty, field, put, say, section, tag } from "../dom.js";
import { grid } from "../grid.js";
import { clock, duration, plain, span } from "../units.js";

const MOST_LINES = 2000;
const STATE = { running: "good", starting: "warn", failed: "bad" };

export function servers(main, { name, signal, again }) {
  const health = el("p", { class: "dim" }), chosen = el("div");
  const start = button("Start a server", () => starting(again), { class: "main" });
  const list = grid([
    { title: "Server", kind: "name", sort: (row) => row.name, text: (row) => row.name, href: (row) => `#/servers/${row.name}` },
    { title: "State", text: (row) => row.state, draw: (row) => tag(row.state, STATE[row.state] || "") },
    { title: "Type", kind: "opt", text: (row) => row.spec.server_type },
    { title: "Runs in", kind: "opt", text: (row) => row.mode },
    { title: "Up for", kind: "num", text: (row) => (row.uptime === null ? "" : span(row.uptime)) },
    { title: "Restarts", kind: "num opt", text: (row) => String(row.restarts ?? "") },
    { title: "What it is doing", kind: "cut", text: (row) => [row.detail, row.remedy].filter(Boolean).join(": "), hint: (row) => `${row.detail}: ${row.remedy}` },
    { title: "Actions", unseen: true, kind: "num", text: (row) => row.name, draw: (row) => el("span", {}, button("Restart", () => act(row, "restart"), { class: "small", "aria-label": `Restart ${row.name}` }), " ", button("Stop", () => act(row, "stop"), { class: "small", "aria-label": `Stop ${row.name}` })) },
  ], { label: "MCP servers", sort: "Server", up: true, empty: "No server runs. Start one from a template." });
  main.append(el("h1", {}, "MCP servers"), el("div", { class: "actions" }, start, health), list.node, chosen);
  let log = null;

  async function refresh() {
    const told = await ask("api/mcp/health", { signal }).catch((error) => { if (error.name === "AbortError") throw error; return { healthy: false, reason: error.message, remedy: error.remedy, ...error.more }; });
    const found = told.healthy ? await ask("api/mcp/servers", { signal }) : { servers: [] };
    put(health, told.healthy ? ["run by ", tag(told.mode, "good")] : [tag("cannot be run here", "warn"), " ", plain(told.reason || ""), told.remedy ? `: ${plain(told.remedy)}` : ""]);
    start.disabled = !told.healthy;
    list.show(found.servers);
    const one = found.servers.find((row) => row.name === name);
    if (name && !one && !chosen.childElementCount) put(chosen, empty(`There is no server ${name}.`));
    if (one && !log) { log = follow(one, signal); put(chosen, log.node); }
    if (one) log.state(one);
    clearTimeout(refresh.timer);
    if (found.servers.some((row) => row.state === "starting")) refresh.timer = setTimeout(again, 1000);
  }

  async function act(row, what) {
    if (what === "stop" && (await confirm("Stop a server", `${row.name} is ended and taken away, and its sessions with it.`, "Stop", { danger: true })) === null) return;
    try {
      if (what === "stop") await ask(`api/mcp/servers/${path(row.name)}`, { method: "DELETE" });
      else await post(`api/mcp/servers/${path(row.name)}/restart`);
      toast(`${row.name}: ${what === "stop" ? "stopped" : "begins anew"}`, "good");
    } catch (error) { toast(error.text || error.message, "bad"); }
    again();
  }
  return { refresh, close() { clearTimeout(refresh.timer); log?.close(); list.close(); } };
}

/** One server with its log as it is written. */
function follow(server, signal) {
  const lines = el("pre", { class: "log", tabindex: "0", role: "log", "aria-label": `Log of ${server.name}` });
  const facts = el("dl", { class: "facts" }), note = el("span", { class: "dim" });
  let source = null;
  const open = () => {
    source = new EventSource(address(`api/mcp/servers/${path(server.name)}/logs/stream`, { tail: 200 }));
    source.addEventListener("open", () => { put(lines); say(note, "live"); });
    source.addEventListener("log", (event) => add(JSON.parse(event.data)));
    source.addEventListener("end", () => { source.close(); say(note, "ended"); });
    source.addEventListener("error", () => say(note, "not connected"));
  };
  function add(line) {
    const down = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 4;
    lines.append(el("span", { class: line.stream === "stderr" ? "stderr" : "" }, `${clock(line.time)}  ${plain(line.text)}\n`));
    while (lines.childElementCount > MOST_LINES) lines.firstElementChild.remove();
    if (down) lines.scrollTop = lines.scrollHeight;
  }
  async function clear() {
    try { await ask(`api/mcp/servers/${path(server.name)}/logs`, { method: "DELETE", signal }); put(lines); } catch (error) { toast(error.text || error.message, "bad"); }
  }
  open();
  let was = server.state;
  return {
    node: section(server.name, "", facts, el("h3", {}, "Log ", note, " ", button("Clear", clear, { class: "small" }), " ", button("Tools", () => tools(server), { class: "small" })), lines),
    state(row) {
      if (row.state !== was && source.readyState === EventSource.CLOSED) open();
      was = row.state;
      const told = [["State", [row.state, row.detail].filter(Boolean).join(": ")], ["Remedy", row.remedy], ["For clients", address(row.path.replace(/^\//, "")).href], ["Container", row.identity], ["Ready after", row.started_at && row.created_at ? duration(row.started_at - row.created_at) : ""], ["Type", [row.spec.server_type, row.spec.package, row.spec.image].filter(Boolean).join(" · ")]];
      put(facts, told.filter(([, text]) => text).flatMap(([term, text]) => [el("dt", {}, term), el("dd", { class: "mono" }, plain(String(text)))]));
    },
    close() { source.close(); },
  };
}

async function tools(server) {
  try {
    const told = await ask(`api/mcp/servers/${path(server.name)}/tools`);
    dialog(`Tools of ${server.name}`, () => el("dl", { class: "facts" }, told.tools.flatMap((one) => [el("dt", { class: "mono" }, plain(one.name)), el("dd", {}, plain(one.description || ""))])), { wide: true });
  } catch (error) { toast(error.text || error.message, "bad"); }
}

async function starting(done) {
  const { templates } = await ask("api/mcp/registry");
  dialog("Start a server", (close) => {
    const pick = choice([...templates.map((one) => [one.name, `${one.title}: ${one.description}`]), ["", "something else"]], templates[0]?.name, { onchange: unfold });
    const inputs = {
      name: el("input", { type: "text", required: true, pattern: "[a-z0-9][a-z0-9\\-]{0,39}", spellcheck: "false" }),
      server_type: choice(["npx", "uv", "python", "docker", "archon"], "npx"),
      package: el("input", { type: "text", spellcheck: "false" }), image: el("input", { type: "text", spellcheck: "false" }),
      args: el("input", { type: "text", spellcheck: "false" }), transport: choice(["stdio", "http", "sse"], "stdio"), port: el("input", { type: "text", inputmode: "numeric" }),
    };
    const more = el("div", { class: "pairs" }, field("Type", inputs.server_type), field("Package", inputs.package, "of npm or PyPI"), field("Image", inputs.image), field("Arguments", inputs.args, "separated by spaces"), field("Transport", inputs.transport), field("Port", inputs.port, "for http and sse"));
    const wrong = el("p", { class: "failure", role: "alert", hidden: true });
    function unfold() { more.hidden = Boolean(pick.value); inputs.name.value = pick.value; }
    function body() {
      const name = inputs.name.value.trim();
      if (pick.value) return { template: pick.value, name };
      const made = { name, server_type: inputs.server_type.value, transport: inputs.transport.value };
      for (const key of ["package", "image"]) if (inputs[key].value.trim()) made[key] = inputs[key].value.trim();
      if (inputs.args.value.trim()) made.args = inputs.args.value.trim().split(/\s+/);
      if (inputs.port.value.trim()) made.port = Number(inputs.port.value);
      return made;
    }
    unfold();
    return el("form", { onsubmit: async (event) => {
      event.preventDefault();
      try { const told = await post("api/mcp/servers", body()); close(); location.hash = `#/servers/${told.name}`; done(); } catch (error) { say(wrong, plain(error.field ? `${error.field}: ${error.message}: ${error.remedy}` : error.text || error.message)); wrong.hidden = false; }
    } }, field("Template", pick), field("Name", inputs.name), more, wrong, el("div", { class: "row end" }, el("button", { type: "submit", class: "main" }, "Start")));
  }, { wide: true });
}
