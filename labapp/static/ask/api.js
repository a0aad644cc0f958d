// Every request that the page sends. The only script that knows addresses.

import * as token from "./token.js";
import {rowOf, rowsOf} from "../state/row.js";

class Failed extends Error {
  // `status`: HTTP's, or 0 without an answer
  constructor(status, sentence, timedOut = false) {
    super(sentence);
    Object.assign(this, {status, timedOut});
  }
}

async function sendOnce(url, options, seconds, parse) {
  let response;
  try {
    response = await fetch(url, {cache: "no-store", signal: AbortSignal.timeout(seconds * 1000), ...options});
  } catch (error) {
    const timedOut = error.name === "TimeoutError";
    throw new Failed(0, timedOut ? `No answer in ${seconds} s.` : "No answer: nothing listens there.", timedOut);
  }
  let body = null;
  try {
    const text = await response.text();
    body = response.ok ? parse(text) : JSON.parse(text);
  } catch { /* not JSON, so another program answers at this address */ }
  if (!response.ok || body === null) throw new Failed(response.status, body?.error ?? `An answer that is not ours, with status ${response.status}.`);
  return body;
}

// Requests that change something need the worker's API_TOKEN, if it has one; reading needs it only with API_TOKEN_FOR=everything. After a
// 401 the person is asked for it and the request repeated. Reads are sent again and again, so they don't insist.
let readingNeedsToken = false;

async function ask(url, options = {}, seconds = 4, parse = JSON.parse) {
  const reads = !options.method;
  for (;;) {
    const brought = reads && !readingNeedsToken ? null : token.known();
    try {
      return await sendOnce(url, {...options, headers: {...options.headers, ...bearer(brought)}}, seconds, parse);
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
export const experiment = (action, name, options) => post(`/lab/${action}/${name}`, options, 70);

export const send = (key, event) => post("/", event, 15, {"Idempotency-Key": key});

export const curl = () => `curl ${location.origin}/ \\
  -H 'Content-Type: application/json' \\
  -d '{"id": "by hand", "clicked": '$(date +%s000)'}'`;

// -- any worker. `base`: its origin, or "" for the page's own.
export const status = (base) => ask(`${base}/status`, {}, 1.5);
// The newest rows, newest first
export const events = (base, limit) => ask(`${base}/events?${query({limit})}`, {}, 4, rowsOf);
// One row. Throws an error with status 404 if no worker has it.
export const event = (base, key) => ask(`${base}/events/${encodeURIComponent(key)}`, {}, 4, rowOf);
// {partition, next_to_record, end, oldest_kept, rows: {key: offset}}, of OFFSETS offsets from `first` on
export const OFFSETS = 1000;
export const offsets = (base, partition, first) => ask(`${base}/offsets?${query({partition, first})}`);
// {rows: {key: {partition, offset}}}, of KEYS keys at most
export const KEYS = 100;
export const keys = (base, wanted) => ask(`${base}/keys?${query(wanted.map((key) => ["key", key]))}`);
// What the stream of rows has to bring, or null
export const streamToken = () => (readingNeedsToken ? token.known() : null);
