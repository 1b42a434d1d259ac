// A form that sends a command, and what became of it.
import { paths, send } from "./api.js";
import { alertBox, chip, field, fill, h } from "./dom.js";

const OUTCOMES = {
  acknowledged: ["good", "Acknowledged", "The device has taken it."],
  sent: ["good", "Sent", "Written to the device, which asks for no acknowledgements (QoS 0)."],
  handedOver: ["info", "Handed over", "It is on its way; nobody waited for more."],
  held: ["warn", "Held", "It is on disk, and waits for the device."],
};

const TYPES = [
  ["application/json", "JSON"],
  ["text/plain", "Text"],
  ["", "None"],
];

export function commandForm({ signal }, app, device) {
  const name = h("input", { name: "command", required: true, placeholder: "set-temp", spellcheck: "false", autocomplete: "off" });
  const body = h("textarea", { name: "payload", rows: "3", spellcheck: "false", placeholder: '{"target": 23}' });
  const type = h("select", { name: "type" }, TYPES.map(([value, text]) => h("option", { value }, text)));
  const wait = h("input", { type: "number", name: "wait", min: "0", max: "60", value: "5" });
  const hold = h("input", { type: "number", name: "hold", min: "0", placeholder: "0" });
  const answer = h("input", { type: "checkbox", name: "answer" });
  const button = h("button", { class: "primary" }, "Send");
  const outcome = h("div", { class: "outcome", "aria-live": "polite" });
  return h(
    "form",
    { class: "command", onsubmit: submit },
    field("Command", name),
    field("Payload", body),
    h(
      "div",
      { class: "three" },
      field("Content type", type),
      field("Wait", wait, "seconds"),
      field("Hold", hold, "seconds, if offline"),
    ),
    h("div", { class: "line" }, h("label", { class: "check" }, answer, " Wait for its answer"), h("div", { class: "spacer" }), button),
    outcome,
  );

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    fill(outcome, h("p", { class: "loading" }, h("span", { class: "spinner" }), "Waiting for the device…"));
    const query = { command: name.value.trim(), timeout: wait.value || 5, ttl: Number(hold.value) || undefined, response: answer.checked || undefined };
    const headers = type.value ? { "content-type": type.value } : {};
    try {
      const response = await send("POST", paths.command(app, device), { query, headers, body: body.value, signal });
      fill(outcome, answer.checked ? await answered(response) : happened(await response.json()));
    } catch (error) {
      if (!signal.aborted) fill(outcome, alertBox("bad", title(error.code), error.message));
    } finally {
      button.disabled = false;
    }
  }
}

const title = (code) => {
  const words = (code || "failed").replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
};

function happened({ outcome, deliveries = [], held }) {
  const [kind, name, meaning] = OUTCOMES[outcome] ?? ["info", outcome, ""];
  return [
    alertBox(kind, name, meaning, ...(held ? [`Until ${new Date(held.expires).toLocaleString()}.`] : [])),
    deliveries.map(({ device, via, qos, instance, latencyMs }) =>
      h(
        "p",
        { class: "delivery" },
        chip(`QoS ${qos}`),
        via === device ? "directly" : `through ${via}`,
        latencyMs === undefined ? null : h("strong", {}, `${latencyMs.toFixed(latencyMs < 10 ? 2 : 0)} ms`),
        h("span", { class: "muted" }, `at ${instance}`),
      ),
    ),
  ];
}

async function answered(response) {
  const via = decodeURIComponent(response.headers.get("landfall-via") ?? "");
  const type = response.headers.get("content-type") ?? "";
  const text = await response.text();
  return [alertBox("good", "Answered", `by ${via}, as ${type || "bytes"}`), h("pre", { class: "code", tabindex: "0" }, text)];
}
