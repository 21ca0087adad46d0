// Calls of the API. The token is kept for this tab only, and never sent by the browser on its own.

const KEY = "ottla-token";

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Takes the token out of the address, so that it stays neither there nor in the history. */
export function takeToken() {
  const found = /^#token=([^&]+)/.exec(location.hash);
  if (!found) return;
  try {
    sessionStorage.setItem(KEY, decodeURIComponent(found[1]));
  } catch { /* Without storage, the page asks for the token. */ }
  history.replaceState(null, "", "#/");
}

export function hasToken() {
  return sessionStorage.getItem(KEY) !== null;
}

export function setToken(token) {
  sessionStorage.setItem(KEY, token);
}

function headers(hasBody) {
  const all = { "X-Ottla-Admin": "1" };
  const token = sessionStorage.getItem(KEY);
  if (token) all.Authorization = `Bearer ${token}`;
  if (hasBody) all["Content-Type"] = "application/json";
  return all;
}

async function send(method, path, body, signal, base = "/api/v1") {
  let response;
  try {
    response = await fetch(base + path, {
      method,
      headers: headers(body !== undefined),
      body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "UNREACHABLE", "The broker cannot be reached.");
  }
  if (response.ok) return response;
  const text = await response.text();
  let error;
  try {
    const answer = JSON.parse(text);
    // The schema registry has another form of errors.
    error = answer.error_code ? { code: String(answer.error_code), message: answer.message } : answer.error;
  } catch { /* Not an answer of the API. */ }
  if (error && error.code) throw new ApiError(response.status, error.code, `${error.code}: ${error.message}`);
  throw new ApiError(response.status, "", error || `status ${response.status}`);
}

async function call(method, path, body, signal) {
  return (await send(method, path, body, signal)).json();
}

/** A GET beside the API, on the admin port. */
export const getAt = async (path, signal) => (await send("GET", path, undefined, signal, "")).json();
export const get = (path, signal) => call("GET", path, undefined, signal);
/** Sends JSON as it is written. */
export const postText = (path, text) => call("POST", path, text);
export const post = (path, body) => call("POST", path, body);
export const put = (path, body) => call("PUT", path, body);
export const patch = (path, body) => call("PATCH", path, body);
export const remove = (path, body) => call("DELETE", path, body);

/** A path with encoded names: path`/topics/${name}`. */
export function path(strings, ...names) {
  return strings.reduce((text, part, index) => text + encodeURIComponent(names[index - 1]) + part);
}

/** A query of the parameters that have a value. */
export function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

/** Reads lines of JSON, one after another. */
export async function* lines(path, signal, base) {
  const response = await send("GET", path, undefined, signal, base);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      for (const part of parts) if (part) yield JSON.parse(part);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
