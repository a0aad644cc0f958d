// Watches the cluster: incidents, events that wait in the topic, and what became of the events that were sent.

import * as api from "./api.js";
import {incidents as between} from "../state/incidents.js";
import {nowUs} from "../state/time.js";

const INCIDENTS_KEPT = 100;
const REQUESTS_A_ROUND = 10; // for keys, of one partition
const WAITING_MAX = 100;

export class Watch {
  cluster = null;
  problem = null; // why `cluster` is out of date; null: it is not
  #away = false; // whether no broker answers
  incidents; // [{atUs, text}], oldest first
  #page; #store; #consumers; #changed; #nowUs; #asking = null; #lookingUp = false;

  constructor({page, store, consumers, incidents, changed, nowUs}) {
    Object.assign(this, {incidents});
    this.#nowUs = nowUs;
    this.#page = page;
    this.#store = store;
    this.#consumers = consumers;
    this.#changed = changed;
  }

  ask() {
    this.#asking ??= this.#ask().finally(() => { this.#asking = null; });
    return this.#asking;
  }

  incident(text) {
    const last = this.incidents.findLast((each) => each.text === text);
    if (last && this.#nowUs() - last.atUs < 3e6) return;
    this.incidents = [...this.incidents, {atUs: this.#nowUs(), text}].slice(-INCIDENTS_KEPT);
  }

  group(name) {
    return this.cluster?.groups.find((group) => group.name === name);
  }

  // The last known cluster with all brokers marked away. Null unless no broker answers and a cluster is known.
  withoutBrokers() {
    if (!this.#away || !this.cluster) return null;
    return {...this.cluster, brokers: this.cluster.brokers.map((broker) => ({...broker, state: "away"}))};
  }

  // How many events wait in this worker's partitions
  lag(worker) {
    if (worker.state === "offline") return 0;
    const mine = this.group(worker.group)?.partitions.filter((each) => worker.partitions.includes(each.partition)) ?? [];
    return mine.reduce((sum, each) => sum + (each.lag ?? 0), 0);
  }

  async #ask() {
    const askedUs = nowUs();
    try {
      const found = await api.cluster();
      for (const text of between(this.cluster, found)) this.incident(text);
      this.cluster = found;
      this.problem = null;
      this.#away = false;
    } catch (error) {
      if (error.status === 503 && !this.problem) this.incident("no broker answers");
      this.problem = error.message;
      this.#away = error.status === 503;
      this.#changed();
      return;
    }
    const ours = this.group(this.#page.group);
    if (this.#store.topicIs(this.cluster.topics[0]?.id)) this.incident(`${this.#page.topic} made anew`);
    for (const {partition, first_offset: first, next_offset: end} of this.cluster.topics[0]?.partitions ?? []) {
      const committed = ours?.partitions.find((each) => each.partition === partition)?.committed ?? null;
      this.#store.sent.topic(partition, {first, end, committed, askedUs});
    }
    await Promise.all([...this.#findWaiting(ours), this.#lookUpUnanswered()]);
    this.#changed();
  }

  // Finds events in the topic that no consumer has read. Another page or curl may have sent them.
  #findWaiting(group) {
    const known = new Map();
    for (const event of this.#store.order) if (this.#store.state(event) === "waiting") known.set(event.partition, (known.get(event.partition) ?? 0) + 1);
    // A group that has never run is not in the cluster's answer. Then only this page's own events are known to wait.
    const all = (this.cluster.topics[0]?.partitions ?? []).map(({partition, first_offset: first, next_offset: end}) => ({partition, lag: end - first}));
    return (group?.partitions ?? all).filter((each) => each.lag > (known.get(each.partition) ?? 0)).map(async ({partition, committed, lag}) => {
      try {
        const {records} = await api.records(this.#page.topic, partition, Math.min(lag, WAITING_MAX));
        for (const record of records) {
          const ours = group || this.#store.sent.get(record.key);
          if (ours && record.offset >= (this.#store.sent.next(partition) ?? committed ?? 0)) this.#store.waiting(record);
        }
      } catch { /* the next round asks again */ }
    });
  }

  // The workers of the page's group that have partitions
  #owners() {
    return this.#consumers.filter((worker) => worker.group === this.#page.group && worker.state === "online");
  }

  // Asks each owner for the rows of events that the producer has not acknowledged: the answer may have been lost. Never throws.
  async #lookUpUnanswered() {
    try {
      for (const worker of this.#owners()) await this.#lookUpKeys(worker, this.#store.sent.unanswered());
    } catch { /* the next round asks again */ }
  }

  // Asks the owner of each partition for the rows of events that the group is past. Never throws.
  async lookUp() {
    if (this.#lookingUp) return;
    this.#lookingUp = true;
    for (const worker of this.#owners()) {
      for (const partition of worker.partitions) {
        try {
          await this.#lookUpIn(worker, partition);
        } catch { /* the next round asks again */ }
      }
    }
    this.#lookingUp = false;
  }

  async #lookUpIn(worker, partition) {
    const {sent} = this.#store;
    const wanted = sent.lookedFor(partition);
    if (!wanted.length) return;
    const asked = new Set(wanted.map(([key]) => key));
    for (let index = 0; index < wanted.length;) {
      const first = wanted[index][1];
      const found = await api.offsets(worker.base, partition, first);
      for (; index < wanted.length && wanted[index][1] < first + api.OFFSETS; index++) {
        const [key] = wanted[index];
        if (Object.hasOwn(found.rows, key)) sent.recorded(key, partition, found.rows[key]);
      }
      sent.progress(found);
      this.#changed();
    }
    // A row stands at another offset if the record was written twice. So what was not found is asked for by its key.
    const left = sent.lookedFor(partition).filter(([key]) => asked.has(key)).slice(0, REQUESTS_A_ROUND * api.KEYS);
    if (!left.length) return;
    const nowhere = await this.#lookUpKeys(worker, left.map(([key]) => key));
    if (nowhere.length) {
      await this.#findDeadLetters();
      // It may have expired since the first question, so only what is not older than the oldest row now is missing.
      sent.progress(await api.offsets(worker.base, partition, left[0][1]));
      await this.ask(); // whether the topic is still the one that it was sent to
      if (this.problem) return;
    }
    for (const key of nowhere) sent.missing(key);
    this.#changed();
  }

  // Notes the rows that the worker has of these keys, and returns the keys of which it has none.
  async #lookUpKeys(worker, keys) {
    const nowhere = [];
    for (let index = 0; index < keys.length; index += api.KEYS) {
      const some = keys.slice(index, index + api.KEYS);
      const {rows} = await api.keys(worker.base, some);
      for (const key of some) {
        if (Object.hasOwn(rows, key)) this.#store.sent.recorded(key, rows[key].partition, rows[key].offset);
        else nowhere.push(key);
      }
    }
    return nowhere;
  }

  async #findDeadLetters() {
    const {records} = await api.deadLetters(100);
    for (const {headers} of records) if (headers.topic === this.#page.topic) this.#store.sent.dead(Number(headers.partition), Number(headers.offset));
  }
}
