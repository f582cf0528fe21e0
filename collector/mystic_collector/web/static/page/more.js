// A list that shows its newest rows first, and further ones when somebody asks for them.

import { button, el } from "./dom.js";

/** @param steps how many rows are asked for, first and after each wish for more; `again` asks anew. */
export function more(steps, again) {
  let at = 0;
  const node = el("p", { class: "more" }, button("Show more", () => { at += 1; again(); }));
  node.hidden = true;
  return {
    node,
    get limit() { return steps[at]; },
    show(count) { node.hidden = count < steps[at] || at + 1 >= steps.length; },
  };
}
