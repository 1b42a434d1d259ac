// The console in a browser: `node console.mjs DEVTOOLS-URL CONSOLE-URL SCENARIO`. The test that starts it
// publishes and subscribes when a line says that the page is ready for it.
import { open } from "./devtools.mjs";

const [devtools, url, scenario] = process.argv.slice(2);
const pictures = process.env.LANDFALL_TEST_PICTURES;
const token = process.env.LANDFALL_TOKEN;
const say = (line) => console.log(line);
const fail = (text) => {
  throw new Error(text);
};

/// WCAG 2.1, 1.4.3: 4.5 to 1. Colours that are see-through are laid over what is behind them.
const CONTRAST = `(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (part) => ((part /= 255) <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.matches(".skip, noscript, caption")) continue;
    const behind = [];
    for (let at = element; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    const [a, b] = [luminance(rgb(behind)), luminance(rgb([...behind, getComputedStyle(element).color]))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push([element.className, element.textContent.trim().slice(0, 40), ratio.toFixed(2)]);
  }
  return low;
})()`;

const page = await open(devtools);
const picture = async (name, ...size) => {
  if (pictures) await page.screenshot(`${pictures}/${name}.png`, ...size);
};

try {
  await (scenario === "over-tls" ? runOverTls() : run());
} catch (error) {
  say(`error ${error.stack}`);
  process.exitCode = 1;
}
page.close();

async function run() {
  await page.colours("light");
  await page.visit(url);
  await logIn();
  await readEvents();
  await sendCommand();
  await lookBack();
  await create();
  await tellUnknownFromOffline();
  await useKeyboard();
  await wearColours();
  await staySafe();
  say("done");
}

/// What another scheme and another version of HTTP could break.
async function runOverTls() {
  await page.visit(url);
  await logIn();
  await page.visit(`${url}#/apps/app/events`);
  await page.says("Live");
  say("ready for an event");
  await page.says("over-tls");
  await create();
  const version = await page.eval(`performance.getEntriesByType("resource").at(-1).nextHopProtocol`);
  if (version !== "h2") fail(`not HTTP/2 but ${version}`);
  await staySafe();
  say("done");
}

async function logIn() {
  await page.enter("input[name=token]", "landfall_wrong");
  await page.press("Enter");
  await page.says("This is no token of this server.");
  await picture("console-log-in", 900, 620);
  await page.eval("document.activeElement.select()");
  await page.type(token);
  await page.press("Enter");
  await page.says("Connections");
  await page.says("app");
  say("logged in");
}

async function readEvents() {
  await page.click("a.name", "app");
  await page.says("sensor01");
  await page.click(".tabs a", "Events");
  await page.says("Live");
  say("ready for events");
  await page.says("greenhouse");
  await page.says("{\"celsius\":21.5}");
  await page.click("button.event", "greenhouse");
  await page.until(`document.querySelector('.detail:not([hidden]) .code')?.innerText.includes('"celsius": 21.5')`, "pretty JSON");
  await page.says("deviceuid");
  await page.click("button.event", "firmware");
  await page.until(`[...document.querySelectorAll('.detail .code')].some((code) => code.innerText.includes('00000000  00 01 fe ff'))`, "a hex dump");
  await page.click("button.event", "firmware");
  await picture("console-events");
  // What does not fit the filter is not shown; the filter knows the content too.
  await page.enter("input[name=filter]", "21.5");
  await page.until(`document.querySelectorAll('button.event').length === 1`, "one event that fits");
  await page.eval(`document.querySelector('input[name=filter]').value = ''`);
  await page.eval(`document.querySelector('input[name=filter]').dispatchEvent(new Event('input'))`);
  await page.click(".stream button", "Pause");
  await page.says("Paused");
  const shown = await page.eval(`document.querySelectorAll('button.event').length`);
  say("paused");
  await page.until(`/Paused, \\d+ wait/.test(document.body.innerText)`, "events that wait");
  if ((await page.eval(`document.querySelectorAll('button.event').length`)) !== shown) fail("a paused stream moves");
  await page.click(".stream button", "Resume");
  await page.says("late");
  say("events seen");
}

async function sendCommand() {
  await page.click(".crumbs a", "app");
  await page.until(`document.querySelector('[data-device=sensor01]')?.innerText.includes('Connected')`, "a connected sensor01");
  await page.until(`document.querySelector('[data-device=sensor03]')?.innerText.includes('Offline')`, "sensor03 offline");
  await page.until(`document.querySelector('.figures [data-figure=connections]')?.innerText === '1'`, "one connection");
  await picture("console-devices");
  await page.click("a.name", "sensor01");
  await page.says("mosq-console");
  await page.enter("input[name=command]", "set-temp");
  await page.enter("textarea[name=payload]", '{"target":23}');
  await page.press("Tab");
  await page.click("form.command button", "Send");
  await page.says("Acknowledged");
  await page.says("directly");
  await page.until(`document.querySelector('.changes .good')`, "the connection in the history");
  await page.says("greenhouse");
  await picture("console-device", 1360, 1120);
  say("acknowledged");
  await page.visit(`${url}#/apps/app/devices/sensor03`);
  await page.enter("input[name=command]", "reboot");
  await page.press("Enter");
  await page.says("Not connected");
}

