// When a device came and went: its connection events, whatever else it said since.
import { eventsBefore } from "./api.js";
import { ago, clock, empty, fill, h, loading } from "./dom.js";
import { CONNECTION } from "./events.js";

/// Changes that are fetched at a time, and requests that are made to find them: a server looks
/// through a part of its log for each.
const MOST_CHANGES = 20;
const MOST_LOOKS = 20;

/// The list, and `seen`, to be told of each event that comes.
export function connectHistory({ app, device, signal }) {
  /// The newest first.
  const changes = [];
  /// Before which offset the log was not looked through yet; null if it was to its end.
  let previous;
  let looking = false;
  let problem = null;
  const list = h("ol", { class: "changes" });
  const foot = h("div", { class: "more" });

  function add(events) {
    for (const event of events) if (!changes.some(({ id }) => id === event.id)) changes.push(event);
    changes.sort((one, other) => Date.parse(other.time) - Date.parse(one.time));
  }

  async function older() {
    [looking, problem] = [true, null];
    draw();
    try {
      for (let looks = 0, found = 0; looks < MOST_LOOKS && found < MOST_CHANGES && previous !== null; looks += 1) {
        const page = await eventsBefore(app, { device, type: CONNECTION, before: previous, limit: MOST_CHANGES - found, signal });
        previous = page.previous;
        found += page.events.length;
        add(page.events);
      }
    } catch (error) {
      if (signal.aborted) return;
      problem = error.message;
      // Without a log there is nothing to look at again.
      if (error.status === 404) previous = null;
    }
    looking = false;
    draw();
  }

  function draw() {
    const none = looking ? loading("the history") : empty(problem ?? (previous === null ? "Never connected, as far as the events go back." : "No change in the newest events."));
    fill(list, changes.length ? changes.map(change) : h("li", {}, none));
    fill(foot, previous !== null ? h("button", { type: "button", disabled: looking, onclick: older }, looking ? "Looking…" : "Older changes") : null);
  }

  older();
  const seen = (event) => {
    if (event.type !== CONNECTION) return;
    add([event]);
    draw();
  };
  return { element: h("section", { class: "card" }, list, foot), seen };
}

const change = ({ time, data }) =>
  h(
    "li",
    {},
    h("span", { class: `chip dot ${data.connected ? "good" : ""}` }, data.connected ? "connected" : "disconnected"),
    h("span", {}, ago(time)),
    h("span", { class: "muted" }, clock(time)),
  );
