// The page: who is logged in, where they are, and the bar above everything.
import { forgetToken, get, paths, signedOut, token } from "./api.js";
import { application } from "./application.js";
import { applications } from "./applications.js";
import { device } from "./device.js";
import { alertBox, empty, fill, h, loading } from "./dom.js";
import { logIn } from "./log-in.js";

const main = document.getElementById("main");
const bar = document.getElementById("bar");

/// What the token may; null while nobody is logged in.
let me = null;
/// Ends what the page that is shown has going on.
let leave = new AbortController();

const may = (role) => me !== null && (me.roles.includes("admin") || me.roles.includes(role));

/// `#/apps/NAME/devices/NAME` as its decoded segments.
function place() {
  const hash = location.hash.startsWith("#/") ? location.hash.slice(2) : "";
  try {
    return hash.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    return ["?"];
  }
}

const link = (...segments) => `#/${segments.map(encodeURIComponent).join("/")}`;

async function show() {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  if (!token()) return welcome();
  try {
    if (!me) {
      fill(main, loading("the console"));
      me = await get(paths.own, { signal });
    }
    const segments = place();
    showBar(segments);
    const context = { main, me, may, link, signal, go: (...to) => (location.hash = link(...to)) };
    await view(segments, context);
    // A screen reader begins with what is new; the keyboard too.
    if (!signal.aborted && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
  } catch (error) {
    if (!signal.aborted && error.status !== 401) failed(error);
  }
}

function view([first, app, second, name], context) {
  document.title = [name, app, "Landfall"].filter(Boolean).join(" · ");
  if (first === undefined || (first === "apps" && app === undefined)) return applications(context);
  if (first === "apps" && second === undefined) return application(context, app, "devices");
  if (first === "apps" && second === "devices" && name) return device(context, app, name);
  if (first === "apps" && ["events", "document"].includes(second)) return application(context, app, second);
  fill(main, empty("There is nothing here.", h("a", { href: link("apps") }, "All applications")));
}

function failed(error) {
  const again = h("button", { type: "button", onclick: show }, "Try again");
  fill(main, h("section", { class: "card" }, alertBox("bad", "This could not be shown.", error.message), again));
}

function welcome(reason) {
  me = null;
  fill(bar);
  document.title = "Landfall";
  logIn(
    main,
    (own) => {
      me = own;
      show();
    },
    reason,
  );
}

function showBar([, app, section, name]) {
  const crumbs = [["Applications", link("apps")]];
  if (app) crumbs.push([app, link("apps", app)]);
  if (section === "devices" && name) crumbs.push([name, link("apps", app, "devices", name)]);
  fill(
    bar,
    h("a", { class: "brand", href: link("apps") }, h("img", { src: "console/icon.svg", width: "26", height: "26", alt: "" }), "Landfall"),
    h(
      "nav",
      { "aria-label": "Place" },
      h(
        "ol",
        { class: "crumbs" },
        crumbs.map(([text, href], index) =>
          h("li", {}, h("a", { href, "aria-current": index === crumbs.length - 1 ? "page" : null }, text)),
        ),
      ),
    ),
    h("span", { class: "who", title: `Roles: ${me.roles.join(", ")}` }, me.name),
    themeButton(),
    h("button", { type: "button", class: "plain", onclick: logOut }, "Log out"),
  );
}

function logOut() {
  forgetToken();
  leave.abort();
  welcome();
}

const THEMES = { auto: "light", light: "dark", dark: "auto" };
const THEME = "landfall.theme";
const theme = () => localStorage.getItem(THEME) ?? "auto";

/// Light, dark, or as the system has it.
function themeButton() {
  const button = h("button", { type: "button", class: "plain", onclick: change });
  const name = () => (button.textContent = { auto: "◐ Auto", light: "○ Light", dark: "● Dark" }[theme()]);
  const describe = () => button.setAttribute("aria-label", `Colours: ${theme()}. Change.`);
  function change() {
    localStorage.setItem(THEME, THEMES[theme()]);
    wear();
    name();
    describe();
  }
  name();
  describe();
  return button;
}

function wear() {
  document.documentElement.dataset.theme = theme();
}

document.querySelector(".skip").addEventListener("click", (click) => {
  click.preventDefault();
  main.focus();
});
signedOut.addEventListener("signedout", () => {
  forgetToken();
  leave.abort();
  welcome("The token is no longer good: it was revoked, or has expired.");
});
addEventListener("hashchange", show);
wear();
show();
