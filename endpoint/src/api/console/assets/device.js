// One device: whether it is there, what it says, and a form to tell it something.
import { get, paths } from "./api.js";
import { stateOf } from "./application.js";
import { commandForm } from "./command.js";
import { connectionsOf } from "./connected.js";
import { editor } from "./document.js";
import { ago, empty, fill, h, loading } from "./dom.js";
import { eventStream } from "./events.js";
import { connectHistory } from "./history.js";
import { every } from "./live.js";

export async function device(context, app, name) {
  const { main, may, signal, go } = context;
  const document = may("registry") ? await get(paths.device(app, name), { signal }) : null;
  const state = h("span", {});
  const history = may("events") ? connectHistory({ app, device: name, signal }) : null;
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
      h("div", {}, history ? [h("h2", {}, "Last events"), eventStream({ app, device: name, signal, seen: history.seen, last: 50, rows: 50 }), h("h2", {}, "Connect history"), history.element] : null),
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
    const own = (await connectionsOf(app, [name], signal)).get(name);
    if (!own) return;
    fill(state, stateOf(own, document?.spec?.core?.disabled));
    fill(connected, own.length ? own.map(connection) : empty("Not connected."));
  });
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
