// The experiments: asks the lab, and keeps a line for each with what it proved. Only in the local lab.

import * as api from "../ask/api.js";
import {element, setText} from "./dom.js";
import {clock, duration, nowUs} from "../state/time.js";

const LINES = 5;

export class Experiments {
  busy = false;
  #log; #proof = null;

  constructor(log) {
    this.#log = log;
  }

  // Resolves when the lab has done it.
  async run(action, name) {
    this.busy = true;
    const outcome = element("span", {}, " …");
    this.#proof = element("span", {class: "proof-of"});
    this.#log.prepend(element("li", {}, element("span", {class: "mono soft"}, clock(nowUs())), ` ${action} ${name}`, outcome, " ", this.#proof));
    while (this.#log.children.length > LINES) this.#log.lastChild.remove();
    const began = performance.now();
    try {
      await api.experiment(action, name);
      setText(outcome, `: done in ${duration((performance.now() - began) * 1000)}.`);
    } catch (error) {
      setText(outcome, `: ${error.message}`);
      outcome.className = "problem-text";
    }
    this.busy = false;
  }

  // Until the next experiment the newest line tells the proof as it is.
  proof(line) {
    if (this.#proof) setText(this.#proof, line);
  }
}
