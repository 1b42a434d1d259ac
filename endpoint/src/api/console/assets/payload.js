// A payload as people read it: JSON pretty, text as text, all else in hexadecimal.
import { fill, h } from "./dom.js";

const MOST_BYTES = 4096;

/// A number as it was sent: JavaScript's own would round 12345678901234567890.
class Verbatim {
  constructor(source) {
    this.source = source;
  }
}

/// Parses an event, with its numbers as they were sent where the browser can tell.
export function parseEvent(text) {
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && context?.source && context.source !== String(value)
      ? new Verbatim(context.source)
      : value,
  );
}

/// One line of an event's data.
export function preview(event) {
  if (event.data !== undefined) return compact(event.data);
  if (event.data_base64 === undefined) return "(empty)";
  const bytes = decode(event.data_base64);
  return textOf(bytes) ?? hexOf(bytes.slice(0, 32)) + (bytes.length > 32 ? " …" : "");
}

function compact(value) {
  return value instanceof Verbatim ? value.source : JSON.stringify(value, (_, v) => (v instanceof Verbatim ? v.source : v));
}

/// The whole data, with a choice of views where there is one.
export function payload(event) {
  const views = [];
  if (event.data !== undefined) {
    views.push(["JSON", () => h("pre", { class: "code", tabindex: "0" }, pretty(event.data, 0))]);
  }
  const bytes =
    event.data_base64 === undefined
      ? new TextEncoder().encode(event.data === undefined ? "" : compact(event.data))
      : decode(event.data_base64);
  const text = event.data === undefined ? textOf(bytes) : null;
  if (bytes.length && text !== null) views.push(["Text", () => h("pre", { class: "code", tabindex: "0" }, text)]);
  if (event.data === undefined) views.push(["Hex", () => hexDump(bytes)]);
  if (!bytes.length) return h("p", { class: "muted" }, "No payload.");
  return tabs(views, `${bytes.length} bytes`);
}

function tabs(views, note) {
  const shown = h("div", {});
  const buttons = views.map(([name, make]) =>
    h("button", { type: "button", class: "small", "aria-pressed": "false", onclick: (click) => show(click.currentTarget, make) }, name),
  );
  const show = (button, make) => {
    for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    fill(shown, make());
  };
  show(buttons[0], views[0][1]);
  const choice = buttons.length > 1 ? h("div", { class: "group", role: "group", "aria-label": "View" }, buttons) : h("span", { class: "kind" }, views[0][0]);
  return h("div", { class: "payload" }, h("div", { class: "line" }, choice, h("span", { class: "muted" }, note)), shown);
}

/// JSON with a line for each member.
function pretty(value, depth) {
  const indent = "  ".repeat(depth + 1);
  const close = "  ".repeat(depth);
  const joined = (open, items, end) =>
    items.length ? [open, items.flatMap((item, index) => [index ? ",\n" : "\n", indent, item]), `\n${close}${end}`] : [open + end];
  if (value instanceof Verbatim) return [h("span", { class: "num" }, value.source)];
  if (Array.isArray(value)) return joined("[", value.map((item) => pretty(item, depth + 1)), "]");
  if (value && typeof value === "object") {
    const members = Object.entries(value).map(([key, member]) => [h("span", { class: "key" }, JSON.stringify(key)), ": ", pretty(member, depth + 1)]);
    return joined("{", members, "}");
  }
  const kind = typeof value === "string" ? "str" : typeof value === "number" ? "num" : "word";
  return [h("span", { class: kind }, JSON.stringify(value))];
}

function hexDump(bytes) {
  const shown = bytes.slice(0, MOST_BYTES);
  const lines = [];
  for (let offset = 0; offset < shown.length; offset += 16) {
    const part = shown.slice(offset, offset + 16);
    const ascii = [...part].map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(
      h("span", { class: "muted" }, offset.toString(16).padStart(8, "0")),
      `  ${hexOf(part).padEnd(47)}  `,
      h("span", { class: "str" }, ascii),
      "\n",
    );
  }
  if (bytes.length > shown.length) lines.push(h("span", { class: "muted" }, `… ${bytes.length - shown.length} more bytes`));
  return h("pre", { class: "code", tabindex: "0" }, lines);
}

const decode = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

const hexOf = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");

/// The text that the bytes are, if they are some.
function textOf(bytes) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(text) ? null : text;
  } catch {
    return null;
  }
}
