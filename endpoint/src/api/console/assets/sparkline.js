// Events of the last minutes as a line, without axes: a shape to be seen at a glance.
import { h, number, svg } from "./dom.js";

const HEIGHT = 32;

/// Shows numbers, the oldest first; the newest period is not over yet and is left out.
export function sparkline({ counts, period }, width = 144) {
  const whole = counts.slice(0, -1);
  const most = Math.max(1, ...whole);
  const x = (index) => ((index * width) / Math.max(1, whole.length - 1)).toFixed(1);
  const y = (count) => (HEIGHT - 2 - (count * (HEIGHT - 4)) / most).toFixed(1);
  const line = whole.map((count, index) => `${index ? "L" : "M"}${x(index)} ${y(count)}`).join("");
  const total = counts.reduce((sum, count) => sum + count, 0);
  const minutes = Math.round((counts.length * period) / 60);
  const label = `${total} events in ${minutes} min, at most ${number(most / period)} a second`;
  return svg(
    "svg",
    { class: `spark${total ? "" : " still"}`, viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": label, preserveAspectRatio: "none" },
    text("title", label),
    svg("path", { class: "area", d: `${line}L${width} ${HEIGHT}L0 ${HEIGHT}Z` }),
    svg("path", { class: "line", d: line }),
  );
}

function text(name, content) {
  const element = svg(name);
  element.textContent = content;
  return element;
}

/// Events a second, over the last whole periods.
export function rate({ counts, period }) {
  const last = counts.slice(-3, -1);
  return last.reduce((sum, count) => sum + count, 0) / (Math.max(1, last.length) * period);
}

/// The rate in words.
export const rateText = (history) =>
  h("span", { class: "rate" }, number(rate(history)), h("span", { class: "unit" }, "/s"));
