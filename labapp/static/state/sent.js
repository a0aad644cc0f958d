// What became of each event that this page sent. Pure. Each is in exactly one state at any time, and only facts move it:
//
//   unanswered  the producer has not acknowledged it
//   waiting     acknowledged, and its offset is not recorded yet
//   looking     the group is past its offset, or its offset is not in the topic, and no worker has told yet whether it has the row
//   recorded    it has a row
//   expired     it was recorded, and newer rows have taken its place
//   missing     the group is past its offset, nothing at its place has expired, and the owner of the partition has no row of it
//   dead        it is in the dead-letter topic
//   forgotten   its topic was deleted and made anew before it was known to be recorded

const CHUNK = 500; // events that are saved together
const CHUNKS_A_SAVE = 20; // what one save takes of a painting's time
const STATES = ["unanswered", "waiting", "looking", "recorded", "expired", "missing", "dead", "forgotten"];

export class Sent {
  // key → {chunk, posting, partition, offset, ackAtUs, end, twice, again, without, deleted}. `posting`: its POST is under way. `offset`: its
  // row's, else that of the acknowledgement. `end`: a state that a fact has settled. `deleted`: its offset is not in the topic.
  #byKey = new Map();
  #next = {}; // partition → the next offset that the group will record
  #oldestKept = {}; // partition → the offset of the oldest row, null if none has expired
  #all = {topic: null, sent: 0, twice: 0, again: 0}; // the topic's identity; events that have expired are only counted
  #chunks = []; // index → the keys of its events
  #dirty = new Set(); // indices of chunks that are to be saved

