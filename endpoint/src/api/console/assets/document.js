// Documents of applications and devices: made by a form or written by hand. The server alone judges
// them, and its words are shown as they are.
import { get, paths, send, write } from "./api.js";
import { alertBox, confirmed, field, fill, h, toast } from "./dom.js";

/// What a document is called in the server's messages, and the field that holds it.
const problems = (error) => {
  const lines = error.message.split(/\n|; (?=(?:metadata|spec)\b)/).filter(Boolean);
  return alertBox("bad", error.code === "conflict" ? "Somebody else changed it meanwhile." : "The server refuses this.", ...lines);
};

/// An editor of a stored document; saving keeps secrets that are shown as references.
export async function editor({ signal }, { segments, what, warning, gone }) {
  const text = h("textarea", { class: "document", name: "document", rows: "24", spellcheck: "false", "aria-label": `Document of ${what}` });
  const wrong = h("div", {});
  const save = h("button", { class: "primary" }, "Save");
  const load = async () => {
    text.value = `${JSON.stringify(await get(segments, { signal }), null, 2)}\n`;
    fill(wrong);
  };
  const submit = async (event) => {
    event.preventDefault();
    save.disabled = true;
    try {
      const stored = await write("PUT", segments, text.value);
      text.value = `${JSON.stringify(stored, null, 2)}\n`;
      fill(wrong, alertBox("good", "Saved."));
    } catch (error) {
      fill(wrong, problems(error));
      text.focus();
    } finally {
      save.disabled = false;
    }
  };
  const remove = async () => {
    if (!(await confirmed(`Delete ${what}?`, warning, "Delete"))) return;
    try {
      await send("DELETE", segments);
      toast(`Deleted ${what}.`);
      gone();
    } catch (error) {
      fill(wrong, problems(error));
    }
  };
  await load();
  return h(
    "form",
    { class: "stack", onsubmit: submit },
    h("p", { class: "hint" }, "JSON or YAML. Secrets are shown as references, and a reference keeps the secret. A plain ", h("code", {}, "pass"), " is stored hashed."),
    text,
    wrong,
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", class: "danger", onclick: remove }, "Delete"),
      h("div", { class: "spacer" }),
      h("button", { type: "button", onclick: () => load().catch((error) => fill(wrong, problems(error))) }, "Read again"),
      save,
    ),
  );
}

export const createApplication = (done) =>
  dialog({ title: "New application", done, segments: paths.apps, fields: [nameField("my-app")], document: ({ name }) => ({ metadata: { name } }) });

export function createDevice(app, done) {
  const password = h("input", { name: "password", spellcheck: "false", autocomplete: "off" });
  const make = h("button", { type: "button", onclick: () => (password.value = randomPassword()) }, "Generate");
  const gateways = h("input", { name: "gateways", spellcheck: "false", placeholder: "gateway01, gateway02" });
  dialog({
    title: `New device in ${app}`,
    done,
    segments: paths.devices(app),
    fields: [
      nameField("sensor01"),
      field("Password", h("span", { class: "line" }, password, make), "Write it down: only its hash is stored. Empty: by certificate, key, or through a gateway."),
      field("Speaks through", gateways, "Gateways that may speak for it, if any."),
    ],
    document: ({ name }) => {
      const names = gateways.value.split(",").map((part) => part.trim()).filter(Boolean);
      const spec = {};
      if (password.value) spec.authentication = { credentials: [{ pass: password.value }] };
      if (names.length) spec.gatewaySelector = { matchNames: names };
      return { metadata: { name, application: app }, spec };
    },
  });
}

const nameField = (example) => field("Name", h("input", { name: "name", placeholder: example, spellcheck: "false", autocomplete: "off", autofocus: true }));

/// A form, and behind it the document that it makes, for all that a form does not have.
function dialog({ title, fields, document: make, segments, done }) {
  const wrong = h("div", {});
  const form = h("div", { class: "stack" }, fields);
  const text = h("textarea", { class: "document", rows: "14", spellcheck: "false", name: "document", "aria-label": "Document", hidden: true });
  const create = h("button", { class: "primary" }, "Create");
  const byHand = h("button", { type: "button", class: "plain", onclick: writeByHand }, "Write the document");
  const window = h(
    "dialog",
    { class: "dialog wide", "aria-labelledby": "title", onclose: () => window.remove() },
    h(
      "form",
      { class: "stack", onsubmit: submit },
      h("h2", { id: "title" }, title),
      form,
      text,
      wrong,
      h("div", { class: "actions" }, byHand, h("div", { class: "spacer" }), h("button", { type: "button", onclick: () => window.close() }, "Cancel"), create),
    ),
  );
  document.body.append(window);
  window.showModal();

  const name = () => form.querySelector("[name=name]").value.trim();
  function writeByHand() {
    text.value = `${JSON.stringify(make({ name: name() }), null, 2)}\n`;
    [text.hidden, form.hidden, byHand.hidden] = [false, true, true];
    text.focus();
  }

  async function submit(event) {
    event.preventDefault();
    create.disabled = true;
    const written = text.hidden ? JSON.stringify(make({ name: name() })) : text.value;
    try {
      const stored = await write("POST", segments, written);
      window.close();
      toast(`${stored.metadata.name} was created.`);
      done(stored.metadata.name);
    } catch (error) {
      fill(wrong, problems(error));
      markWrong(error.message);
    } finally {
      create.disabled = false;
    }
  }

  /// Leads to the field that the server names.
  function markWrong(message) {
    const named = { name: /metadata\.name|already/, gateways: /gatewaySelector/, password: /credentials/ };
    for (const input of form.querySelectorAll("input")) {
      const wrong = named[input.name]?.test(message);
      if (wrong) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
    (form.querySelector("[aria-invalid]") ?? create).focus();
  }
}

/// 120 random bits that can be typed.
function randomPassword() {
  const letters = "abcdefghijkmnpqrstuvwxyz23456789";
  return [...crypto.getRandomValues(new Uint8Array(24))].map((byte) => letters[byte % letters.length]).join("");
}
