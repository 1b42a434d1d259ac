// A page of a browser, driven through Chromium's DevTools protocol.
import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";

const require = createRequire(`${process.env.LANDFALL_TEST_NODE}/`);
const WebSocket = require("ws");

/// How long anything may take, in milliseconds: far more than it does.
const PATIENCE = 60_000;

/// Connects to the browser behind this URL and opens an empty page.
export async function open(browser) {
  const socket = new WebSocket(browser, { perMessageDeflate: false });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  const page = new Page(socket);
  const { targetId } = await page.send("Target.createTarget", { url: "about:blank", width: 1360, height: 900 });
  page.session = (await page.send("Target.attachToTarget", { targetId, flatten: true })).sessionId;
  for (const domain of ["Page", "Runtime", "Log", "Network", "Accessibility"]) await page.send(`${domain}.enable`);
  // As if somebody looked at it: keys go to a page that has the focus.
  await page.send("Page.bringToFront");
  await page.send("Emulation.setFocusEmulationEnabled", { enabled: true });
  return page;
}

export class Page {
  #socket;
  #calls = new Map();
  #last = 0;
  /// What the page complains of, violations of its Content-Security-Policy included.
  complaints = [];
  /// The URLs that it has asked for.
  requests = [];

  constructor(socket) {
    this.#socket = socket;
    socket.on("message", (text) => this.#take(JSON.parse(text)));
  }

  #take({ id, result, error, method, params }) {
    if (id) {
      const { resolve, reject } = this.#calls.get(id);
      this.#calls.delete(id);
      return error ? reject(new Error(JSON.stringify(error))) : resolve(result);
    }
    if (method === "Runtime.exceptionThrown") this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Log.entryAdded" && params.entry.level === "error") this.#note(params.entry);
    if (method === "Runtime.consoleAPICalled" && params.type === "error") this.complaints.push(JSON.stringify(params.args));
    if (method === "Network.requestWillBeSent") this.requests.push(params.request.url);
  }

  /// The browser notes each answer that is no success, also one that was wanted.
  #note({ source, text }) {
    const refusal = source === "network" && /status of 4\d\d/.test(text);
    if (!refusal) this.complaints.push(`${source}: ${text}`);
  }

  send(method, params = {}) {
    const id = (this.#last += 1);
    const answer = new Promise((resolve, reject) => this.#calls.set(id, { resolve, reject }));
    this.#socket.send(JSON.stringify({ id, method, params, sessionId: this.session }));
    return answer;
  }

  /// What an expression is in the page.
  async eval(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    return result.value;
  }

  /// Waits until an expression is true in the page.
  async until(expression, what = expression) {
    const end = Date.now() + PATIENCE;
    while (!(await this.eval(`Boolean(${expression})`))) {
      if (Date.now() > end) throw new Error(`in vain: ${what}\n${await this.text()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /// Waits until the page shows this text.
  says(text) {
    return this.until(`document.body.innerText.includes(${JSON.stringify(text)})`, `the page says "${text}"`);
  }

  text() {
    return this.eval("document.body.innerText");
  }

  async visit(url) {
    await this.send("Page.navigate", { url });
    await this.until("document.readyState === 'complete'");
  }

  /// Types as a keyboard does.
  async type(text) {
    for (const character of text) {
      await this.send("Input.dispatchKeyEvent", { type: "char", text: character });
    }
  }

  /// One of the keys that do something: `Tab`, `Enter`, ` `, `Escape`.
  async press(key, modifiers = 0) {
    const codes = { Tab: 9, Enter: 13, Escape: 27, " ": 32 };
    const text = { Enter: "\r", " ": " " }[key];
    const event = { key, code: key === " " ? "Space" : key, windowsVirtualKeyCode: codes[key], modifiers };
    await this.send("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", text, ...event });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  /// Goes on with Tab until what has the focus fits a selector.
  async tabTo(selector) {
    for (let steps = 0; steps < 60; steps += 1) {
      if (await this.eval(`document.activeElement.matches(${JSON.stringify(selector)})`)) return;
      await this.press("Tab");
    }
    throw new Error(`Tab does not lead to ${selector}`);
  }

  /// Puts text into a field that is found by its selector.
  async enter(selector, text) {
    await this.until(`document.querySelector(${JSON.stringify(selector)})`);
    await this.eval(`document.querySelector(${JSON.stringify(selector)}).focus()`);
    await this.eval(`document.activeElement.select?.()`);
    await this.type(text);
  }

  /// Clicks the first element of the selector that has this text.
  async click(selector, text = "") {
    const find = `[...document.querySelectorAll(${JSON.stringify(selector)})].find((e) => e.textContent.includes(${JSON.stringify(text)}))`;
    await this.until(find, `${selector} with "${text}"`);
    await this.eval(`${find}.click()`);
  }

  async colours(scheme) {
    // Without motion, colours are at once what they are going to be.
    const features = [{ name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" }];
    await this.send("Emulation.setEmulatedMedia", { features });
  }

  async screenshot(file, width = 1360, height = 860) {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
    await this.eval("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))");
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    if (file) writeFileSync(file, Buffer.from(data, "base64"));
    return data;
  }

  close() {
    this.#socket.close();
  }
}
