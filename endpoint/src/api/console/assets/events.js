// The stream of events, as they come: with a filter, a pause, and each payload to be read.
import { ApiError, eventsBefore, stream } from "./api.js";
import { alertBox, clock, empty, fill, h } from "./dom.js";
import { pause } from "./live.js";
import { parseEvent, payload, preview } from "./payload.js";

/// Events that are kept, and those of them that are shown.
const MOST_KEPT = 1000;
const MOST_SHOWN = 200;
/// Between two looks at what has come, in milliseconds.
const DRAW = 250;
/// Older events of a device that are fetched at a time, and requests that are made to find them: a
/// server looks through a part of its log for each.
const MOST_OLDER = 50;
const MOST_LOOKS = 20;
/// More than this in one look cannot be read by anyone: the rest is skipped.
const MOST_AT_ONCE = 2000;

export const CONNECTION = "io.drogue.connection.v1";

/// The stream of an application, or of one of its devices alone; `seen` is told of each event.
export function eventStream({ app, device, signal, link, seen = () => {}, last = 200, rows = MOST_SHOWN }) {
  /// Newest first.
  const kept = [];
  let arrived = [];
  let paused = false;
  let changed = true;
  let live = false;
  let problem = null;
  let skipped = 0;
  /// The offset after which events were skipped.
  let skipFrom = null;
  /// Of a device: before which offset the log was not looked through yet; null if it was to its end.
  let previous;
  let looking = false;

  const text = h("input", { type: "search", name: "filter", placeholder: device ? "Channel or content" : "Device, channel or content", spellcheck: "false", "aria-label": "Filter events", oninput: redraw });
  const kind = h(
    "select",
    { "aria-label": "Kind of events", onchange: redraw },
    [["all", "All events"], ["data", "Published"], ["connection", "Connections"]].map(([value, name]) => h("option", { value }, name)),
  );
  const button = h("button", { type: "button", "aria-pressed": "false", onclick: toggle }, "Pause");
  const clear = h("button", { type: "button", onclick: () => (kept.splice(0), redraw()) }, "Clear");
  const status = h("span", { class: "muted", role: "status" });
  const notice = h("div", {});
  const foot = h("div", { class: "toolbar inside", hidden: true });
  const list = h("ol", { class: "events", "aria-label": "Events, the newest first" });

  function toggle() {
    paused = !paused;
    button.textContent = paused ? "Resume" : "Pause";
    button.setAttribute("aria-pressed", String(paused));
    redraw();
  }
  function redraw() {
    changed = true;
  }

  const matches = ({ event, search }) => {
    if (kind.value === "data" && event.type === CONNECTION) return false;
    if (kind.value === "connection" && event.type !== CONNECTION) return false;
    return search.includes(text.value.trim().toLowerCase());
  };

  /// Draws what has come, a few times a second at most.
  async function draw() {
    while (!signal.aborted) {
      if (!paused && arrived.length) {
        kept.unshift(...arrived.reverse());
        kept.length = Math.min(kept.length, MOST_KEPT);
        arrived = [];
        changed = true;
      }
      if (changed) {
        changed = false;
        const found = kept.filter(matches);
        show(found);
        showFoot();
        const state = paused ? `Paused${arrived.length ? `, ${arrived.length} wait` : ""}` : live ? "Live" : "Connecting…";
        fill(status, h("span", { class: `pulse ${live && !paused ? "on" : ""}` }), `${state} · ${found.length}${device ? "" : ` of ${kept.length}`}`);
        fill(
          notice,
          problem ? alertBox("bad", "No events for now.", problem) : null,
          skipped ? alertBox("info", `${skipped.toLocaleString("en")} events were skipped: more come than can be shown.`) : null,
        );
      }
      await pause(DRAW, signal);
    }
  }

  /// Goes back in the log until some older events are found, or it takes too long.
  async function older() {
    if (looking) return;
    looking = changed = true;
    try {
      for (let looks = 0, found = 0; looks < MOST_LOOKS && found < MOST_OLDER && previous !== null; looks += 1) {
        const limit = MOST_OLDER - found;
        const page = await eventsBefore(app, { device, before: previous, limit, signal });
        previous = page.previous;
        found += page.events.length;
        rows += page.events.length;
        for (const event of page.events.reverse()) {
          seen(event);
          kept.push(item(event.id, event));
        }
        changed = true;
      }
    } catch (error) {
      if (!signal.aborted) problem = error.message;
    }
    looking = false;
    changed = true;
  }
  function showFoot() {
    const more = previous !== undefined && previous !== null && kept.length < MOST_KEPT;
    foot.hidden = !more;
    if (more) fill(foot, h("button", { type: "button", disabled: looking, onclick: older }, looking ? "Looking…" : "Older events"));
  }

  /// Keeps the rows that are there already: focus and open payloads stay.
  function show(found) {
    const present = new Map([...list.children].map((row) => [row.dataset.id, row]));
    const wanted = found.slice(0, rows).map((item) => present.get(String(item.id)) ?? eventRow(item));
    const keep = new Set(wanted);
    for (const row of present.values()) if (!keep.has(row)) row.remove();
    for (const row of [...list.children]) if (!keep.has(row)) row.remove();
    wanted.forEach((row, index) => {
      if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
    });
    if (!wanted.length) {
      const what = kept.length ? "No event fits the filter." : "No events yet.";
      list.append(h("li", { class: "none" }, empty(what, kept.length ? null : h("p", {}, "What devices publish appears here at once."))));
    }
  }

  function eventRow({ id, event }) {
    const detail = h("div", { class: "detail", hidden: true });
    const head = h(
      "button",
      { type: "button", class: "event", "aria-expanded": "false", onclick: () => expand(head, detail, event) },
      clock(event.time),
      device ? null : h("span", { class: "device" }, event.device ?? "–"),
      event.type === CONNECTION
        ? h("span", { class: `chip dot ${event.data?.connected ? "good" : ""}` }, event.data?.connected ? "connected" : "disconnected")
        : h("span", { class: "channel" }, event.subject ?? "–"),
      h("span", { class: "preview" }, event.type === CONNECTION ? "" : preview(event).slice(0, 300)),
    );
    return h("li", { "data-id": id }, head, detail);
  }

  function expand(head, detail, event) {
    detail.hidden = !detail.hidden;
    head.setAttribute("aria-expanded", String(!detail.hidden));
    if (!detail.hidden && !detail.children.length) fill(detail, payload(event), attributes(event));
  }

  function attributes(event) {
    const names = Object.keys(event).filter((name) => !["data", "data_base64"].includes(name));
    return h(
      "dl",
      { class: "attributes" },
      names.map((name) => {
        const value = String(event[name]);
        const shown = link && !device && ["device", "sender"].includes(name) ? h("a", { href: link("apps", app, "devices", value) }, value) : value;
        return h("div", {}, h("dt", {}, name), h("dd", {}, shown));
      }),
    );
  }

  /// Reads on and on; after a break it resumes where it was.
  async function read() {
    let after;
    while (!signal.aborted) {
      const round = new AbortController();
      const stop = () => round.abort();
      signal.addEventListener("abort", stop, { once: true });
      try {
        const started = performance.now();
        let count = 0;
        for await (const frames of stream(app, { device, last: after === undefined ? last : undefined, after, signal: round.signal, begun })) {
          if (!live) [live, problem, changed] = [true, null, true];
          if (!frames.length) continue;
          take(frames);
          if (after !== undefined) count += frames.length;
          const newest = frames.at(-1).id;
          after = newest;
          const seconds = Math.max(1, (performance.now() - started) / 1000);
          if (count > MOST_AT_ONCE * seconds * (1000 / DRAW)) {
            // Go on with the newest; how many that leaves out is seen by the next offset.
            skipFrom = newest;
            after = undefined;
            break;
          }
        }
      } catch (error) {
        if (signal.aborted || error.status === 401) return;
        if (error instanceof ApiError && [400, 410].includes(error.status)) after = undefined;
        problem = error.message ?? "The stream broke off.";
        if (error.status === 404 || error.status === 403) return (changed = true);
      } finally {
        signal.removeEventListener("abort", stop);
        round.abort();
      }
      [live, changed] = [false, true];
      await pause(1000, signal);
    }
  }
  function take(frames) {
    if (skipFrom !== null) {
      skipped += Math.max(0, frames[0].id - skipFrom - 1);
      skipFrom = null;
    }
    for (const { id, data } of frames) {
      const event = parseEvent(data);
      seen(event);
      arrived.push(item(id, event));
    }
    if (arrived.length > MOST_KEPT) arrived = arrived.slice(-MOST_KEPT);
    changed = true;
  }

  /// The newest events of a device may be further back than the server looks at once.
  function begun(offset) {
    if (!device || previous !== undefined) return;
    previous = offset;
    setTimeout(() => kept.length + arrived.length < last && older(), 2 * DRAW);
  }

  read();
  draw();
  return h(
    "section",
    { class: `card flush stream${device ? " single" : ""}` },
    h("div", { class: "toolbar inside" }, text, kind, h("div", { class: "spacer" }), status, button, clear),
    notice,
    list,
    foot,
  );
}

/// An event as it is kept, with what the filter looks at.
const item = (id, event) => ({
  id,
  event,
  search: `${event.device} ${event.sender} ${event.subject} ${preview(event)}`.toLowerCase(),
});
