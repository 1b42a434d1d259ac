// One application: its figures, its devices, its events, its document.
import { ApiError, connections, get, page, paths } from "./api.js";
import { connectedText } from "./applications.js";
import { connectionsOf } from "./connected.js";
import { createDevice, editor } from "./document.js";
import { alertBox, ago, chip, empty, fill, h, labels, loading } from "./dom.js";
import { eventStream } from "./events.js";
import { every } from "./live.js";
import { rateText, sparkline } from "./sparkline.js";

const PAGE = 100;

export async function application(context, app, tab) {
  const { main, may, link, signal } = context;
  const tabs = [
    ["devices", "Devices", "registry", link("apps", app)],
    ["events", "Events", "events", link("apps", app, "events")],
    ["document", "Document", "registry", link("apps", app, "document")],
  ].filter(([, , role]) => may(role));
  const shown = tabs.some(([id]) => id === tab) ? tab : tabs[0]?.[0];
  const body = h("div", {}, loading(shown ?? "the application"));
  fill(
    main,
    h("div", { class: "head" }, h("h1", {}, app), h("div", { class: "spacer" }), figures(context, app)),
    h(
      "nav",
      { class: "tabs", "aria-label": "Parts of the application" },
      tabs.map(([id, text, , href]) => h("a", { href, "aria-current": id === shown ? "page" : null }, text)),
    ),
    body,
  );
  if (may("registry")) await get(paths.app(app), { signal });
  if (shown === "devices") return devices(context, app, body);
  if (shown === "events") return fill(body, eventStream({ app, signal, link }));
  if (shown === "document") return fill(body, await editor(context, { segments: paths.app(app), what: `application ${app}`, warning: "All its devices go with it and are disconnected at once. Its events stay until they expire.", gone: () => context.go("apps") }));
  fill(body, empty("Your token may not read this application.", h("p", {}, "It can send commands: open a device by its name.")));
}

/// How many are connected, and what comes in.
function figures({ may, signal }, app) {
  const connected = h("dd", { "data-figure": "connections" }, "–");
  const shape = h("dd", {});
  const speed = h("dd", {}, "–");
  every(3000, signal, async () => {
    const [who, history] = await Promise.all([
      may("registry") || may("command") ? connections(app, { signal }).catch(() => null) : null,
      may("events") ? get(paths.history(app), { signal }).catch(() => null) : null,
    ]);
    if (who) fill(connected, connectedText(who));
    if (history) {
      fill(shape, sparkline(history, 180));
      fill(speed, rateText(history));
    }
  });
  return h(
    "dl",
    { class: "figures" },
    h("div", {}, h("dt", {}, "Connections"), connected),
    may("events") ? h("div", {}, h("dt", {}, "Rate"), speed) : null,
    may("events") ? h("div", {}, h("dt", {}, "Last 5 min"), shape) : null,
  );
}

async function devices(context, app, place) {
  const { link, signal, go } = context;
  const filter = h("input", { type: "search", name: "labels", placeholder: "site=north, !retired", spellcheck: "false", "aria-label": "Filter by labels" });
  const find = h("input", { type: "search", name: "device", placeholder: "Name of a device", spellcheck: "false", "aria-label": "Open a device by its name" });
  const wrong = h("div", {});
  const rows = new Map();
  /// Rows up to here show what is known of their connections, the others that nothing is.
  let read = 0;
  const body = h("tbody", {});
  const more = h("div", { class: "more" });
  const list = h("section", { class: "card flush" }, loading("devices"));
  const table = h(
    "table",
    { class: "list" },
    h("caption", { class: "hidden" }, `Devices of ${app}`),
    h("thead", {}, h("tr", {}, ["Device", "State", "Connected by", "Speaks through", "Labels"].map((text) => h("th", { scope: "col" }, text)))),
    body,
  );
  const create = h("button", { type: "button", class: "primary", onclick: () => createDevice(app, (name) => go("apps", app, "devices", name)) }, "New device");
  fill(
    place,
    h(
      "div",
      { class: "toolbar" },
      h("form", { onsubmit: open, class: "line" }, find, h("button", {}, "Open")),
      h("form", { onsubmit: (event) => (event.preventDefault(), load()), class: "line" }, filter, h("button", {}, "Filter")),
      h("div", { class: "spacer" }),
      create,
    ),
    wrong,
    list,
  );
  await load();
  every(2000, signal, refresh);

  async function open(event) {
    event.preventDefault();
    const name = find.value.trim();
    if (!name) return;
    try {
      await get(paths.device(app, name), { signal });
      go("apps", app, "devices", name);
    } catch (error) {
      if (!signal.aborted) fill(wrong, alertBox("bad", error.message));
    }
  }

  async function load(after) {
    fill(wrong);
    if (!after) {
      fill(body);
      rows.clear();
      read = 0;
    }
    try {
      const query = { limit: PAGE, continue: after, labels: filter.value.trim(), fields: "metadata.labels,spec.core,spec.gatewaySelector" };
      const { items, next } = await page(paths.devices(app), { query, signal });
      for (const document of items) {
        const row = deviceRow(link, app, document);
        rows.set(document.metadata.name, row);
        body.append(row.element);
      }
      if (rows.size || next) fill(list, table, more);
      else fill(list, filter.value ? empty("No device has these labels.") : noDevices());
      fill(more, next ? h("button", { type: "button", onclick: () => load(next) }, "Show more") : null);
      await refresh();
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status === 400) return fill(wrong, alertBox("bad", error.message));
      throw error;
    }
  }

  /// Where there are too many connections to be read at once, the next time goes on.
  async function refresh() {
    const names = [...rows.keys()];
    const start = read < names.length ? read : 0;
    const found = await connectionsOf(app, names.slice(start), signal);
    read = start + found.size;
    for (const [name, connections] of found) rows.get(name)?.show(connections);
  }
}

const noDevices = () =>
  empty("No devices yet.", h("p", {}, "A device is what connects: give it a name and a password, and publish with any MQTT client as"), h("pre", { class: "code" }, "mosquitto_pub -u DEVICE@APPLICATION -P PASSWORD -t CHANNEL -m PAYLOAD"));

function deviceRow(link, app, { metadata, spec = {} }) {
  const state = h("td", {}, "–");
  const by = h("td", { class: "muted" });
  const { name } = metadata;
  const show = (connections) => {
    fill(state, stateOf(connections, spec.core?.disabled));
    const [first, ...others] = connections;
    fill(by, first ? [`${first.transport} · MQTT ${first.version} · `, ago(first.since), others.length ? ` (+${others.length})` : ""] : "");
  };
  const element = h(
    "tr",
    { "data-device": name },
    h("th", { scope: "row" }, h("a", { class: "name", href: link("apps", app, "devices", name) }, name)),
    state,
    by,
    h("td", {}, (spec.gatewaySelector?.matchNames ?? []).join(", ")),
    h("td", {}, h("div", { class: "chips" }, labels(metadata.labels))),
  );
  return { element, show };
}

/// Connected or not, in a word and a colour.
export function stateOf(connections, disabled) {
  if (connections.length) return chip("Connected", "good dot");
  return disabled ? chip("Disabled", "bad dot") : chip("Offline", "dot");
}