  get(key) { return this.#byKey.get(key); }

  // -- what comes in

  posting(key) {
    if (!this.#chunks.length || this.#chunks.at(-1).size >= CHUNK) this.#chunks.push(new Set());
    this.#chunks.at(-1).add(key);
    this.#byKey.set(key, {chunk: this.#chunks.length - 1, posting: true});
    this.#touch(key);
  }

  // Its POST has failed for good. Kafka may have the event nevertheless.
  failed(key) {
    const sent = this.#byKey.get(key);
    if (sent) sent.posting = false;
  }

  acknowledged(key, partition, offset, nowUs) {
    const sent = this.#byKey.get(key);
    if (!sent) return;
    sent.posting = false;
    if (sent.end === "recorded") return; // the row came first, and may be of an earlier attempt
    Object.assign(sent, {partition, offset, ackAtUs: nowUs});
    this.#touch(key);
  }

  // The event's record has a key that was in use, so its row has another one.
  renamed(key, other) {
    const sent = this.#byKey.get(key);
    if (!sent) return;
    this.#byKey.delete(key);
    this.#byKey.set(other, sent);
    this.#chunks[sent.chunk].delete(key);
    this.#chunks[sent.chunk].add(other);
    this.#touch(other);
  }

  // `row`: of the page's group
  row({key, partition, offset, deliveries}) {
    const sent = this.#byKey.get(key);
    if (!sent) return;
    if (sent.end === "recorded" && (sent.partition !== partition || sent.offset !== offset)) sent.twice = true;
    if (deliveries > 1) sent.again = true;
    this.recorded(key, partition, offset);
  }

  // A worker has its row, which stands at this offset.
  recorded(key, partition, offset) {
    const sent = this.#byKey.get(key);
    if (!sent) return;
    Object.assign(sent, {partition, offset});
    this.#settle(key, "recorded");
  }

  // The partition's owner has no row of this event, though the group is past it.
  missing(key) {
    const sent = this.#byKey.get(key);
    if (sent && this.stateOf(sent) === "looking") this.#settle(key, "missing");
  }

  dead(partition, offset) {
    for (const [key, sent] of this.#byKey) if (sent.partition === partition && sent.offset === offset) this.#settle(key, "dead");
  }

  // What the partition's owner says of it, all of one moment.
  progress({partition, next_to_record: next, oldest_kept: oldest}) {
    this.#next[partition] = next;
    this.#oldestKept[partition] = oldest;
    if (oldest === null) return;
    for (const [key, sent] of this.#byKey) {
      if (sent.partition !== partition || sent.offset >= oldest || sent.offset >= next) continue;
      if (sent.end === "recorded" || (!sent.end && !sent.deleted)) this.#expire(key, sent);
    }
  }

  // What the brokers say of a partition. `committed`: the group's offset, which can't be ahead of what is recorded.
  topic(partition, {first, end, committed, askedUs}) {
    if (committed !== null) this.#next[partition] = Math.max(this.#next[partition] ?? 0, committed);
    else this.#next[partition] ??= 0;
    if (first === null || end === null) return;
    for (const [key, sent] of this.#byKey) {
      if (sent.partition !== partition || sent.end || !(sent.ackAtUs < askedUs)) continue;
      const without = sent.offset >= (this.#next[partition] ?? 0) && (sent.offset < first || sent.offset >= end);
      // Told twice, since a new leader may tell an end that is too low for a moment.
      if (without) sent.without = (sent.without ?? 0) + 1;
      else sent.without = 0;
      if (sent.without >= 2 || (without && sent.offset < first)) sent.deleted = true;
      else if (sent.deleted && sent.offset >= first && sent.offset < end) sent.deleted = false;
      else continue;
      this.#touch(key);
    }
  }

  // The topic's identity, or null if the brokers do not tell it. Returns whether the topic is another one than before, of the same name.
  topicIs(id) {
    const before = this.#all.topic;
    if (!id || id === before) return false;
    this.#all.topic = id;
    this.#dirty.add(-1);
    if (!before) return false;
    this.#next = {};
    this.#oldestKept = {};
    for (const [key, sent] of this.#byKey) {
      if (sent.end === "recorded") this.#expire(key, sent);
      else if (!sent.end && sent.offset !== undefined) this.#settle(key, "forgotten");
    }
    return true;
  }

  // -- what is known

  stateOf(sent) {
    if (sent.end) return sent.end;
    if (sent.offset === undefined) return "unanswered";
    const next = this.#next[sent.partition];
    return sent.deleted || next === undefined || sent.offset < next ? "looking" : "waiting";
  }

  next(partition) { return this.#next[partition]; }

  // [key, offset] of the events of a partition that are to be looked up, by offset
  lookedFor(partition) {
    const found = [];
    for (const [key, sent] of this.#byKey) if (sent.partition === partition && this.stateOf(sent) === "looking") found.push([key, sent.offset]);
    return found.sort((a, b) => a[1] - b[1]);
  }

  // Keys of events whose POST ended without an answer, or was under way when the page was reloaded. Kafka may have them.
  unanswered() {
    const found = [];
    for (const [key, sent] of this.#byKey) if (!sent.posting && !sent.end && sent.offset === undefined) found.push(key);
    return found;
  }

  // {counts, missingKeys, missingOffsets, again}. The states' counts add up to `sent`.
  proof() {
    const expired = this.#all;
    const counts = {sent: this.#byKey.size + expired.sent, acknowledged: expired.sent, twice: expired.twice};
    for (const state of STATES) counts[state] = 0;
    counts.expired = expired.sent;
    let {again} = expired;
    const missingKeys = [], missingOffsets = {}; // the latter by partition
    for (const [key, sent] of this.#byKey) {
      const state = this.stateOf(sent);
      counts[state]++;
      if (state === "missing") {
        missingKeys.push(key);
        (missingOffsets[sent.partition] ??= []).push(sent.offset);
      }
      if (sent.offset !== undefined) counts.acknowledged++;
      if (sent.twice) counts.twice++;
      if (sent.again) again++;
    }
    return {counts, missingKeys, missingOffsets, again};
  }

  // -- over a reload of the page

  // What changed and is not saved yet: [name, text], …. Text is null for what is not needed any more. The rest comes with the next call
  // unless `all` is wanted.
  changes(all = false) {
    const indices = [...this.#dirty].slice(0, all ? undefined : CHUNKS_A_SAVE);
    const found = [];
    for (const index of indices) {
      this.#dirty.delete(index);
      if (index < 0) continue;
      const chunk = [...this.#chunks[index]].map((key) => packed(key, this.#byKey.get(key)));
      found.push([`sent-${index}`, chunk.length ? JSON.stringify(chunk) : null]);
    }
    if (indices.length) found.push(["sent-all", JSON.stringify(this.#all)]);
    return found;
  }

  // `read(name)`: the text that was saved, or null. `names`: all names that there are.
  restore(names, read) {
    for (const name of names) {
      const index = Number(/^sent-(\d+)$/.exec(name)?.[1] ?? NaN);
      if (Number.isNaN(index)) continue;
      while (this.#chunks.length <= index) this.#chunks.push(new Set());
      for (const one of JSON.parse(read(name))) {
        const [key, sent] = unpacked(one);
        this.#chunks[index].add(key);
        this.#byKey.set(key, {...sent, chunk: index});
      }
    }
    Object.assign(this.#all, JSON.parse(read("sent-all") ?? "{}"));
  }

  #touch(key) { this.#dirty.add(this.#byKey.get(key).chunk); }

  #settle(key, state) {
    const sent = this.#byKey.get(key);
    sent.end = state;
    sent.posting = false;
    this.#touch(key);
  }

  #expire(key, sent) {
    this.#all.sent++;
    if (sent.twice) this.#all.twice++;
    if (sent.again) this.#all.again++;
    this.#touch(key);
    this.#chunks[sent.chunk].delete(key);
    this.#byKey.delete(key);
  }
}

// An event as it is saved. It is short, since browsers keep 5 million characters for a tab.
function packed(key, {partition, offset, end, twice, again, deleted}) {
  if (offset === undefined) return [key];
  return end || deleted ? [key, partition, offset, {end, twice, again, deleted}] : [key, partition, offset];
}

function unpacked([key, partition, offset, facts = {}]) {
  return [key, offset === undefined ? {} : {partition, offset, ackAtUs: 0, ...facts}];
}
