// How long the gaps of many events took. Pure.

import {gapNames, gaps, percentile, times, unsentUs} from "./stages.js";
import {duration} from "./time.js";

const SPAN_US = 300e6;
const BUCKET_US = 5e6;
const WINDOW = 500; // the newest recorded events
export const P99_COUNT_MIN = 100; // with fewer events, p99 would only repeat the largest

// Figures of the newest recorded events: {count, gaps: [figures], unsent: figures, whole: figures, slowest: shares, middle: shares, clickErrorUs}.
// `unsent`: from *clicked* until an event of a burst was sent, a part of the first gap. `clickErrorUs`: the median of these events, null if one
// is not known. Figures: {letter, start, end, count, p50, p95, p99, max, below0}
export function figures(events, order) {
  const recorded = [];
  for (let index = events.length - 1; index >= 0 && recorded.length < WINDOW; index--) if (events[index].recorded) recorded.push(events[index]);
  const rows = recorded.map((event) => times(event, order));
  const row = (start, end, more, took = rows.filter((at) => at[start] !== null && at[end] !== null).map((at) => at[end] - at[start])) => {
    const found = took.sort((a, b) => a - b);
    return {start, end, ...more, count: found.length, p50: percentile(found, 50), p95: percentile(found, 95),
      p99: found.length >= P99_COUNT_MIN ? percentile(found, 99) : null, max: found.at(-1) ?? null, below0: found.filter((us) => us < 0).length};
  };
  const unsent = row(order[0], "sent", {letter: ""}, recorded.map(unsentUs).filter((us) => us !== null));
  const errors = recorded.map((event) => event.clickErrorUs ?? null).sort((a, b) => a - b);
  return {count: rows.length, gaps: gapNames(order).map((gap) => row(gap.start, gap.end, gap)), unsent, whole: row(order[0], order.at(-1), {letter: ""}),
    ...tail(rows, order), clickErrorUs: errors.includes(null) ? null : percentile(errors, 50)};
}

// The medians of the gaps before these stages: "produced to appended 2.1 ms, appended to consumed 3.0 ms"
export function mediansInWords(events, order, ends) {
  const found = figures(events, order).gaps.filter((gap) => ends.includes(gap.end));
  return found.map(({start, end, p50}) => `${start} to ${end} ${duration(p50)}`).join(", ");
}

// Where the slowest 1 % of the events with all stages, at least one, and those between p25 and p75 spent their whole. As in event/gaps.py.
function tail(rows, order) {
  const wholeUs = (at) => at[order.at(-1)] - at[order[0]];
  const complete = rows.filter((at) => order.every((stage) => at[stage] !== null)).sort((a, b) => wholeUs(a) - wholeUs(b));
  const wholes = complete.map(wholeUs);
  const [p25, p75] = [percentile(wholes, 25), percentile(wholes, 75)];
  return {
    slowest: shares(complete.slice(complete.length - Math.ceil(complete.length / 100)), order),
    middle: shares(complete.filter((at) => p25 <= wholeUs(at) && wholeUs(at) <= p75), order),
  };
}

// {count, percents: a whole number for each gap, which add up to 100; null if the whole is not above 0}
function shares(rows, order) {
  const sum = (start, end) => rows.reduce((total, at) => total + at[end] - at[start], 0);
  const whole = sum(order[0], order.at(-1));
  if (!(whole > 0)) return {count: rows.length, percents: null};
  const exact = gapNames(order).map(({start, end}) => (100 * sum(start, end)) / whole);
  const percents = exact.map(Math.floor);
  const byRest = exact.map((_, index) => index).sort((a, b) => exact[b] - percents[b] - (exact[a] - percents[a]));
  const left = 100 - percents.reduce((total, percent) => total + percent, 0);
  for (const index of byRest.slice(0, left)) percents[index]++;
  return {count: rows.length, percents};
}

// A percentile of each gap over time: {x: [seconds since the epoch], y: [[ms or null, …], …]}. `y` has one list for each gap.
export function overTime(events, order, percent, nowUs) {
  const names = gapNames(order);
  const end = Math.ceil(nowUs / BUCKET_US);
  const count = SPAN_US / BUCKET_US;
  const buckets = Array.from({length: count}, () => names.map(() => []));
  for (let index = events.length - 1; index >= 0; index--) {
    const event = events[index];
    const bucket = buckets[count - (end - Math.floor(event.at / BUCKET_US))];
    if (!bucket) {
      if (event.at < nowUs - SPAN_US - BUCKET_US) break;
      continue;
    }
    for (const gap of gaps(event, order)) if (gap.letter.length === 1) bucket[gap.index].push(gap.us);
  }
  const value = (found) => {
    if (!found.length || (percent === 99 && found.length < P99_COUNT_MIN)) return null;
    return percentile(found.sort((a, b) => a - b), percent) / 1000;
  };
  return {
    x: buckets.map((_, index) => ((end - count + index + 0.5) * BUCKET_US) / 1e6),
    y: names.map((gap) => buckets.map((bucket) => value(bucket[gap.index]))),
  };
}
