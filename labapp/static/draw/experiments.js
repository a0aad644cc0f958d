// Draws a line for each experiment: what was done, how long it took, and what it proved. Only the local lab has experiments.

import {element, setText} from "./dom.js";
import {clock, duration, nowUs} from "../state/time.js";

const LINES = 5;

export class Experiments {
  #log; #outcome = null; #proof = null; #began = 0;

  constructor(log) {
    this.#log = log;
  }

  begin(title) {
    this.#outcome = element("span", {}, " …");
    this.#proof = element("span", {class: "proof-of"});
    this.#log.prepend(element("li", {}, element("span", {class: "mono soft"}, clock(nowUs())), ` ${title}`, this.#outcome, " ", this.#proof));
    while (this.#log.children.length > LINES) this.#log.lastChild.remove();
    this.#began = performance.now();
  }

  // `problem`: why it failed, or null
  end(problem) {
    setText(this.#outcome, `: ${problem ?? `done in ${duration((performance.now() - this.#began) * 1000)}.`}`);
    if (problem) this.#outcome.className = "problem-text";
  }

  // Updates the proof in the newest line, until the next experiment starts.
  proof(line) {
    if (this.#proof) setText(this.#proof, line);
  }
}
