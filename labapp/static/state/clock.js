// How far the browser's clock is ahead of the server's, measured as NTP does: the server's times lie between the request's and the answer's. Pure.

import {duration, jumps} from "./time.js";

const KEPT = 40;
const ROUNDING_US = 1000;

// The clock that stamps each stage. A broker's counts whole milliseconds.
const STAMPED_BY = {clicked: "browser", received: "producer", produced: "producer", appended: "broker", consumed: "consumer", recorded: "broker"};
const BROKER_TICK_US = 1000;

// Says how far the time of a gap may be off, if that is more than the gap itself, or not known; else "".
// `clickErrorUs`: the error of *clicked*, or null if it is not known.
export function errorInWords({start, end, us}, clickErrorUs) {
  const clocks = [start, end].map((stage) => STAMPED_BY[stage]);
  const known = clocks[1] === "producer" && (clocks[0] === "producer" || clickErrorUs !== null);
  const errorUs = clocks.includes("broker") ? BROKER_TICK_US : known && clocks[0] === "browser" ? clickErrorUs : 0;
  if (!known && !errorUs) return "error not known";
  return Math.abs(us) < errorUs ? `± ${duration(errorUs)}${known ? "" : " or more"}` : "";
}

export class Clock {
  #samples = [];
  #jumps = jumps();

  // All in microseconds. `asked` and `had` the answer: the browser's clock. `received` and `answered`: the server's.
  sample(asked, received, answered, had) {
    if (this.#forgetsAll()) return; // the jump may lie between `asked` and `had`
    const aheadUs = ((asked - received) + (had - answered)) / 2;
    const errorUs = ((had - asked) - (answered - received)) / 2;
    if (errorUs < -ROUNDING_US) return; // a clock went back meanwhile
    const best = this.best;
    if (best && Math.abs(aheadUs - best.aheadUs) > Math.max(0, errorUs) + best.errorUs + ROUNDING_US) this.#samples = []; // a clock was set
    this.#samples.push({aheadUs, errorUs: Math.max(0, errorUs)});
    if (this.#samples.length > KEPT) this.#samples.shift();
  }

  // The sample with the least error: {aheadUs, errorUs}. Null if nothing was measured since the clock's last jump.
  get best() {
    this.#forgetsAll();
    return this.#samples.reduce((best, sample) => (best && best.errorUs <= sample.errorUs ? best : sample), null);
  }

  // Microseconds to subtract from a time of the browser. 0 if the difference is within the error of measurement.
  get correctionUs() {
    const best = this.best;
    return best && Math.abs(best.aheadUs) > best.errorUs ? Math.round(best.aheadUs) : 0;
  }

  // How far a time of the browser may be off after the correction, in microseconds. Null if it is not known.
  get errorUs() {
    const best = this.best;
    return best && (this.correctionUs ? 0 : Math.abs(best.aheadUs)) + best.errorUs;
  }

  #forgetsAll() {
    if (jumps() === this.#jumps) return false;
    this.#jumps = jumps();
    this.#samples = [];
    return true;
  }
}
