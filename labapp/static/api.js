// The only file that knows addresses.

export class Failed extends Error {
  // status 0: no answer
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

async function ask(url, options = {}, seconds = 4) {
  let response;
  try {
    response = await fetch(url, {cache: "no-store", signal: AbortSignal.timeout(seconds * 1000), ...options});
  } catch (error) {
    throw new Failed(0, error.name === "TimeoutError" ? `No answer in ${seconds} s.` : "No answer: nothing listens there.");
  }
  let body = null;
  try {
    body = await response.json();
  } catch { /* answered by something that is not ours */ }
  if (!response.ok || body === null) throw new Failed(response.status, body?.error ?? `An answer that is not ours, with status ${response.status}.`);
  return body;
}

const json = (body) => ({method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
const query = (parameters) => new URLSearchParams(parameters).toString();

// -- the page's own address: the producer
export const page = () => ask("/page");
export const cluster = () => ask("/cluster");
export const records = (topic, partition, limit) => ask(`/records?${query({topic, partition, limit})}`);
export const deadLetters = (limit) => ask(`/dead-letters?${query({limit})}`);
export const experiment = (action, name) => ask(`/lab/${action}/${name}`, json({}), 70);

export function send(key, event) {
  const options = json(event);
  options.headers["Idempotency-Key"] = key;
  return ask("/", options, 15);
}

export const curl = () => `curl ${location.origin}/ \\
  -H 'Content-Type: application/json' \\
  -d '{"id": "by hand", "clicked": '$(date +%s000)'}'`;

// -- a worker; `base` is its origin, "" for the page's own
export const status = (base) => ask(`${base}/status`, {}, 1.5);
export const events = (base, limit) => ask(`${base}/events?${query({limit})}`);
export const event = (base, key) => ask(`${base}/events/${encodeURIComponent(key)}`);

// Calls row(row, id) for each row, opened() and lost(). `after`: the id to go on from. Returns what ends it.
export function stream(base, after, {opened, row, lost}) {
  const source = new EventSource(`${base}/events/stream${after ? `?${query({after})}` : ""}`);
  source.onopen = opened;
  source.onmessage = (message) => row(JSON.parse(message.data), message.lastEventId);
  source.onerror = () => {
    source.close(); // tried again by us, from the last id, once the worker answers: the browser's own way gives up at a 503
    lost();
  };
  return () => source.close();
}
