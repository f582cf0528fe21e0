// One colour for one module, the same on every page.

const TONES = 8;

export function tone(text) {
  const module = String(text).split(/[:.]/).slice(0, 2).join(".");
  let hash = 7;
  for (const char of module) hash = (hash * 31 + char.codePointAt(0)) >>> 0;
  return `tone-${hash % TONES}`;
}
