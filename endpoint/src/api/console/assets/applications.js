// All applications, with who is connected and what comes in.
import { connections, get, page, paths } from "./api.js";
import { createApplication } from "./document.js";
import { alertBox, empty, fill, h, labels, loading, number } from "./dom.js";
import { every } from "./live.js";
import { rateText, sparkline } from "./sparkline.js";

const PAGE = 50;

export async function applications(context) {
  const { main, may, signal } = context;
  if (!may("registry")) return withoutRegistry(context);
  const body = h("tbody", {});
  const more = h("div", { class: "more" });
  const rows = new Map();
  const create = h("button", { type: "button", class: "primary", onclick: () => createApplication((name) => context.go("apps", name)) }, "New application");
  const table = h(
    "table",
    { class: "list" },
    h("caption", { class: "hidden" }, "Applications"),
    h(
      "thead",
      {},
      h("tr", {}, ["Application", "Labels", "Connections", "Events, last 5 min", "Rate"].map((text, index) => h("th", { scope: "col", class: index > 1 ? "right" : null }, text))),
    ),
    body,
  );
  const list = h("section", { class: "card flush" }, loading("applications"));
  fill(main, h("div", { class: "head" }, h("h1", {}, "Applications"), h("div", { class: "spacer" }), create), list);

  await load();
  every(5000, signal, refresh);

  async function load(after) {
    const { items, next } = await page(paths.apps, { query: { limit: PAGE, continue: after, fields: "metadata.labels" }, signal });
    if (!after && !items.length) {
      fill(list, nothing());
      return;
    }
    fill(list, table, more);
    for (const { metadata } of items) {
      const row = applicationRow(context, metadata);
      rows.set(metadata.name, row);
      body.append(row.element);
    }
    fill(more, next ? h("button", { type: "button", onclick: () => load(next) }, "Show more") : null);
    refresh();
  }

  /// Asks for the figures of all rows, a few at a time.
  async function refresh() {
    const waiting = [...rows.values()];
    const work = async () => {
      for (let row = waiting.shift(); row && !signal.aborted; row = waiting.shift()) await row.refresh();
    };
    await Promise.all([work(), work(), work()]);
  }
}

const nothing = () =>
  empty(
    "No applications yet.",
    h("p", {}, "An application holds devices, and what they publish is read by its name. Create one here, or apply a document:"),
    h("pre", { class: "code" }, "landfall apply -f devices.yaml"),
  );

function applicationRow({ may, link, signal }, metadata) {
  const { name } = metadata;
  const connected = h("td", { class: "right num", "data-figure": "connections" }, "–");
  const shape = h("td", { class: "right" });
  const speed = h("td", { class: "right num" }, "–");
  const element = h(
    "tr",
    { "data-application": name },
    h("th", { scope: "row" }, h("a", { class: "name", href: link("apps", name) }, name)),
    h("td", {}, h("div", { class: "chips" }, labels(metadata.labels))),
    connected,
    shape,
    speed,
  );
  async function refresh() {
    const [who, history] = await Promise.all([
      connections(name, { signal }).catch(() => null),
      may("events") ? get(paths.history(name), { signal }).catch(() => null) : null,
    ]);
    if (who) fill(connected, connectedText(who));
    if (history) {
      fill(shape, sparkline(history));
      fill(speed, rateText(history));
    }
  }
  return { element, refresh };
}

export const connectedText = ({ items, more }) => `${number(items.length)}${more ? "+" : ""}`;

/// A token that may not list applications names the one it is for.
function withoutRegistry({ main, me, link, go }) {
  const own = me.applications ?? [];
  const name = h("input", { name: "application", required: true, "aria-label": "Application", placeholder: "Application" });
  const open = (event) => {
    event.preventDefault();
    go("apps", name.value.trim());
  };
  fill(
    main,
    h("div", { class: "head" }, h("h1", {}, "Applications")),
    h(
      "section",
      { class: "card" },
      alertBox("info", `Your token's roles: ${me.roles.join(", ")}.`, "It may not list applications; open one by its name."),
      own.length ? h("ul", {}, own.map((app) => h("li", {}, h("a", { href: link("apps", app) }, app)))) : null,
      h("form", { class: "line", onsubmit: open }, name, h("button", { class: "primary" }, "Open")),
    ),
  );
}
