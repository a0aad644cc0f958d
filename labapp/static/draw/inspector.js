// Draws the records of one partition, or the dead letters, below the cluster. The functions that fetch them are passed in.

import {drawRecords} from "./cluster.js";

const RECORDS = 20;
const DEAD_LETTERS = 50;

export class Inspector {
  #target; #ask; #shown = null;

  // ask: {records(topic, partition, limit), deadLetters(limit)}. Both resolve to {records}.
  constructor(target, ask) {
    this.#target = target;
    this.#ask = ask;
  }

  records(topic, partition) {
    return this.#show(`Newest records of ${topic}, partition ${partition}`, false, () => this.#ask.records(topic, partition, RECORDS));
  }

  // resend(letter, value): sends one again, with this value. Left out where nobody can.
  deadLetters(topic, resend) {
    return this.#show(`Newest dead letters in ${topic}`, true, () => this.#ask.deadLetters(DEAD_LETTERS), resend);
  }

  async #show(title, dead, ask, resend) {
    const mine = this.#shown = {};
    const buttons = {close: () => { this.#shown = null; this.#target.replaceChildren(); }, again: () => this.#show(title, dead, ask, resend), resend};
    drawRecords(this.#target, {title, dead, records: null}, buttons);
    let found;
    try {
      found = {records: (await ask()).records};
    } catch (error) {
      found = {problem: error.message};
    }
    if (this.#shown === mine) drawRecords(this.#target, {title, dead, ...found}, buttons);
  }
}
