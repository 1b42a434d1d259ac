// Who of some devices is connected.
import { page, paths } from "./api.js";

/// Connections of a request, and requests that are made at a time.
const PAGE = 1000;
const MOST_PAGES = 10;

/// The connections of each of these devices, which are in the order of the list of connections; those
/// that it has no room for are not in the answer.
export async function connectionsOf(app, names, signal) {
  const found = new Map();
  // A page is never cut between the connections of one device.
  const limit = names.length > 1 ? PAGE : 1;
  for (let pages = 0; pages < MOST_PAGES && found.size < names.length; pages += 1) {
    const query = { limit, continue: justBefore(names[found.size]) };
    const { items, next } = await page(paths.connections(app), { query, signal });
    const own = Map.groupBy(items, ({ device }) => device);
    for (const name of names.slice(found.size)) {
      if (next !== null && name > next) break;
      found.set(name, own.get(name) ?? []);
    }
  }
  return found;
}

/// A list starts after a name: this one has next to none between itself and `name`.
function justBefore(name) {
  const letters = [...name];
  const code = letters.pop().codePointAt(0) - 1;
  // There are no characters from 0xd800 to 0xdfff.
  const before = code === 0xdfff ? 0xd7ff : code;
  return letters.join("") + (before > 0 ? String.fromCodePoint(before, 0x10ffff) : "");
}
