// How far the browser's clock is ahead of the server's, measured as NTP does: a server's time between two of ours. Pure.

const KEPT = 40;

export class Clock {
  #samples = [];

  // All in microseconds: we asked, it received, it answered, we had the answer.
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

  // What to take off a browser time; 0 where the difference is no more than the error of measuring it.
  get correctionUs() {
    const best = this.best;
    return best && Math.abs(best.aheadUs) > best.errorUs ? Math.round(best.aheadUs) : 0;
  }
}
