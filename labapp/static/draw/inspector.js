// The records of one partition, or the dead letters, under the cluster: asks for them and has them drawn.

import * as api from "../ask/api.js";
import {drawRecords} from "./cluster.js";

const RECORDS = 20;
const DEAD_LETTERS = 50;

export class Inspector {
  #target; #shown = null;

  constructor(target) {
    this.#target = target;
  }

  records(topic, partition) {
    return this.#show(`Newest records of ${topic}, partition ${partition}`, false, () => api.records(topic, partition, RECORDS));
  }

  deadLetters(topic) {
    return this.#show(`Newest dead letters in ${topic}`, true, () => api.deadLetters(DEAD_LETTERS));
  }

  async #show(title, dead, ask) {
    const mine = this.#shown = {};
    const buttons = {close: () => { this.#shown = null; this.#target.replaceChildren(); }, again: () => this.#show(title, dead, ask)};
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
