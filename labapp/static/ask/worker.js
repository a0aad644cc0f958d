// One worker as the page sees it: its status, which main.js polls, and its stream of rows.

import * as api from "./api.js";
import {subscribe} from "./streams.js";
import {rowOf} from "../state/row.js";
import {nowUs} from "../state/time.js";

const HISTORY = 1000;

export class Worker {
  state = "unknown"; // online, starting, stalled, offline
  sinceUs = null; // since when it has this state; null: since before the page opened
  seen = false; // whether it ever answered
  group = null;
  partitions = [];
  role = null;
  startedUs = null;
  acks = "all"; // which acknowledgements it waits for
  slowMs = 0; // how many milliseconds an experiment makes it take more for each event
  restore = null; // {offsets_left, seconds_left} while it reads its table
  connected = false; // to its stream
  behindSinceUs = null; // since when the stream is lost; null: connected, or never connected

  #again = null; // asks for the stream after it was lost
  #asking = null;
  #timeouts = 0;

  // told: {changed(worker, the state before), progress(offsets, worker), row(row, worker), serverUs(), clock(asked, received, answered, had), which may be left out}
  constructor(base, name, told) {
    Object.assign(this, {base, name, told});
  }

  get port() { return new URL(this.base || location.origin).port || "80"; }

  ask() {
    this.#asking ??= this.#ask().finally(() => { this.#asking = null; });
    return this.#asking;
  }

  async #ask() {
    const asked = nowUs();
    try {
      const {role, group, state, partitions, restore, offsets, acks, slow_ms: slowMs, started_us: startedUs, now_us: answered} = await api.status(this.base);
      this.told.clock?.(asked, answered, answered, nowUs());
      Object.assign(this, {role, group: group ?? this.group, restore, startedUs, acks, slowMs, seen: true});
      if (String(partitions) !== String(this.partitions)) {
        this.partitions = partitions;
        this.told.changed(this);
      }
      this.#timeouts = 0;
      this.told.progress(offsets, this);
      this.#become(state, this.state === "unknown" ? startedUs : this.told.serverUs());
      if (role !== "producer" && !this.connected) this.#listen();
    } catch (error) {
      // One question may end late because this machine slept, or the browser's connections were busy.
      if (error.timedOut && this.#timeouts++ === 0) return;
      this.partitions = [];
      this.#become("offline", this.state === "unknown" ? null : this.told.serverUs());
    }
  }

  #become(state, sinceUs) {
    if (state === this.state) return;
    const before = this.state;
    Object.assign(this, {state, sinceUs});
    this.told.changed(this, before);
  }

  // Opens the stream before it reads the older rows, so that no row falls in between. The store knows repeated rows by their key.
  #listen() {
    if (this.#again) {
      this.#again();
      return;
    }
    this.#again = subscribe(this.base, api.streamToken, {
      opened: (resumed) => {
        this.connected = true;
        this.behindSinceUs = null;
        if (!resumed) this.history();
        this.told.changed(this);
      },
      row: (text) => this.told.row(rowOf(text), this),
      lost: () => {
        this.connected = false;
        this.behindSinceUs ??= this.told.serverUs();
        this.told.changed(this);
        setTimeout(() => this.ask(), 200); // most likely the worker ended: show that without waiting for the next poll
      },
    });
  }

  // Reads the newest rows.
  async history() {
    for (let attempt = 0; attempt < 10; attempt++) {
      try {
        const rows = await api.events(this.base, HISTORY);
        for (const row of rows.toReversed()) this.told.row(row, this);
        return;
      } catch {
        await new Promise((resolve) => { setTimeout(resolve, 500); }); // the worker is starting
      }
    }
  }
}
