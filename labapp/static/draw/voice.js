// Writes the live region that screen readers announce: at most once every 2 s, and only what is new. Takes data and an element.

import {setText} from "./dom.js";
import {gaps, longest, totalUs} from "../state/stages.js";
import {duration, plural} from "../state/time.js";

const SILENCE_MS = 2000;

export class Voice {
  #target; #said = null;

  constructor(target) {
    this.#target = target;
  }

  tell(events, order) {
    const recorded = events.reduce((count, event) => count + (event.recorded ? 1 : 0), 0);
    const waiting = events.length - recorded;
    const before = this.#said;
    if (before && (performance.now() - before.at < SILENCE_MS || (recorded === before.recorded && waiting === before.waiting))) return;
    this.#said = {at: performance.now(), recorded, waiting};
    if (!before) return; // events that were there when the page opened are not announced
    const newest = events.findLast((event) => event.recorded);
    const found = newest ? gaps(newest, order) : [];
    const most = longest(found);
    const parts = [];
    if (recorded > before.recorded && most) {
      parts.push(`${plural(recorded - before.recorded, "event")} recorded; the newest took ${duration(totalUs(found))}, longest ${most.start} to ${most.end}.`);
    }
    if (waiting) parts.push(`${plural(waiting, "event")} waiting.`);
    setText(this.#target, parts.join(" "));
  }
}