/// A device's page begins with its newest events, whatever other devices said since, and goes back.
async function lookBack() {
  const rows = `document.querySelectorAll('.single button.event').length`;
  await page.visit(`${url}#/apps/app/events`);
  say("ready to look back");
  await page.says('{"n":119}');
  await page.visit(`${url}#/apps/app/devices/sensor02`);
  await page.until(`document.querySelector('.single')?.innerText.includes('{"n":119}')`, "the newest event");
  await page.until(`${rows} === 50`, "a page of events");
  await page.click(".single button", "Older events");
  await page.until(`${rows} === 100`, "a further page of events");
  await page.click(".single button", "Older events");
  await page.until(`${rows} === 120 && document.querySelector('.single .toolbar:last-child').hidden`, "the oldest event");
  await page.until(`document.querySelector('.changes')?.innerText.includes('Never connected')`, "a history of nothing");
  // It came before the events that are shown.
  await page.visit(`${url}#/apps/app/devices/gateway01`);
  await page.until(`document.querySelector('.single')?.innerText.includes('{"own":59}')`, "the gateway's own events");
  await page.until(`${rows} === 50 && !document.querySelector('.single .chip')`, "publishes alone");
  await page.until(`document.querySelector('.changes .good')`, "when it came");
  say("looked back");
}

async function create() {
  await page.visit(`${url}#/apps/app`);
  await page.click("button", "New device");
  await page.enter("dialog input[name=name]", "bad/name");
  await page.press("Enter");
  await page.until(`document.querySelector('dialog .notice.bad')?.innerText.includes('metadata.name')`, "the server's words about the name");
  await page.until(`document.querySelector('dialog input[name=name]').matches('[aria-invalid]:focus')`, "the wrong field in focus");
  await picture("console-new-device");
  await page.eval("document.activeElement.select()");
  await page.type("boiler/07".replace("/", "-"));
  await page.enter("dialog input[name=gateways]", "gateway01");
  await page.press("Enter");
  await page.until(`document.querySelector('h1')?.innerText === 'boiler-07'`, "the new device's page");
  await page.click("button", "Edit");
  await page.until(`document.querySelector('textarea.document')?.value.includes('gateway01')`, "its document");
  const document = JSON.parse(await page.eval(`document.querySelector('textarea.document').value`));
  const set = async (text) => {
    await page.eval(`document.querySelector('textarea.document').value = ${JSON.stringify(text)}`);
    await page.click("form.stack button", "Save");
  };
  await set(JSON.stringify({ ...document, spec: { ...document.spec, gatewaySelectr: {} } }));
  await page.until(`document.querySelector('.notice.bad')?.innerText.includes('gatewaySelectr')`, "the unknown member by its name");
  await set(JSON.stringify({ ...document, metadata: { ...document.metadata, labels: { site: "north" } } }));
  await page.says("Saved.");
  await page.visit(`${url}#/apps/app`);
  await page.until(`document.querySelector('[data-device="boiler-07"]')?.innerText.includes('site=north')`, "the label in the list");
  say("created");
}

/// A device is offline if it is missing where the list of connections was read, and nowhere else.
async function tellUnknownFromOffline() {
  await page.visit(`${url}#/apps`);
  await page.until(`document.querySelector('a.name')`);
  // As in an application of any number of connections, the pages of which this test hands out.
  await page.eval(`
    window.genuine = window.fetch;
    window.asked = [];
    window.pages = [];
    window.fetch = async (url, options) => {
      if (!new URL(url).pathname.startsWith("/api/connections/")) return window.genuine(url, options);
      const after = new URL(url).searchParams.get("continue");
      // The figures ask without a place to start after.
      if (after === null) return new Response("[]");
      window.asked.push(after);
      const { next, items } = window.pages.shift() ?? { next: after, items: [] };
      return new Response(JSON.stringify(items), { headers: next === null ? {} : { "landfall-continue": encodeURIComponent(next) } });
    };
    0`);
  const connection = { device: "sensor01", clientId: "c", since: "2026-01-01T00:00:00Z", peer: "p", transport: "tcp", version: "5", instance: "i" };
  await page.click("a.name", "app");
  const row = (device) => `document.querySelector('[data-device="${device}"]')?.innerText`;
  await page.until(`window.asked.length >= 10`, "pages that were asked for");
  const first = await page.eval("document.querySelector('[data-device]').dataset.device");
  const after = await page.eval("window.asked[0]");
  if (!(after < first && after.startsWith(first.slice(0, -1)))) fail(`read from ${after}, far from ${first}`);
  for (const device of [first, "sensor01", "sensor03"]) {
    await page.until(`${row(device)}?.includes('–')`, `nothing known of ${device}`);
  }
  // Two pages of connections, the rows between which are offline; behind them nothing is known.
  await page.eval(`window.pages.push({ next: "sensor0", items: [] }, { next: "sensor01", items: [${JSON.stringify(connection)}] }), 0`);
  await page.until(`${row("sensor01")}.includes('Connected')`, "sensor01 by its connection");
  await page.until(`${row(first)}.includes('Offline')`, `${first}, which was read past`);
  await page.until(`${row("sensor03")}.includes('–')`, "still nothing known of sensor03");
  // What was not reached is read the next time.
  await page.eval(`window.pages.push({ next: null, items: [] }), 0`);
  await page.until(`${row("sensor03")}.includes('Offline')`, "sensor03, which was read at last");
  await page.eval("window.fetch = window.genuine, 0");
  say("told unknown from offline");
}

