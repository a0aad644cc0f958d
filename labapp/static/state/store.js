// The events that the page knows, and what became of the events it sent. Pure.

const KEPT = 10_000;
const SPARE = 500; // old events are dropped this many at a time, so that dropping is rare

export class Store {
  constructor(group) {
    this.group = group; // only a row of this consumer group makes an event recorded
    this.byKey = new Map();
    this.order = []; // by arrival, oldest first
    this.sent = new Map(); // key → {acknowledged, partition, offset, recorded, missing, twice}
    this.committed = {}; // partition → the group's committed offset
  }

  // -- what comes in

  // The page is about to post this event.
  posting(key, value, clickedUs) {
    this.sent.set(key, {});
    this.#add({key, value, stages: {clicked_us: clickedUs}, at: clickedUs - aheadUs(value), posting: true});
  }

  acknowledged(key, {topic, partition, offset, stages}) {
    Object.assign(this.sent.get(key), {acknowledged: true, partition, offset});
    const event = this.byKey.get(key);
    if (!event) return;
    event.posting = false;
    if (!event.recorded) {
      Object.assign(event, {topic, partition, offset});
      for (const stage of ["received_us", "produced_us", "appended_us"]) event.stages[stage] = stages[stage];
    }
  }

  failed(key, sentence) {
    const event = this.byKey.get(key);
    if (event) Object.assign(event, {posting: false, failed: sentence});
  }

  // A worker of `group` has recorded this row.
  row(row, group) {
    let event = this.byKey.get(row.key);
    const ours = group === this.group;
    if (!event) {
      event = {key: row.key, value: row.value, stages: {...row.stages, ...(ours ? {} : {consumed_us: null})}, at: arrival(row.stages)};
      Object.assign(event, {topic: row.topic, partition: row.partition, offset: row.offset});
      this.#add(event);
    }
    if (!ours) {
      event.elsewhere = {...event.elsewhere, [group]: row.stages.consumed_us};
    } else {
      const twice = event.recorded && (event.partition !== row.partition || event.offset !== row.offset);
      Object.assign(event, {...row, recorded: true, posting: false, failed: null, text: null});
      const sent = this.sent.get(row.key);
      if (sent) {
        sent.recorded = true;
        sent.missing = false;
        sent.deliveries = row.deliveries;
        if (twice) sent.twice = true;
      }
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
    };
    this.#add({key, value, stages, at: arrival(stages) ?? record.timestamp_us, topic: record.topic, partition: record.partition, offset: record.offset});
  }

  // -- what is known

  // One of: recorded, posting, failed, waiting, gone. Gone: the group has committed beyond the event, and no row of it came.
  state(event) {
    if (event.recorded) return "recorded";
    if (event.failed) return "failed";
    if (event.posting) return "posting";
    return this.committed[event.partition] > event.offset ? "gone" : "waiting";
  }

  // Keys of acknowledged events that the group has committed beyond, but of which no row came
  *unaccounted() {
    for (const [key, sent] of this.sent) {
      if (sent.acknowledged && !sent.recorded && !sent.missing && this.committed[sent.partition] > sent.offset) yield key;
    }
  }

  missing(key) {
    this.sent.get(key).missing = true;
  }

  proof() {
    const counts = {sent: this.sent.size, acknowledged: 0, recorded: 0, waiting: 0, missing: 0, twice: 0};
    const missingKeys = [];
    let again = 0;
    for (const [key, sent] of this.sent) {
      if (sent.acknowledged) counts.acknowledged++;
      if (sent.recorded) counts.recorded++;
      else if (sent.missing) missingKeys.push(key);
      else if (sent.acknowledged) counts.waiting++;
      if (sent.twice) counts.twice++;
      if (sent.deliveries > 1) again++;
    }
    counts.missing = missingKeys.length;
    return {counts, missingKeys, again};
  }

  // -- over a reload of the page

  saved() {
    return JSON.stringify([...this.sent].slice(-KEPT));
  }

  restore(text) {
    for (const [key, sent] of JSON.parse(text)) this.sent.set(key, {...sent, missing: false});
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

function arrival(stages) {
  return stages.received_us ?? stages.appended_us ?? stages.consumed_us;
}
