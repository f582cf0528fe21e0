// A tree of calls in which width is time. Arrow keys walk through it, Enter looks closer.

import { button, el, put } from "./dom.js";
import { tone } from "./tones.js";
import { duration, exact, plain, share } from "./units.js";

const ROW = 22, LEAST = 0.002, DEEPEST = 40; // pixels; share of the width below which nothing is drawn; levels

export function flame() {
  const node = el("div", { class: "flame", role: "group", "aria-label": "Flame graph" });
  const crumbs = el("p", { class: "crumbs" });
  let tree = null, path = [];

  function box(one, left, wide, depth, trail, whole) {
    const text = `${plain(one.name)} ${duration(one.total)} (${share(one.total / whole)})`;
    return el("button", {
      type: "button", class: `box ${tone(one.name)}`, title: `${text}, ${duration(one.self)} its own, ${exact(one.count)} calls`, "aria-label": text,
      style: { left: `${left * 100}%`, width: `${wide * 100}%`, top: `${depth * ROW}px` }, onclick: () => zoom(trail),
    }, wide > 0.03 ? text : "");
  }

  function draw() {
    const root = path.at(-1) || tree, whole = root.total || 1, boxes = [];
    let deepest = 0;
    const walk = (one, left, wide, depth, trail) => {
      if (wide < LEAST || depth > DEEPEST) return;
      deepest = Math.max(deepest, depth);
      if (one.name) boxes.push(box(one, left, wide, depth, trail, whole));
      const spent = Math.max(one.total, one.children.reduce((sum, child) => sum + child.total, 0)) || 1;
      let at = left;
      for (const child of one.children) {
        const part = (wide * child.total) / spent;
        walk(child, at, part, depth + (one.name ? 1 : 0), [...trail, child]);
        at += part;
      }
    };
    walk(root, 0, 1, 0, path);
    put(node, boxes);
    node.style.height = `${(deepest + 1) * ROW}px`;
    put(crumbs, path.length ? [button("All", () => zoom([]), { class: "quiet" }), path.map((one, index) => [" › ", button(plain(one.name), () => zoom(path.slice(0, index + 1)), { class: "quiet" })])].flat(2) : null);
  }

  function zoom(trail) {
    path = trail;
    draw();
    node.querySelector(".box")?.focus();
  }

  node.addEventListener("keydown", (event) => {
    const boxes = [...node.children], at = boxes.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: boxes.length - 1 }[event.key];
    if (event.key === "Escape" && path.length) zoom([]);
    if (to === undefined || at < 0 || !boxes[to]) return;
    event.preventDefault();
    boxes[to].focus();
  });
  return {
    node: el("div", {}, crumbs, node),
    show(found) { tree = found; path = []; draw(); },
    get looking() { return path.length > 0 || node.contains(document.activeElement); },
  };
}
