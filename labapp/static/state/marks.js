// Moments of an event that are no stages: the whole ends at *recorded*, whatever comes after it. Pure.
//
//   acknowledged  the producer had the acknowledgement of all in-sync replicas, by its clock
//   committed     the coordinator had answered the commit behind the event, by the consumer's clock. There are at most five commits a second
//   seen          the browser drew the event as recorded, by its own clock
//
// *acknowledged* and *seen* are known of events that this page sent since it was loaded.

import {times} from "./stages.js";

export const MARKS = ["acknowledged", "committed", "seen"];

export const MARK_MEANING = {
  acknowledged: "the producer knows that Kafka has it, and answers",
  committed: "the consumer tells Kafka that it is done with it",
  seen: "the browser has drawn it here as recorded",
};

// Why these two come late
export const MARK_PACE = {committed: "at most five times a second", seen: "it draws at most four times a second"};

const KEPT = 1000; // commits of a partition

// When each offset was committed
export class Commits {
  #of = new Map(); // partition → its commits, by their text, oldest first

  // `commits`: [{first, next, time_us}], as a worker tells its newest ones again and again
  add(partition, commits) {
    if (!this.#of.has(partition)) this.#of.set(partition, new Map());
    const known = this.#of.get(partition);
    for (const commit of commits) known.set(JSON.stringify(commit), commit);
    for (const text of known.keys()) {
      if (known.size <= KEPT) break;
      known.delete(text);
    }
  }

  // In microseconds; null if that is not known, or not yet so
  timeUs(partition, offset) {
    for (const {first, next, time_us: timeUs} of this.#of.get(partition)?.values() ?? []) if (first <= offset && offset < next) return timeUs;
    return null;
  }
}

// The time of each mark in microseconds, or null: {acknowledged: …, …}. *seen* is corrected by the error of the browser's clock, as *clicked*.
export function marks(event, commits) {
  return {
    acknowledged: event.acknowledgedUs ?? null,
    committed: commits.timeUs(event.partition, event.offset),
    seen: event.seenUs === null || event.seenUs === undefined ? null : event.seenUs - event.aheadUs,
  };
}

// The marks that are known, in the order of time: {name, us, fromUs: since the first stage}
export function known(found, event, order) {
  const first = Object.values(times(event, order)).find((us) => us !== null);
  return MARKS.filter((name) => found[name] !== null).map((name) => ({name, us: found[name], fromUs: found[name] - first}))
    .sort((a, b) => a.us - b.us);
}

// From the click to the drawn row, by the browser's clock alone, in microseconds. Null if this page did not send the event, or has not drawn it.
export function clickedToSeenUs(event) {
  return event.seenUs === null || event.seenUs === undefined ? null : event.seenUs - event.clickedHereUs;
}
