// Sends events and tells the store what became of each.

import * as api from "./api.js";
import * as ids from "./ids.js";
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
      await this.#post(clickedUs, await ids.take(1));
      return;
    }
    if (this.#running) {
      this.#running.abort();
      return;
    }
    this.#running = new AbortController();
    this.#told.changed();
    let id = await ids.take(count);
    await burst(count, rate, (us, scheduled) => this.#post(us, id++, {scheduled}), this.#running.signal, nowUs);
    this.#running = null;
    this.#told.changed();
  }

  // Sends `count` events at full speed: each with a key of its own, or all with that of the first. Resolves to what the producer answered.
  async group(count, oneKey) {
    let id = await ids.take(count);
    const answers = [await this.#post(nowUs(), id++)];
    if (!answers[0]) throw new Error("The first event was not acknowledged.");
    const recordKey = oneKey ? answers[0].key : null;
    await burst(count - 1, 0, async (us) => answers.push(await this.#post(us, id++, {recordKey})), new AbortController().signal, nowUs);
    return answers.filter(Boolean);
  }

  // Sends one request twice, with the same key and the same value. Resolves to both answers.
  async twice() {
    const first = await this.#post(nowUs(), await ids.take(1));
    return first && [first, await api.send(first.key, first.value)];
  }

  // `clickedUs`: when the event was due. In a burst with a rate (`scheduled`) that is its place in the schedule and stands for a person's click at that
  // moment, so that the wait for a free lane is in the first gap. `sent` in the event's value tells every page which part of the gap it is.
  // `recordKey`: a key that is in use, null for one of its own. Resolves to the producer's answer with the value sent; undefined if it failed.
  async #post(clickedUs, id, {recordKey = null, scheduled = false} = {}) {
    if (!this.#clock.best) await this.#told.measure();
    const aheadUs = this.#clock.correctionUs;
    const key = uuid7((clickedUs - aheadUs) / 1000);
    const value = {id};
    const compared = this.#clock.best !== null;
    if (compared) value.clicked = clickedUs / 1000; // else nobody could tell what the time means
    if (compared && scheduled) value.sent = nowUs() / 1000;
    if (aheadUs) value.clock_ahead_ms = aheadUs / 1000; // in the event itself, so that every page can correct its *clicked*
    this.#store.posting(key, value, compared ? clickedUs : null, clickedUs - aheadUs);
    this.#told.changed();
    try {
      const answer = await persistently(() => this.#lanes.run(async () => {
        const asked = nowUs();
        const found = await api.send(recordKey ?? key, value);
        this.#clock.sample(asked, found.stages.received_us, found.stages.acknowledged_us, nowUs());
        return found;
      }), (sentence) => this.#told.problem(`${sentence} Trying again with the same key.`));
      const rowKey = recordKey ? `${answer.topic}-${answer.partition}-${answer.offset}` : key;
      if (rowKey !== key) this.#store.renamed(key, rowKey);
      this.#store.acknowledged(rowKey, answer);
      this.#told.problem(null);
      this.#told.changed();
      return {...answer, value};
    } catch (error) {
      if (error.status === 401) this.#running?.abort(); // the person gave no token: do not ask again for each event of the burst
      this.#store.failed(key, error.message);
      this.#told.problem(error.message);
    }
    this.#told.changed();
  }
}
