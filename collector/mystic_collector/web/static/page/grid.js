// A table of any length: only the rows that can be seen exist. Rows are elements of their own that are filled anew,
// so that what has the focus keeps it while figures change.

import { el, put, say } from "./dom.js";
import { plain } from "./units.js";

const ROW = 30, SPARE = 8, ALL = 60; // pixels; rows beyond the edges; up to so many, all exist

/**
 * @param columns each with `title`, `text(row)`, and as wanted `sort(row)`, `href(row)`, `draw(row)`, `kind` (a class),
 *   `hint(row)`, `unseen` (the title is for screen readers). Text decides whether a cell is drawn anew.
 * @param options `label`, `sort` (a title), `up`, `empty`, `tall` (fills the window), `mark(row)` (a class of the row).
 */
export function grid(columns, options) {
  const body = el("tbody"), before = el("tr", { "aria-hidden": "true" }), after = el("tr", { "aria-hidden": "true" });
  const nothing = el("p", { class: "empty", hidden: true }, options.empty || "Nothing here.");
  let rows = [], sorted = columns.find((one) => one.title === options.sort) || null, up = Boolean(options.up);
  let shown = [], first = 0;

  const heads = columns.map((column) => {
    const inside = column.sort
      ? el("button", { type: "button", onclick: () => turn(column) }, column.title)
      : column.unseen ? el("span", { class: "unseen" }, column.title) : column.title;
    return el("th", { scope: "col", class: column.kind || "" }, inside);
  });
  const table = el("table", { "aria-label": options.label }, el("thead", {}, el("tr", {}, ...heads)), body);
  const scroller = el("div", { class: options.tall ? "grid tall" : "grid", tabindex: "0", role: "region", "aria-label": options.label }, table);
  scroller.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  scroller.addEventListener("keydown", move);
  const watch = new ResizeObserver(() => draw());
  watch.observe(scroller);

  function turn(column) {
    up = sorted === column ? !up : typeof column.sort(rows[0] || {}) === "string";
    sorted = column;
    arrange();
    draw();
  }

  function arrange() {
    heads.forEach((head, index) => {
      const state = columns[index] === sorted ? (up ? "ascending" : "descending") : null;
      if (state) head.setAttribute("aria-sort", state); else head.removeAttribute("aria-sort");
    });
    if (!sorted) return;
    const by = sorted.sort, sign = up ? 1 : -1;
    rows = rows.map((row) => [by(row), row]).sort(([a], [b]) => sign * (a < b ? -1 : a > b ? 1 : 0)).map(([, row]) => row);
  }

  function move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20, Home: -Infinity, End: Infinity }[event.key];
    if (!step || event.target.closest("input, select, textarea")) return;
    const row = event.target.closest("tbody tr");
    const at = row ? Number(row.dataset.at) : -1;
    const to = Math.max(0, Math.min(rows.length - 1, at + step));
    if (!rows.length) return;
    event.preventDefault();
    const head = table.tHead.offsetHeight, top = to * ROW, view = scroller.clientHeight - head;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + ROW > scroller.scrollTop + view) scroller.scrollTop = top + ROW - view;
    draw();
    const target = shown[to - first];
    (target?.querySelector("a, button") || target)?.focus({ preventScroll: rows.length > ALL });
  }

  const blank = el("tr", {}, columns.map((column) => el("td", { class: column.kind || "" }, column.href && !column.draw ? el("a") : null)));

  /** A copy of one empty row: half of what making its cells one by one takes. */
  function line() {
    const row = blank.cloneNode(true);
    return Object.assign(row, { cells_: [...row.children] });
  }

  function write(line, row, at) {
    line.dataset.at = at;
    line.setAttribute("aria-rowindex", at + 2);
    const mark = options.mark ? options.mark(row) : "";
    if (line.className !== mark) line.className = mark;
    columns.forEach((column, index) => cell(line.cells_[index], column, row));
  }

  function cell(node, column, row) {
    const text = plain(column.text(row));
    const href = column.href ? column.href(row) : "";
    if (node.sign === text + href && !column.fresh) return;
    node.sign = text + href;
    if (column.draw) put(node, column.draw(row));
    else if (column.href) {
      const link = node.firstElementChild;
      link.setAttribute("href", href);
      say(link, text);
    } else say(node, text);
    if (column.hint) node.title = plain(column.hint(row));
  }

  /** Where it is and how much of it can be seen; without rows it has no height yet, and will have what .tall allows. */
  const seen = () => (shown.length ? [scroller.scrollTop, scroller.clientHeight] : [0, Math.max(320, window.innerHeight - 210)]);

  function draw() {
    const whole = rows.length <= ALL || !options.tall;
    const [top, height] = whole ? [0, 0] : seen();
    first = whole ? 0 : Math.max(0, Math.floor(top / ROW) - SPARE);
    const last = whole ? rows.length : Math.min(rows.length, Math.ceil((top + height) / ROW) + SPARE);
    while (shown.length < last - first) shown.push(line());
    if (shown.length > last - first) shown.length = last - first;
    before.style.height = `${first * ROW}px`;
    after.style.height = `${(rows.length - last) * ROW}px`;
    shown.forEach((node, index) => write(node, rows[first + index], first + index));
    const wanted = [...(first ? [before] : []), ...shown, ...(last < rows.length ? [after] : [])];
    if (wanted.length !== body.children.length || wanted.some((one, index) => body.children[index] !== one)) {
      const focused = body.contains(document.activeElement) ? document.activeElement : null;
      put(body, wanted);
      if (focused?.isConnected) focused.focus({ preventScroll: true });
    }
    nothing.hidden = rows.length > 0;
    table.hidden = rows.length === 0;
  }

  const node = el("div", { class: "gridbox" }, scroller, nothing);
  return {
    node,
    show(found) {
      rows = found;
      table.setAttribute("aria-rowcount", rows.length + 1);
      arrange();
      draw();
    },
    get rows() { return rows; },
    close() { watch.disconnect(); },
  };
}
