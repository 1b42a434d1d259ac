// Elements out of plain calls: text is always text, never HTML.

/// Makes an element. Names that begin with `on` are listeners, `class` and all else attributes;
/// `true` is an attribute without value, `null` and `false` none.
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value") element.value = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

/// Puts these children in place of all that an element has.
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/// A field with its label, its hint, and room for what is wrong with it.
export function field(label, control, hint) {
  const id = `f${(field.count = (field.count ?? 0) + 1)}`;
  const input = control.matches("span") ? control.querySelector("input") : control;
  input.id = id;
  const described = hint ? h("p", { class: "hint", id: `${id}h` }, hint) : null;
  if (described) input.setAttribute("aria-describedby", described.id);
  return h("div", { class: "field" }, h("label", { for: id }, label), control, described);
}

/// A message that a screen reader reads at once.
export function alertBox(kind, title, ...text) {
  return h(
    "div",
    { class: `notice ${kind}`, role: kind === "bad" ? "alert" : "status" },
    h("strong", {}, title),
    text.map((line) => h("p", {}, line)),
  );
}

/// What is shown while something is on its way.
export const loading = (what) =>
  h("p", { class: "loading", role: "status" }, h("span", { class: "spinner" }), `Loading ${what}…`);

/// What is shown where there is nothing: what it is, and how to change that.
export const empty = (title, ...more) =>
  h("div", { class: "empty" }, h("strong", {}, title), more);

export const chip = (text, kind = "") => h("span", { class: `chip ${kind}` }, text);

export const labels = (all = {}) =>
  Object.entries(all).map(([key, value]) => chip(value ? `${key}=${value}` : key));

/// Says something in passing.
export function toast(text, kind = "good") {
  const element = h("div", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(element);
  setTimeout(() => element.remove(), 6000);
}

/// Asks before something that cannot be undone.
export function confirmed(title, text, action) {
  return new Promise((resolve) => {
    const dialog = h(
      "dialog",
      { class: "dialog", "aria-labelledby": "confirm", onclose: () => (dialog.remove(), resolve(dialog.returnValue === "yes")) },
      h("h2", { id: "confirm" }, title),
      h("p", {}, text),
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", autofocus: true, onclick: () => dialog.close("no") }, "Cancel"),
        h("button", { type: "button", class: "danger", onclick: () => dialog.close("yes") }, action),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

/// How long ago, with the exact time at hand.
export function ago(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  const [unit, length] = UNITS.find(([, least]) => seconds >= least) ?? ["second", 1];
  const text = seconds < 1 ? "now" : relative.format(-Math.floor(seconds / length), unit);
  return h("time", { datetime: time, title: new Date(time).toLocaleString() }, text);
}

const clockFormat = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});

export const clock = (time) =>
  h("time", { datetime: time, title: new Date(time).toLocaleString() }, clockFormat.format(new Date(time)));

const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const number = (n) => (n < 10 && !Number.isInteger(n) ? n.toFixed(1) : short.format(n));
