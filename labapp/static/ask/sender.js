// Paces bursts, repeats failed requests and makes keys. The function that posts is passed in.

// Concurrent posts. Browsers open six connections to one origin, and the page's other requests need some.
const LANES = 4;
const TRIES = 6;

// Runs as many tasks at once as there are lanes. The others wait, in the order in which they came.
export class Lanes {
  #busy = 0;
  #waiting = [];

  async run(task) {
    if (this.#busy >= LANES) await new Promise((resolve) => { this.#waiting.push(resolve); });
    else this.#busy++;
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next(); // it takes over this lane
      else this.#busy--;
    }
  }
}

// Calls post(dueUs, scheduled) `count` times, `rate` per second (0: as soon as answers come, without a schedule). `signal` ends the burst early.
// An event that finds no free lane is posted late, with the time at which it was due. Else a server that stands still would make only those events
// slow that are under way (coordinated omission).
export async function burst(count, rate, post, signal, nowUs) {
  const began = performance.now();
  let next = 0;
  const lane = async () => {
    while (next < count && !signal.aborted) {
      const number = next++;
      if (!rate) {
        await post(nowUs(), false);
        continue;
      }
      const due = began + (number * 1000) / rate;
      for (let early = due - performance.now(); early > 0; early = due - performance.now()) {
        await new Promise((resolve) => { setTimeout(resolve, Math.ceil(early)); });
      }
      if (signal.aborted) return;
      await post(nowUs() - Math.round((performance.now() - due) * 1000), true);
    }
  };
  await Promise.all(Array.from({length: Math.min(LANES, count)}, lane));
}

// Retries post() while Kafka or the server does not answer. `post` must use the same key each time, so that a retry makes no second event.
// Throws the error of the last attempt.
export async function persistently(post, tell) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await post();
    } catch (error) {
      if ((error.status !== 503 && error.status !== 0) || attempt === TRIES) throw error;
      tell(error.message);
      await new Promise((resolve) => { setTimeout(resolve, 1000); });
    }
  }
}

// A UUID of version 7. Its first 48 bits are the time in milliseconds, so keys sort by time.
export function uuid7(nowMs) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let time = Math.floor(nowMs);
  for (let index = 5; index >= 0; index--) {
    bytes[index] = time % 256;
    time = Math.floor(time / 256);
  }
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
