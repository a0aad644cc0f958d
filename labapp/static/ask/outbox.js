// Sends events and tells the store what became of each.

import * as api from "./api.js";
import {burst, Lanes, persistently, uuid7} from "./sender.js";
import {nowUs} from "../state/time.js";

export class Outbox {
  #store; #clock; #told; #running = null; #lanes = new Lanes();

  // told: {changed(), problem(sentence or null), measure(): compares the clocks of browser and server}
  constructor(store, clock, told) {
    this.#store = store;
    this.#clock = clock;
    this.#told = told;
  }

  // Whether a burst is running
  get running() { return this.#running !== null; }

  // Sends one event, or `count` events, `rate` per second (0: without pauses). A second burst ends the first instead.
  async send(count, rate, clickedUs) {
    if (count === 1) {
      await this.#post(clickedUs);
      return;
    }
    if (this.#running) {
      this.#running.abort();
      return;
    }
    this.#running = new AbortController();
    this.#told.changed();
    await burst(count, rate, (...due) => this.#post(...due), this.#running.signal, nowUs);
    this.#running = null;
    this.#told.changed();
  }

  // `clickedUs`: when the event was due. In a burst with a rate (`scheduled`) that is its place in the schedule and stands for a person's click at that
  // moment, so that the wait for a free lane is in the first gap. `sent` in the event's value tells every page which part of the gap it is.
  async #post(clickedUs, scheduled = false) {
    if (!this.#clock.best) await this.#told.measure();
    const aheadUs = this.#clock.correctionUs;
    const key = uuid7((clickedUs - aheadUs) / 1000);
    const value = {id: nextId()};
    const compared = this.#clock.best !== null;
    if (compared) value.clicked = clickedUs / 1000; // else nobody could tell what the time means
    if (compared && scheduled) value.sent = nowUs() / 1000;
    if (aheadUs) value.clock_ahead_ms = aheadUs / 1000; // in the event itself, so that every page can correct its *clicked*
    this.#store.posting(key, value, compared ? clickedUs : null, clickedUs - aheadUs);
    this.#told.changed();
    try {
      const answer = await persistently(() => this.#lanes.run(async () => {
        const asked = nowUs();
        const found = await api.send(key, value);
        this.#clock.sample(asked, found.stages.received_us, found.stages.acknowledged_us, nowUs());
        return found;
      }), (sentence) => this.#told.problem(`${sentence} Trying again with the same key.`));
      this.#store.acknowledged(key, answer);
      this.#told.problem(null);
    } catch (error) {
      if (error.status === 401) this.#running?.abort(); // the person gave no token: do not ask again for each event of the burst
      this.#store.failed(key, error.message);
      this.#told.problem(error.message);
    }
    this.#told.changed();
  }
}

// In localStorage, so that ids continue after a reload and in a second tab
function nextId() {
  try {
    const id = Number(localStorage.getItem("id") ?? 0) + 1;
    localStorage.setItem("id", String(id));
    return id;
  } catch {
    return Date.now();
  }
}
