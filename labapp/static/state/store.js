// The events that the page knows, and what became of the events it sent. Pure.

import {Sent} from "./sent.js";
import {arrival} from "./stages.js";
import {nowUs} from "./time.js";

const KEPT = 10_000;
const SPARE = 500; // old events are dropped this many at a time, so that dropping is rare

export class Store {
  constructor(group) {
    this.group = group; // only a row of this consumer group makes an event recorded
    this.byKey = new Map();
    this.order = []; // by arrival, oldest first
    this.sent = new Sent();
  }

  // -- what comes in

  // The page is about to post this event. `clickedUs`: null if the browser's clock could not be compared with the server's.
  posting(key, value, clickedUs, serverUs) {
    this.sent.posting(key);
    this.#add({key, value, stages: {clicked_us: clickedUs}, at: serverUs, posting: true});
  }

  acknowledged(key, {topic, partition, offset, stages}) {
    this.sent.acknowledged(key, partition, offset, nowUs());
    const event = this.byKey.get(key);
    if (!event) return;
    event.posting = false;
    if (!event.recorded) {
      Object.assign(event, {topic, partition, offset});
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
      if (known.recorded) this.sent.row(known);
    } else if (event) {
      event.key = other;
      this.byKey.set(other, event);
    }
  }

  failed(key, sentence) {
    const event = this.byKey.get(key);
    if (event && !event.recorded) Object.assign(event, {posting: false, failed: sentence});
  }

  // A worker of `group` has recorded this row.
  row(row, group) {
    let event = this.byKey.get(row.key);
    const ours = group === this.group;
    if (!event) {
      event = {key: row.key, value: row.value, stages: {...row.stages, ...(ours ? {} : {consumed_us: null, recorded_us: null})}, at: arrival(row.stages)};
      Object.assign(event, {topic: row.topic, partition: row.partition, offset: row.offset});
      this.#add(event);
    }
    if (!ours) {
      event.elsewhere = {...event.elsewhere, [group]: row.stages.consumed_us};
    } else {
      Object.assign(event, {...row, recorded: true, posting: false, failed: null, text: null, aheadUs: aheadUs(row.value)});
      this.sent.row(row);
    }
  }

  // This record is in the topic and is not consumed yet. Anyone may have produced it.
  waiting(record) {
    const key = record.key ?? `${record.topic}-${record.partition}-${record.offset}`;
    if (this.byKey.has(key)) return;
    let value = null;
    try {
      value = JSON.parse(record.value);
    } catch { /* the consumer decides what such a record is */ }
    const number = (text) => (/^\d{1,16}$/.test(text ?? "") ? Number(text) : null);
    const stages = {
      clicked_us: typeof value?.clicked === "number" ? Math.round(value.clicked * 1000) : null,
      received_us: number(record.headers.received_us),
      produced_us: number(record.headers.produced_us),
      appended_us: record.timestamp_by === "broker" ? record.timestamp_us : null,
      consumed_us: null,
      recorded_us: null,
    };
    this.#add({key, value, stages, at: arrival(stages) ?? record.timestamp_us, topic: record.topic, partition: record.partition, offset: record.offset});
  }

  // -- what is known

  // A state of sent.js; or posting, failed; or gone: the group is past another's event, and no row of it came.
  state(event) {
    if (event.recorded) return "recorded";
    if (event.failed) return "failed";
    if (event.posting) return "posting";
    const sent = this.sent.get(event.key);
    if (sent) return this.sent.stateOf(sent);
    return this.sent.next(event.partition) > event.offset ? "gone" : "waiting";
  }

  #add(event) {
    event.aheadUs = aheadUs(event.value);
    event.stages = {...event.stages};
    let index = this.order.length;
    while (index > 0 && this.order[index - 1].at > event.at) index--;
    this.order.splice(index, 0, event);
    this.byKey.set(event.key, event);
    if (this.order.length > KEPT + SPARE) {
      for (const old of this.order.splice(0, SPARE)) this.byKey.delete(old.key);
    }
  }
}

// How far the sending browser's clock was ahead of the server's, as the event's value says. 0 if it does not say.
function aheadUs(value) {
  return typeof value?.clock_ahead_ms === "number" ? Math.round(value.clock_ahead_ms * 1000) : 0;
}
