// Figures as people read them.

const round = (value, digits = 3) => String(Number(value.toPrecision(digits)));

export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  const size = Math.abs(seconds);
  if (size === 0) return "0";
  if (size < 0.9995e-6) return `${round(seconds * 1e9)} ns`;
  if (size < 0.9995e-3) return `${round(seconds * 1e6)} µs`;
  if (size < 0.9995) return `${round(seconds * 1e3)} ms`;
  return size < 120 ? `${round(seconds)} s` : span(seconds);
}

export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${round(seconds / 3600)} h` : `${round(seconds / 86400)} d`;
}

const WHOLE = new Intl.NumberFormat("en-US");

export const exact = (value) => (value === null || value === undefined ? "–" : WHOLE.format(value));

export function count(value) {
  if (value === null || value === undefined) return "–";
  if (value < 100000) return exact(value);
  return value < 1e6 ? `${round(value / 1e3)}k` : value < 1e9 ? `${round(value / 1e6)}M` : `${round(value / 1e9)}G`;
}

export function rate(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  return value < 10 ? round(value, 2) : count(Math.round(value));
}

export function share(value, digits = 2) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0%";
  const hundred = value * 100;
  return `${Math.abs(hundred) >= 100 ? Math.round(hundred) : round(hundred, digits)}%`;
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  let size = value, unit = 0;
  while (size >= 1024 && unit < 4) { size /= 1024; unit += 1; }
  return `${round(size)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

export const now = () => Date.now() / 1000;

export function ago(moment) {
  if (!moment) return "never";
  const passed = now() - moment;
  return passed < 2 ? "now" : `${span(passed)} ago`;
}

export function until(moment) {
  if (moment === null || moment === undefined) return "no end";
  const left = moment - now();
  return left <= 0 ? "ended" : `in ${span(left)}`;
}

const two = (value) => String(value).padStart(2, "0");

export function clock(moment, parts = false) {
  const at = new Date(moment * 1000);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return parts ? `${time}.${String(at.getMilliseconds()).padStart(3, "0")}` : time;
}

export function date(moment) {
  const at = new Date(moment * 1000);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(moment)}`;
}

/** Control characters and marks that turn the direction of text, made visible; names come from applications. */
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g;

export const plain = (text) => String(text ?? "").replace(UNSEEN, "\ufffd");
