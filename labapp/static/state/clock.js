// How far the browser's clock is ahead of the server's, measured as NTP does: the server's times lie between the request's and the answer's. Pure.

const KEPT = 40;

export class Clock {
  #samples = [];

  // All in microseconds. `asked` and `had` the answer: the browser's clock. `received` and `answered`: the server's.
  sample(asked, received, answered, had) {
    const aheadUs = ((asked - received) + (had - answered)) / 2;
    const errorUs = Math.max(0, ((had - asked) - (answered - received)) / 2);
    this.#samples.push({aheadUs, errorUs});
    if (this.#samples.length > KEPT) this.#samples.shift();
  }

  // The sample with the least error, or null: {aheadUs, errorUs}
  get best() {
    return this.#samples.reduce((best, sample) => (best && best.errorUs <= sample.errorUs ? best : sample), null);
  }

  // Microseconds to subtract from a time of the browser. 0 if the difference is within the error of measurement.
  get correctionUs() {
    const best = this.best;
    return best && Math.abs(best.aheadUs) > best.errorUs ? Math.round(best.aheadUs) : 0;
  }
}
