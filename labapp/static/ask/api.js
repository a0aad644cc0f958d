// Every request that the page sends. The only script that knows addresses.

import * as token from "./token.js";

class Failed extends Error {
  // `status`: HTTP's, or 0 without an answer
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

async function sendOnce(url, options, seconds) {
  let response;
  try {
    response = await fetch(url, {cache: "no-store", signal: AbortSignal.timeout(seconds * 1000), ...options});
  } catch (error) {
    throw new Failed(0, error.name === "TimeoutError" ? `No answer in ${seconds} s.` : "No answer: nothing listens there.");
  }
  let body = null;
  try {
    body = await response.json();
  } catch { /* not JSON, so another program answers at this address */ }
  if (!response.ok || body === null) throw new Failed(response.status, body?.error ?? `An answer that is not ours, with status ${response.status}.`);
  return body;
}

// Requests that change something need the worker's API_TOKEN, if it has one; reading needs it only with API_TOKEN_FOR=everything. After a
// 401 the person is asked for it and the request repeated. Reads are sent again and again, so they don't insist.
let readingNeedsToken = false;

async function ask(url, options = {}, seconds = 4) {
  const reads = !options.method;
  for (;;) {
    const brought = reads && !readingNeedsToken ? null : token.known();
    try {
      return await sendOnce(url, {...options, headers: {...options.headers, ...bearer(brought)}}, seconds);
    } catch (error) {
      if (error.status !== 401) throw error;
      readingNeedsToken ||= reads;
      if (!await token.another(brought, {insist: !reads})) throw error;
    }
  }
}

const bearer = (brought) => brought ? {Authorization: `Bearer ${brought}`} : {};

const post = (url, body, seconds, headers = {}) =>
  ask(url, {method: "POST", headers: {"Content-Type": "application/json", ...headers}, body: JSON.stringify(body)}, seconds);

const query = (parameters) => new URLSearchParams(parameters).toString();

// -- the page's own origin, which is the producer's
export const page = () => ask("/page");
export const cluster = () => ask("/cluster");
export const records = (topic, partition, limit) => ask(`/records?${query({topic, partition, limit})}`);
export const deadLetters = (limit) => ask(`/dead-letters?${query({limit})}`);
export const experiment = (action, name) => post(`/lab/${action}/${name}`, {}, 70);

export const send = (key, event) => post("/", event, 15, {"Idempotency-Key": key});

export const curl = () => `curl ${location.origin}/ \\
  -H 'Content-Type: application/json' \\
  -d '{"id": "by hand", "clicked": '$(date +%s000)'}'`;

// -- any worker. `base`: its origin, or "" for the page's own.
export const status = (base) => ask(`${base}/status`, {}, 1.5);
export const events = (base, limit) => ask(`${base}/events?${query({limit})}`);
export const event = (base, key) => ask(`${base}/events/${encodeURIComponent(key)}`);

// Opens the stream of rows. `after`: the id of the last row received, or null. Calls opened(), row(row, id) for each row, and lost().
// Returns a function that closes the stream. It is no EventSource, which can't send a token.
export function stream(base, after, {opened, row, lost}) {
  const closed = new AbortController();
  const url = `${base}/events/stream${after ? `?${query({after})}` : ""}`;
  readStream(url, closed.signal, opened, row).catch(() => { /* the worker is gone */ }).finally(() => {
    if (!closed.signal.aborted) lost(); // the worker's next status reopens it
  });
  return () => closed.abort();
}

async function readStream(url, signal, opened, row) {
  const response = await fetch(url, {cache: "no-store", signal, headers: bearer(readingNeedsToken ? token.known() : null)});
  if (!response.ok) return;
  opened();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "", part = await reader.read(); !part.done; part = await reader.read()) {
    const messages = (rest + part.value).split("\n\n");
    rest = messages.pop();
    for (const message of messages) {
      const [, id, data] = /^id: (.*)\ndata: (.*)$/.exec(message) ?? [];
      if (data) row(JSON.parse(data), id);
    }
  }
}
