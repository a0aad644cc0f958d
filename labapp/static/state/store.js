// The events that the page knows, and what became of the events it sent. Pure.

import {Commits, marks} from "./marks.js";
import {Sent} from "./sent.js";
import {arrival} from "./stages.js";
import {jumps, nowUs} from "./time.js";

const KEPT = 10_000;
const SPARE = 500; // old events are dropped this many at a time, so that dropping is rare
const CHARACTERS_KEPT = 16_000_000; // of all events' values; each is in memory up to four times, as text and parsed

export class Store {
  #byPosition = new Map(); // "partition:offset" → event. A record that was read from the topic may have another key than its row.
  #characters = 0;
  #clickErrorUs;

  // clickErrorUs(): how far *clicked* may be off from the server's clock now, in microseconds, or null
  constructor(group, clickErrorUs = () => null) {
    this.group = group; // only a row of this consumer group makes an event recorded
    this.#clickErrorUs = clickErrorUs;
    this.commits = new Commits();
    this.byKey = new Map();
    this.order = []; // by arrival, oldest first
    this.sent = new Sent();
  }

  // -- what comes in

  // The page is about to post this event. `clickedUs`: null if the browser's clock could not be compared with the server's.
  posting(key, value, clickedUs, serverUs) {
    this.sent.posting(key);
    const here = {clickedHereUs: serverUs + aheadUs(value), clickErrorUs: this.#clickErrorUs(), jumps: jumps()};
    this.#add({key, value, valueText: JSON.stringify(value), stages: {clicked_us: clickedUs}, at: serverUs, posting: true, ...here});
  }

  acknowledged(key, {topic, partition, offset, stages}) {
    this.sent.acknowledged(key, partition, offset, nowUs());
    const event = this.byKey.get(key);
    if (!event) return;
    event.posting = false;
    event.acknowledgedUs = stages.acknowledged_us;
    if (!event.recorded) {
      this.#place(event, {topic, partition, offset});
      for (const stage of ["received_us", "produced_us", "appended_us"]) event.stages[stage] = stages[stage];
    }
  }

  // The event's record has a key that was in use, so its row has another one. The row may have come before.
  renamed(key, other) {
    const event = this.byKey.get(key), known = this.byKey.get(other);
    this.sent.renamed(key, other);
    this.byKey.delete(key);
    if (event && known) {
      this.order.splice(this.order.indexOf(event), 1);
      this.#characters -= event.valueText.length;
      if (known.recorded) this.sent.row(known);
    } else if (event) {
      event.key = other;
      this.byKey.set(other, event);
    }
  }

  failed(key, sentence) {
    this.sent.failed(key);
    const event = this.byKey.get(key);
    if (event && !event.recorded) Object.assign(event, {posting: false, failed: sentence});
  }

  // A worker of `group` has recorded this row.
  row(row, group) {
    const waited = this.#byPosition.get(position(row));
    if (waited && !this.byKey.has(row.key)) this.#rename(waited, row.key);
    let event = this.byKey.get(row.key);
    const ours = group === this.group;
    if (!event) {
      event = {key: row.key, value: row.value, valueText: row.valueText, at: arrival(row.stages),
        stages: {...row.stages, ...(ours ? {} : {consumed_us: null, recorded_us: null})}};
      this.#add(event, row);
    }
    if (!ours) {
      event.elsewhere = {...event.elsewhere, [group]: row.stages.consumed_us};
    } else {
      this.#characters += this.byKey.has(row.key) ? row.valueText.length - event.valueText.length : 0;
      Object.assign(event, {...row, recorded: true, posting: false, failed: null, text: null, aheadUs: aheadUs(row.value)});
      this.sent.row(row);
    }
  }

  // Whether the browser has still to draw this event, which this page sent, as recorded
  isUnseen(event) { return Boolean(event.recorded) && event.clickedHereUs !== undefined && event.seenUs === undefined; }

  // The browser has drawn it. Null if the clock was set since the click.
  seen(event) { event.seenUs = jumps() === event.jumps ? nowUs() : null; }

  // This record is in the topic and is not consumed yet. Anyone may have produced it.
  waiting(record) {
    const key = record.key || `${record.topic}-${record.partition}-${record.offset}`;
    const known = this.byKey.get(key);
    const sent = this.sent.get(key);
    if (sent && sent.offset === undefined) { // the answer has not come, but the topic has it
      this.sent.acknowledged(key, record.partition, record.offset, nowUs());
      if (known) Object.assign(this.#place(known, record), {posting: false, failed: null});
    }
    if (known || this.#byPosition.has(position(record))) return;
    let value = null;
    try {
      value = JSON.parse(record.value);
    } catch { /* it is cut, or the consumer decides what such a record is */ }
    const number = (text) => (/^\d{1,16}$/.test(text ?? "") ? Number(text) : null);
    const stages = {
      clicked_us: typeof value?.clicked === "number" ? Math.round(value.clicked * 1000) : null,
      received_us: number(record.headers.received_us),
      produced_us: number(record.headers.produced_us),
      appended_us: record.timestamp_by === "broker" ? record.timestamp_us : null,
      consumed_us: null,
      recorded_us: null,
    };
    this.#add({key, value, valueText: record.value ?? "", stages, at: arrival(stages) ?? record.timestamp_us}, record);
  }

  // The topic's identity, or null. Returns whether the topic was deleted and made anew: then nothing is known of what was not recorded.
  topicIs(id) {
    if (!this.sent.topicIs(id)) return false;
    for (const event of this.order) if (!event.recorded && event.offset !== undefined) event.forgotten = true;
    this.#byPosition.clear();
    return true;
  }

  // -- what is known

  // {acknowledged, committed, seen}, see marks.js
  marks(event) { return marks(event, this.commits); }

  // A state of sent.js; or posting, failed; or gone: the group is past another's event, and no row of it came.
  state(event) {
    if (event.recorded) return "recorded";
    const sent = this.sent.get(event.key);
    if (sent?.end) return sent.end;
    if (event.forgotten) return "forgotten";
    if (event.failed) return "failed";
    if (event.posting) return "posting";
    if (sent) return this.sent.stateOf(sent);
    return this.sent.next(event.partition) > event.offset ? "gone" : "waiting";
  }

  #add(event, where = null) {
    const {order} = this;
    if (order.length >= KEPT && event.at < order[0].at) return; // it is older than all that is kept
    event.aheadUs = aheadUs(event.value);
    event.stages = {...event.stages};
    order.splice(indexFor(order, event.at), 0, event);
    this.byKey.set(event.key, event);
    if (where) this.#place(event, where);
    this.#characters += event.valueText.length;
    if (order.length > KEPT + SPARE) this.#dropOldest(SPARE);
    while (this.#characters > CHARACTERS_KEPT && order.length > 1) this.#dropOldest(1);
  }

  #dropOldest(count) {
    for (const old of this.order.splice(0, count)) {
      this.byKey.delete(old.key);
      this.#byPosition.delete(position(old));
      this.#characters -= old.valueText.length;
    }
  }

  #place(event, {topic, partition, offset}) {
    this.#byPosition.set(position({partition, offset}), event);
    return Object.assign(event, {topic, partition, offset});
  }

  #rename(event, key) {
    if (this.byKey.get(event.key) === event) this.byKey.delete(event.key);
    event.key = key;
    this.byKey.set(key, event);
  }
}

const position = ({partition, offset}) => `${partition}:${offset}`;

// Where an event that came at `at` has its place: behind those of the same time. Most are the newest.
function indexFor(order, at) {
  let low = order.length && order.at(-1).at <= at ? order.length : 0;
  for (let high = order.length; low < high;) {
    const middle = (low + high) >> 1;
    if (order[middle].at > at) high = middle;
    else low = middle + 1;
  }
  return low;
}

// How far the sending browser's clock was ahead of the server's, as the event's value says. 0 if it does not say.
function aheadUs(value) {
  return typeof value?.clock_ahead_ms === "number" ? Math.round(value.clock_ahead_ms * 1000) : 0;
}
