// Draws a line for each experiment: what was done, how long it took, and what it proved. Only the local lab has experiments.

import {element, setText} from "./dom.js";
import {utcClock, duration, nowUs} from "../state/time.js";

const LINES = 5;

export class Experiments {
  busy = false;
  #log; #ask; #proof = null;

  // ask(action, name) tells the lab to do it and resolves when it is done.
  constructor(log, ask) {
    this.#log = log;
    this.#ask = ask;
  }

  // Resolves when the lab has done it, or has failed: this never throws.
  async run(action, name) {
    this.busy = true;
    const outcome = element("span", {}, " …");
    this.#proof = element("span", {class: "proof-of"});
    this.#log.prepend(element("li", {}, element("span", {class: "mono soft"}, utcClock(nowUs())), ` ${action} ${name}`, outcome, " ", this.#proof));
    while (this.#log.children.length > LINES) this.#log.lastChild.remove();
    const began = performance.now();
    try {
      await this.#ask(action, name);
      setText(outcome, `: done in ${duration((performance.now() - began) * 1000)}.`);
    } catch (error) {
      setText(outcome, `: ${error.message}`);
      outcome.className = "problem-text";
    }
    this.busy = false;
  }

  // Updates the proof in the newest line, until the next experiment starts.
  proof(line) {
    if (this.#proof) setText(this.#proof, line);
  }
}
