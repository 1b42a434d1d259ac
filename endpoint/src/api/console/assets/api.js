// The API's client. The token stays in this tab: in the memory of its session, in no URL, no cookie.

const KEY = "landfall.token";
const BASE = new URL("../api/", import.meta.url);

export const token = () => sessionStorage.getItem(KEY);
export const setToken = (value) => sessionStorage.setItem(KEY, value);
export const forgetToken = () => sessionStorage.removeItem(KEY);

/// Tells whoever shows the page that the token is no longer good.
export const signedOut = new EventTarget();

/// The server's "no", or that there is no answer (status 0).
export class ApiError extends Error {
  constructor(status, code, message, body = {}) {
    super(message);
    Object.assign(this, { status, code, body });
  }
}

/// The URL of a path, given as segments, with its query.
function address(segments, query = {}) {
  const url = new URL(segments.map(encodeURIComponent).join("/"), BASE);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

/// Sends a request, and answers with the response; any failure is an ApiError.
export async function send(method, segments, { query, body, headers = {}, signal, withToken } = {}) {
  const authorization = `Bearer ${withToken ?? token() ?? ""}`;
  let response;
  try {
    response = await fetch(address(segments, query), {
      method,
      body,
      signal,
      headers: { ...headers, authorization },
      credentials: "omit",
      redirect: "error",
      cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The server does not answer.");
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  const message = answer.message ?? `The server answers ${response.status}.`;
  if (response.status === 401 && !withToken) signedOut.dispatchEvent(new Event("signedout"));
  throw new ApiError(response.status, answer.error ?? "", message, answer);
}

export const get = async (segments, options) => (await send("GET", segments, options)).json();

/// A document, as text in JSON or YAML.
export async function write(method, segments, text, options = {}) {
  const type = text.trimStart().startsWith("{") ? "application/json" : "application/yaml";
  const response = await send(method, segments, {
    ...options,
    body: text,
    headers: { "content-type": type },
  });
  return response.json();
}

const registry = (...rest) => ["registry", "v1alpha1", "apps", ...rest];

export const paths = {
  own: ["tokens", "v1alpha1", "self"],
  apps: registry(),
  app: (app) => registry(app),
  devices: (app) => registry(app, "devices"),
  device: (app, device) => registry(app, "devices", device),
  connections: (app) => ["connections", "v1alpha1", "apps", app],
  events: (app) => ["events", "v1alpha1", "apps", app],
  history: (app) => ["events", "v1alpha1", "apps", app, "history"],
  command: (app, device) => ["command", "v1alpha1", "apps", app, "devices", device],
};

/// One page of a list, and where the next begins.
export async function page(segments, options) {
  const response = await send("GET", segments, options);
  const next = response.headers.get("landfall-continue");
  return { items: await response.json(), next: next && decodeURIComponent(next) };
}

/// All connections of an application, up to `most`, after a device's name.
export async function connections(app, { after, most = 1000, signal } = {}) {
  const found = await page(paths.connections(app), {
    query: { limit: Math.min(most, 1000), continue: after },
    signal,
  });
  return { items: found.items, more: found.next !== null };
}

/// Where a look back ended, if there is more.
const previousOffset = ({ headers }) => {
  const offset = headers.get("landfall-previous-offset");
  return offset === null ? null : Number(offset);
};

/// A device's events, of all types or one, before an offset, oldest first; and where to go on back.
export async function eventsBefore(app, { device, type, before, limit, signal }) {
  const response = await send("GET", paths.events(app), { query: { device, type, before, limit }, signal });
  const events = await response.json();
  return { events, previous: previousOffset(response) };
}

/// The frames of a stream of events, of all devices or one, as they come: `{ id, data }`. First
/// none, when it has begun; `begun` is told where a look back for the last ones ended.
export async function* stream(app, { device, last, after, signal, begun = () => {} }) {
  const headers = { accept: "text/event-stream" };
  if (after !== undefined) headers["last-event-id"] = String(after);
  const query = after === undefined ? { device, last } : { device };
  const response = await send("GET", paths.events(app), { query, headers, signal });
  begun(previousOffset(response));
  yield [];
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const frames = (rest + value).split("\n\n");
    rest = frames.pop();
    const parsed = frames.map(frame).filter(Boolean);
    if (parsed.length) yield parsed;
  }
}

function frame(text) {
  const fields = Object.fromEntries(
    text.split("\n").map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trimStart()];
    }),
  );
  return fields.data && { id: Number(fields.id), data: fields.data };
}
