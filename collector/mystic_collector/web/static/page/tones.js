// One colour for one function, the same on every page.

const TONES = 8;

export function tone(text) {
  let hash = 7;
  for (const char of String(text)) hash = (hash * 31 + char.codePointAt(0)) >>> 0;
  return `tone-${hash % TONES}`;
}
