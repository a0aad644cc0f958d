// Watches the cluster: incidents, events that wait in the topic, and events that have no row.

import * as api from "./api.js";
import {incidents as between} from "../state/incidents.js";

const INCIDENTS_KEPT = 100;
const AT_ONCE = 20;
const WAITING_MAX = 100;

export class Watch {
  cluster = null;
  problem = null; // why `cluster` is out of date; null: it is not
  #away = false; // whether no broker answers
  incidents; // [{atUs, text}], oldest first
  #page; #store; #consumers; #changed; #nowUs; #asking = null;

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
    for (const {partition, committed} of ours?.partitions ?? []) if (committed !== null) this.#store.committed[partition] = committed;
    await Promise.all([...this.#findWaiting(ours), this.#findMissing()]);
    this.#changed();
  }

  // Finds events in the topic that no consumer has read. Another page or curl may have sent them.
  #findWaiting(group) {
    const known = new Map();
    for (const event of this.#store.order) if (this.#store.state(event) === "waiting") known.set(event.partition, (known.get(event.partition) ?? 0) + 1);
    return (group?.partitions ?? []).filter((each) => each.lag > (known.get(each.partition) ?? 0)).map(async ({partition, committed, lag}) => {
      try {
        const {records} = await api.records(this.#page.topic, partition, Math.min(lag, WAITING_MAX));
        for (const record of records) if (record.offset >= (committed ?? 0)) this.#store.waiting(record);
      } catch { /* the next round asks again */ }
    });
  }

  // The group has committed beyond these events, but no row came. An event counts as missing only if a worker answers 404.
  async #findMissing() {
    if (this.#store.unaccounted().next().done) return;
    await new Promise((resolve) => { setTimeout(resolve, 300); }); // the row may still be on its way in the stream
    for (const key of [...this.#store.unaccounted()].slice(0, AT_ONCE)) {
      const worker = this.#consumers.find((each) => each.group === this.#page.group && each.state === "online");
      if (!worker) return;
      try {
        this.#store.row(await api.event(worker.base, key), this.#page.group);
      } catch (error) {
        if (error.status === 404) this.#store.missing(key);
      }
    }
  }
}
