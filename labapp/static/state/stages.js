// An event's stages and the gaps between them. Pure. The order of the stages comes from the server.

const HOUR_US = 3600e6;
const WAITED_US = 1e6; // replication and a fetch take less than this

// What happens in each gap. A gap that is not listed gets no explanation.
const MEANING = {
  "clicked received": "the browser, the network and the producer’s HTTP",
  "received produced": "the producer’s own work",
  "produced appended": "the way into the leader’s log",
  "appended consumed": "the copy to the other broker, and the consumer’s fetch",
  "consumed recorded": "the consumer’s work, and the way of the row into the changelog",
};

// The explanation of a gap that took `us`, or ""
export function meaning(start, end, us) {
  if (end === "consumed" && us > WAITED_US) return "it waited in Kafka until the consumer was there";
  return MEANING[`${start} ${end}`] ?? "";
}

const letter = (index) => "ABCDEFGH"[index];

// The names of all gaps, in order: {letter, index, start, end}
export function gapNames(order) {
  return order.slice(1).map((end, index) => ({
    letter: letter(index), index, start: order[index], end,
  }));
}

// The time of each stage in microseconds, or null: {clicked: …, …}. *clicked* is corrected by the error of its browser's clock.
// Clients give the times before *appended*. One that lies over an hour from the arrival is not known, as for the consumer.
export function times(event, order) {
  const found = {};
  for (const stage of order) found[stage] = event.stages[`${stage}_us`] ?? null;
  if (event.aheadUs && order.includes("clicked")) {
    const clicked = found.clicked ?? (typeof event.value?.clicked === "number" ? event.value.clicked * 1000 : null);
    found.clicked = clicked === null ? null : Math.round(clicked - event.aheadUs);
  }
  const arrived = found.appended ?? event.at;
  for (const stage of order.slice(0, order.indexOf("appended"))) {
    if (found[stage] !== null && !(Math.abs(found[stage] - arrived) <= HOUR_US)) found[stage] = null;
  }
  return found;
}

// When an event came to Kafka, by the best of its stages
export function arrival({received_us: received, appended_us: appended, consumed_us: consumed}) {
  const known = appended ?? null;
  if (known !== null) return received && Math.abs(received - known) <= HOUR_US ? received : known;
  return received && !(received > consumed + HOUR_US) ? received : consumed ?? null;
}

// How long an event of a burst waited in its browser, from *clicked*, when it was due, until it was sent. Null if that is not known.
export function unsentUs({value}) {
  if (typeof value?.clicked !== "number" || typeof value.sent !== "number") return null;
  const us = Math.round((value.sent - value.clicked) * 1000);
  return us >= 0 && us <= HOUR_US ? us : null;
}

// The gaps of one event between its known stages: {letter, index, start, end, fromUs: since the first stage, us, unsentUs: of it, meaning}
export function gaps(event, order) {
  const at = times(event, order);
  const known = order.map((stage, index) => ({stage, index, us: at[stage]})).filter((stage) => stage.us !== null);
  return known.slice(1).map((end, before) => {
    const start = known[before];
    let letters = ""; // more than one if a stage between the two is not known
    for (let index = start.index; index < end.index; index++) letters += letter(index);
    const us = end.us - start.us;
    const unsent = start.stage === "clicked" ? Math.max(0, Math.min(us, unsentUs(event) ?? 0)) : 0;
    return {letter: letters, index: start.index, start: start.stage, end: end.stage, fromUs: start.us - known[0].us, us, unsentUs: unsent,
      meaning: 2 * unsent > Math.max(0, us) ? "it waited in the browser, mostly for the answers to earlier events" : meaning(start.stage, end.stage, us)};
  });
}

export const longest = (found) => found.reduce((most, gap) => (most && most.us >= gap.us ? most : gap), null);

export const totalUs = (found) => (found.length ? found.at(-1).fromUs + found.at(-1).us : null);

export function percentile(ascending, percent) {
  return ascending.length ? ascending[Math.ceil((ascending.length * percent) / 100) - 1] : null;
}
