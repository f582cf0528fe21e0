// Lines over time (uPlot), and small columns (SVG).

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { el, painted, svg } from "./dom.js";
import { clock, duration, exact } from "./units.js";

const tints = new Map(); // asking the browser for one costs the style of everything that is new on the page
document.addEventListener("mystic-theme", () => tints.clear());

/** The colour that a variable stands for now; a canvas does not know of variables. */
function tint(name, strength = 100) {
  const colour = `color-mix(in srgb, var(${name}) ${strength}%, transparent)`;
  if (!tints.has(colour)) {
    const probe = document.body.appendChild(el("i", { style: { color: colour } }));
    tints.set(colour, getComputedStyle(probe).color);
    probe.remove();
  }
  return tints.get(colour);
}

const FONT = "11px system-ui, sans-serif";

const latest = (values) => values?.findLast((one) => one !== null && one !== undefined) ?? null;
const figure = (line, value) => (value === null ? "–" : line.format(value));

/**
 * @param lines each `{ name, colour (of a variable), format, area }`.
 * @returns `node`, `show(columns, period)` with moments first, in seconds, and null where nothing is known, `close()`.
 */
export function lines(label, wanted, { height = 180 } = {}) {
  const node = el("div", { class: "chart", role: "img", "aria-label": label });
  node.style.minHeight = `${height + 26}px`;
  let plot = null, held = null, period = null, soon = null;
  const axis = () => ({ stroke: tint("--muted"), font: FONT, grid: { stroke: tint("--rule"), width: 1 }, ticks: { show: false } });

  function make() {
    plot?.destroy();
    plot = new uPlot({
      width: Math.max(node.clientWidth, 200), height, cursor: { y: false, points: { size: 6 } }, legend: { live: true },
      series: [
        { value: (_, moment) => (moment === null || moment === undefined ? "" : clock(moment)) },
        ...wanted.map((one) => ({
          label: one.name, stroke: tint(one.colour), width: 1.5, points: { show: false }, spanGaps: false,
          fill: one.area ? tint(one.colour, 10) : undefined,
          value: (self, value, line) => figure(one, value ?? latest(self.data[line])),
        })),
      ],
      axes: [
        { ...axis(), size: 28, values: (_, moments) => moments.map((one) => clock(one).slice(0, 5)), space: 70 },
        { ...axis(), size: 58, values: (_, values) => values.map((one) => wanted[0].format(one)), space: 34 },
      ],
      scales: { x: { range: (_, low, high) => period || [low, high] }, y: { range: (_, low, high) => [0, (high || 1) * 1.08] } },
    }, held, node);
  }

  const watch = new ResizeObserver(() => { if (plot && node.clientWidth) plot.setSize({ width: node.clientWidth, height }); });
  watch.observe(node);
  const recolour = () => { if (plot) make(); };
  document.addEventListener("mystic-theme", recolour);
  return {
    node,
    show(columns, from_to = null) {
      [held, period] = [columns, from_to];
      const last = wanted.map((one, index) => `${one.name} ${figure(one, latest(columns[index + 1]))}`);
      node.setAttribute("aria-label", `${label}; now: ${last.join(", ")}`);
      if (plot) plot.setData(columns);
      else soon ||= painted().then(() => { if (node.isConnected) make(); }); // text and figures do not wait for a canvas
    },
    close() { watch.disconnect(); document.removeEventListener("mystic-theme", recolour); plot?.destroy(); },
  };
}

/** How many calls lasted how long; every column twice as long as the one before. */
export function histogram(bars, { width = 260, height = 96, labels = true } = {}) {
  const most = Math.max(1, ...bars.map((one) => one.count));
  const step = width / Math.max(bars.length, 8), foot = labels ? 16 : 0;
  const told = bars.filter((one) => one.count).map((one) => `${exact(one.count)} between ${duration(one.above)} and ${duration(one.up_to)}`);
  const sheet = svg("svg", { class: "histogram", viewBox: `0 0 ${width} ${height + foot}`, role: "img", "aria-label": `calls: ${told.join("; ") || "none"}` });
  if (labels) sheet.setAttribute("preserveAspectRatio", "xMinYMin meet");
  else { sheet.setAttribute("width", width); sheet.setAttribute("height", height); }
  bars.forEach((one, index) => {
    const tall = one.count ? Math.max(1.5, (height * one.count) / most) : 0;
    const bar = svg("rect", { x: index * step, y: height - tall, width: Math.max(step - 1.5, 1), height: tall, rx: 1 });
    bar.append(svg("title", {}, `${exact(one.count)} calls of ${duration(one.above)} to ${duration(one.up_to)}`));
    sheet.append(bar);
    if (labels && index % Math.ceil(bars.length / 4) === 0) {
      sheet.append(svg("text", { x: index * step, y: height + 13 }, duration(one.above)));
    }
  });
  return sheet;
}
