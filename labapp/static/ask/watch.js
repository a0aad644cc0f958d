// Watches the cluster: what happened in it, which events wait in the topic, and which have no row. Draws nothing.

import * as api from "./api.js";
import {incidents as between} from "../state/incidents.js";

const INCIDENTS_KEPT = 100;
const AT_ONCE = 20;
const WAITING_MAX = 100;

export class Watch {
  cluster = null;
  problem = null; // why `cluster` is not of now
  #away = false; // whether that is since no broker answers
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

  // The cluster as it was, with all brokers away; null where that is not known.
  withoutBrokers() {
    if (!this.#away || !this.cluster) return null;
    return {...this.cluster, brokers: this.cluster.brokers.map((broker) => ({...broker, state: "away"}))};
  }

  // How many events wait for this worker
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

  // Events that lie in the topic and that no consumer has read: also those which another page, or curl, has sent.
  #findWaiting(group) {
    const known = new Map();
    for (const event of this.#store.order) if (this.#store.state(event) === "waiting") known.set(event.partition, (known.get(event.partition) ?? 0) + 1);
    return (group?.partitions ?? []).filter((each) => each.lag > (known.get(each.partition) ?? 0)).map(async ({partition, committed, lag}) => {
      try {
        const {records} = await api.records(this.#page.topic, partition, Math.min(lag, WAITING_MAX));
        for (const record of records) if (record.offset >= (committed ?? 0)) this.#store.waiting(record);
      } catch { /* asked again in a moment */ }
    });
  }

  // The group is past them, and no row came: only a worker that says 404 makes an event missing.
  async #findMissing() {
    if (this.#store.unaccounted().next().done) return;
    await new Promise((resolve) => { setTimeout(resolve, 300); }); // a row on its way comes first
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