/// From the top of the page to an opened event, by keys alone; and every control has a name.
async function useKeyboard() {
  await page.visit(`${url}#/apps`);
  await page.until(`document.querySelector('a.name')`);
  await page.eval("document.activeElement.blur()");
  await page.tabTo(".skip");
  await page.press("Enter");
  await page.until(`document.activeElement.id === 'main'`, "the content in focus");
  await page.tabTo("a.name");
  await page.press("Enter");
  await page.says("Speaks through");
  await page.tabTo(".tabs a[href$=events]");
  await page.press("Enter");
  await page.until(`document.querySelector('button.event')`);
  await page.tabTo("button.event");
  await page.press("Enter");
  await page.until(`document.querySelector('.event[aria-expanded=true]')`, "an event opened by key");
  await page.visit(`${url}#/apps/app`);
  await page.click("button", "New device");
  await page.until(`document.querySelector('dialog[open] input:focus')`, "focus in the dialog");
  await page.press("Escape");
  await page.until(`!document.querySelector('dialog')`, "no dialog after Escape");
  for (const place of ["apps", "apps/app", "apps/app/events", "apps/app/devices/sensor01"]) {
    await page.visit(`${url}#/${place}`);
    await page.until(`document.querySelector('h1')`);
    const nodes = (await page.send("Accessibility.getFullAXTree")).nodes;
    const controls = ["button", "link", "textbox", "searchbox", "combobox", "checkbox", "spinbutton", "img"];
    const nameless = nodes.filter(({ ignored, role, name }) => !ignored && controls.includes(role?.value) && !name?.value);
    if (nameless.length) fail(`${place}: controls without a name: ${JSON.stringify(nameless)}`);
  }
  say("keys suffice");
}

/// Light, dark, and by choice; text stands out from what is behind it in both.
async function wearColours() {
  const background = () => page.eval("getComputedStyle(document.body).backgroundColor");
  const seen = [];
  for (const scheme of ["light", "dark"]) {
    await page.colours(scheme);
    await page.visit(`${url}#/apps`);
    await page.until(`document.querySelector('a.name')`);
    await page.until(`document.querySelector('.spark .line')`, "a sparkline");
    seen.push(await background());
    const low = await page.eval(CONTRAST);
    if (low.length) fail(`${scheme}: too little contrast: ${JSON.stringify(low)}`);
    await picture(`console-${scheme}`, 1360, 520);
  }
  if (seen[0] === seen[1]) fail(`light and dark are one: ${seen}`);
  await page.visit(`${url}#/apps/app/events`);
  await page.until(`document.querySelector('button.event')`);
  await page.click("button.event", "greenhouse");
  await picture("console-events-dark");
  await page.click("button.plain", "Auto");
  if ((await background()) !== seen[0]) fail("the choice of light does not count");
  await page.click("button.plain", "Light");
  await page.click("button.plain", "Dark");
  say("colours worn");
}

/// Nothing was asked of another host, the policy was not violated, the token is in no URL and gone
/// after the log-out.
async function staySafe() {
  const { origin } = new URL(url);
  const foreign = page.requests.filter((asked) => !asked.startsWith(`${origin}/`) && !asked.startsWith("about:"));
  if (foreign.length) fail(`requests to others: ${foreign}`);
  if (page.requests.some((asked) => asked.includes(token))) fail("the token is in a URL");
  if (page.complaints.length) fail(`complaints: ${page.complaints.join("\n")}`);
  const refused = await page.eval(`new Promise((resolve) => {
    document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective), { once: true });
    const script = document.createElement("script");
    try { script.textContent = "window.pwned = true"; document.body.append(script); } catch { resolve("trusted-types"); }
  })`);
  if (await page.eval("window.pwned === true")) fail("an inline script ran");
  say(`policy refuses ${refused}`);
  await page.click("button.plain", "Log out");
  await page.until(`document.querySelector('input[name=token]')`);
  if (await page.eval(`JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie]).includes(${JSON.stringify(token)})`)) fail("the token stays");
}
