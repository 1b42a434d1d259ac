// One device: whether it is there, what it says, and a form to tell it something.
import { get, page, paths } from "./api.js";
import { stateOf } from "./application.js";
import { commandForm } from "./command.js";
import { editor } from "./document.js";
import { ago, clock, empty, fill, h, loading } from "./dom.js";
import { CONNECTION, eventStream } from "./events.js";
import { every } from "./live.js";

/// Changes that are shown.
const MOST_CHANGES = 20;

export async function device(context, app, name) {
  const { main, may, signal, go } = context;
  const document = may("registry") ? await get(paths.device(app, name), { signal }) : null;
  const state = h("span", {});
  const history = connectHistory();
  const connected = h("div", {}, loading("connections"));
  const edit = h("section", { class: "card", hidden: true });
  const editButton = h("button", { type: "button", "aria-expanded": "false", onclick: toggleEditor }, "Edit");
  async function toggleEditor() {
    edit.hidden = !edit.hidden;
    editButton.setAttribute("aria-expanded", String(!edit.hidden));
    if (!edit.hidden) {
      fill(edit, await editor(context, { segments: paths.device(app, name), what: `device ${name}`, warning: "It is disconnected at once and cannot log in any more. Its events stay.", gone: () => go("apps", app) }));
      edit.querySelector("textarea").focus();
    }
  }
  fill(
    main,
    h(
      "div",
      { class: "head" },
      h("h1", {}, name),
      state,
      h("div", { class: "spacer" }),
      may("registry") ? editButton : null,
    ),
    edit,
    h(
      "div",
      { class: "columns" },
      h("div", {}, may("events") ? [h("h2", {}, "Last events"), eventStream({ app, device: name, signal, seen: history.seen, last: 50, rows: 50 }), h("h2", {}, "Connect history"), history.element] : null),
      h(
        "div",
        {},
        may("command") ? [h("h2", {}, "Send a command"), h("section", { class: "card" }, commandForm(context, app, name))] : null,
        h("h2", {}, "Connections"),
        h("section", { class: "card" }, connected),
        document ? [h("h2", {}, "Device"), h("section", { class: "card" }, summary(context, app, document))] : null,
      ),
    ),
  );
  if (!may("registry") && !may("command")) return fill(connected, empty("Your token may not see connections."));
  every(2000, signal, async () => {
    const own = await ofDevice(app, name, signal);
    fill(state, stateOf(own, document?.spec?.core?.disabled));
    fill(connected, own.length ? own.map(connection) : empty("Not connected."));
  });
}

/// The list is ordered by device and starts after a name: its own without the last character is one
/// that comes before it.
async function ofDevice(app, name, signal) {
  const before = [...name].slice(0, -1).join("");
  const query = { limit: 1000, continue: before };
  const found = [];
  for (let pages = 0; pages < 5; pages += 1) {
    const { items, next } = await page(paths.connections(app), { query, signal });
    found.push(...items.filter((item) => item.device === name));
    if (!next || next >= name) break;
    query.continue = next;
  }
  return found;
}

const connection = ({ clientId, since, peer, transport, version, instance }) =>
  h(
    "dl",
    { class: "attributes" },
    [["Client id", clientId], ["From", peer], ["By", `${transport}, MQTT ${version}`], ["Since", ago(since)], ["Instance", instance]].map(([term, value]) =>
      h("div", {}, h("dt", {}, term), h("dd", {}, value)),
    ),
  );

/// What its document says, in short.
function summary({ link }, app, { metadata, spec = {} }) {
  const gateways = spec.gatewaySelector?.matchNames ?? [];
  const credentials = spec.authentication?.credentials ?? [];
  const kinds = credentials.map((credential) => Object.keys(credential)[0]);
  const rows = [
    ["Created", metadata.creationTimestamp ? ago(metadata.creationTimestamp) : "–"],
    ["Log-in by", [...new Set(kinds)].join(", ") || (spec.alias?.length ? "certificate" : "nothing of its own")],
    ["Speaks through", gateways.length ? gateways.flatMap((gateway, index) => [index ? ", " : "", h("a", { href: link("apps", app, "devices", gateway) }, gateway)]) : "itself"],
    ["Aliases", (spec.alias ?? []).join("; ") || "–"],
    ["Version", String(metadata.resourceVersion ?? "–")],
  ];
  return h("dl", { class: "attributes" }, rows.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
}

/// When it came and went, as far as the events tell that are shown.
function connectHistory() {
  const changes = [];
  const list = h("ol", { class: "changes" }, h("li", {}, empty("Nothing in the events above.")));
  const seen = (event) => {
    if (event.type !== CONNECTION || changes.some(({ id }) => id === event.id)) return;
    changes.push(event);
    changes.sort((one, other) => Date.parse(other.time) - Date.parse(one.time));
    changes.length = Math.min(changes.length, MOST_CHANGES);
    fill(list, changes.map(change));
  };
  return { element: h("section", { class: "card" }, list), seen };
}

const change = ({ time, data }) =>
  h(
    "li",
    {},
    h("span", { class: `chip dot ${data.connected ? "good" : ""}` }, data.connected ? "connected" : "disconnected"),
    h("span", {}, ago(time)),
    h("span", { class: "muted" }, clock(time)),
  );
