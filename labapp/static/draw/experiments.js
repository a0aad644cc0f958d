// The controls of the experiments in the guide, and a line for each that was run: what was done, how long it took, and what it proved. Only the local lab has experiments.

import {element, setText} from "./dom.js";
import {utcClock, duration, nowUs} from "../state/time.js";

const LINES = 5;
const SETTLE_MS = 400; // how long the slider stands still before it counts

export class Controls {
  #buttons; #slider; #says; #run; #busy = false; #settling = null;

  // The buttons have data-run and data-with. They call run(name of the experiment, its argument), and so does the slider.
  constructor(guide, run) {
    this.#run = run;
    this.#buttons = guide.querySelectorAll("[data-run]");
    for (const button of this.#buttons) button.addEventListener("click", () => run(button.dataset.run, button.dataset.with));
    this.#slider = guide.querySelector("#slow");
    this.#says = guide.querySelector("#slow-says");
    this.#slider.addEventListener("input", () => {
      clearTimeout(this.#settling);
      this.#settling = setTimeout(() => this.#settled(), SETTLE_MS);
      this.#tell();
    });
  }

  // `slowMs`: how slow the consumer is
  draw(busy, slowMs) {
    this.#busy = busy;
    for (const button of this.#buttons) button.disabled = busy;
    if (!this.#settling && !busy) this.#slider.value = slowMs;
    this.#tell();
  }

  #settled() {
    this.#settling = this.#busy ? setTimeout(() => this.#settled(), SETTLE_MS) : null;
    if (!this.#settling) this.#run("slow", Number(this.#slider.value));
  }

  #tell() { setText(this.#says, `${this.#slider.value} ms an event`); }
}

export class Experiments {
  #log; #outcome = null; #steps = null; #proof = null; #began = 0;

  constructor(log) {
    this.#log = log;
  }

  begin(title) {
    this.#outcome = element("span", {}, " …");
    this.#proof = element("span", {class: "proof-of"});
    this.#steps = element("ol", {class: "done-steps"});
    this.#log.prepend(element("li", {}, element("span", {class: "mono soft"}, utcClock(nowUs())), ` ${title}`, this.#outcome, this.#steps, " ", this.#proof));
    while (this.#log.children.length > LINES) this.#log.lastChild.remove();
    this.#began = performance.now();
  }

  // What is done now, or what has come of it
  say(text) {
    this.#steps.append(element("li", {}, text));
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
