// One stream that says when there is something new. What is new is asked for by whoever shows it.

import { address } from "./api.js";

const FIRST = 1000, LONGEST = 15000; // milliseconds between attempts to connect

export function live(changed, state) {
  let source = null, wait = FIRST, timer = 0;
  const open = () => {
    source = new EventSource(address("api/live"));
    source.addEventListener("open", () => { wait = FIRST; state("live"); });
    source.addEventListener("changed", (event) => changed(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      state("offline");
      if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      source.close();
      clearTimeout(timer);
      timer = setTimeout(open, wait);
      wait = Math.min(wait * 2, LONGEST);
    });
  };
  const again = () => { clearTimeout(timer); source?.close(); wait = FIRST; open(); };
  open();
  return { again, close() { clearTimeout(timer); source?.close(); } };
}
