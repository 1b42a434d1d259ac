// The first page: a token, and who it is.
import { get, paths, setToken } from "./api.js";
import { alertBox, field, fill, h } from "./dom.js";

/// Asks for a token until one is good, and calls back with what it may.
export function logIn(main, done, reason) {
  const input = h("input", { type: "password", name: "token", autocomplete: "current-password", required: true, spellcheck: "false", autofocus: true });
  const wrong = h("div", {});
  const button = h("button", { class: "primary wide" }, "Log in");
  const form = h(
    "form",
    { class: "card login", onsubmit: submit },
    h("img", { src: "console/icon.svg", width: "48", height: "48", alt: "" }),
    h("h1", {}, "Landfall"),
    h("p", { class: "muted" }, "Devices, events and commands of this server."),
    reason ? alertBox("warn", reason) : null,
    field("API token", input),
    wrong,
    button,
    h(
      "p",
      { class: "hint" },
      "The first token is in the server's data folder, in the file ",
      h("code", {}, "token"),
      "; ",
      h("code", {}, "landfall token create"),
      " makes others. It stays in this tab.",
    ),
  );
  fill(main, form);
  input.focus();

  async function submit(event) {
    event.preventDefault();
    const token = input.value.trim();
    button.disabled = true;
    try {
      const me = await get(paths.own, { withToken: token });
      setToken(token);
      done(me);
    } catch (error) {
      const text = error.status === 401 ? "It may be mistyped, revoked or expired." : error.message;
      fill(wrong, alertBox("bad", error.status === 401 ? "This is no token of this server." : "No log-in.", text));
      input.setAttribute("aria-invalid", "true");
      input.select();
      input.focus();
    } finally {
      button.disabled = false;
    }
  }
}
