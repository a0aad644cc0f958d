// Runs experiments with the local lab, and tells what it does. It draws nothing.

import * as api from "./api.js";

const THAWS = ["start", "stop", "kill", "thaw"];
const FROZEN_SECONDS = 20; // the lab thaws by itself what nobody thaws

export class Lab {
  busy = false;
  #frozen = new Map(); // name → its timer
  #told;

  // told: {begun(title), ended(problem or null, step of the guide), incident(text), changed()}
  constructor(told) {
    this.#told = told;
  }

  isFrozen(name) { return this.#frozen.has(name); }

  // One thing that is done to one process. Resolves when it is done or has failed: this never throws.
  async run(action, name) {
    await this.#perform(action, `${action} ${name}`, () => this.#act(action, name));
  }

  // Makes the consumer take so many milliseconds more for each event. 0: no longer.
  async slow(ms) {
    await this.#perform("slow", ms ? `slow consumer: ${ms} ms an event` : "consumer at its own speed", async () => {
      await this.#act("slow", "consumer", {ms});
      this.#told.incident(ms ? `consumer slow: ${ms} ms an event` : "consumer no longer slow");
    });
  }

  async #perform(step, title, work) {
    this.busy = true;
    this.#told.begun(title);
    try {
      await work();
      this.#told.ended(null, step);
    } catch (error) {
      this.#told.ended(error.message, step);
    }
    this.busy = false;
    this.#told.changed();
  }

  async #act(action, name, options = {}) {
    if (action !== "freeze") {
      await api.experiment(action, name, options);
      if (THAWS.includes(action)) this.#thawed(name);
      return;
    }
    // Noted at once: a frozen producer answers only when it is thawed.
    this.#frozen.set(name, setTimeout(() => this.#thawed(name), FROZEN_SECONDS * 1000));
    this.#told.incident(`${name} frozen`);
    try {
      await api.experiment(action, name, {seconds: FROZEN_SECONDS});
    } catch (error) {
      this.#thawed(name);
      throw error;
    }
  }

  #thawed(name) {
    if (!this.#frozen.has(name)) return;
    clearTimeout(this.#frozen.get(name));
    this.#frozen.delete(name);
    this.#told.incident(`${name} thawed`);
    this.#told.changed();
  }
}
