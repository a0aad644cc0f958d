// Events as CSV and as JSON lines, for a report or a ticket. Pure.

import {clickedToSeenUs, MARKS} from "./marks.js";
import {times} from "./stages.js";

// One JSON object a line: what the page knows of each event. *clicked* and *seen* are corrected by the error of the browser's clock, which
// is `clock_ahead_us`. `store`: {state(event), marks(event)}
export function jsonLines(events, order, store) {
  return events.map((event) => {
    const {value, ...others} = known(event, order, store);
    return `${JSON.stringify(others).slice(0, -1)},"value":${value}}\n`;
  }).join("");
}

// The same as a table by RFC 4180. A spreadsheet must not take a text for a formula (CSV injection), so the value, and a key or topic with
// other characters than letters, digits, spaces and `_ . : -`, is written as JSON, in which the separator `;` is escaped too.
export function csv(events, order, store) {
  const lines = events.map((event) => {
    const {key, topic, value, stages, marks, ...others} = known(event, order, store);
    return {key: plain(key), topic: plain(topic), ...others, ...stages, ...marks, value: escaped(value)};
  });
  const columns = Object.keys(lines[0] ?? {});
  const cell = (content) => (/[",\n\r]/.test(content ?? "") ? `"${content.replaceAll('"', '""')}"` : String(content ?? ""));
  return [columns, ...lines.map((line) => columns.map((name) => line[name]))].map((cells) => `${cells.map(cell).join(",")}\r\n`).join("");
}

function known(event, order, store) {
  const at = times(event, order);
  const marks = store.marks(event);
  const named = (names, found) => Object.fromEntries(names.map((name) => [`${name}_us`, found[name]]));
  return {
    key: event.key, topic: event.topic ?? null, partition: event.partition ?? null, offset: event.offset ?? null, deliveries: event.deliveries ?? null,
    state: store.state(event), clock_ahead_us: event.aheadUs, stages: named(order, at), marks: named(MARKS, marks), clicked_to_seen_us: clickedToSeenUs(event),
    value: valueJson(event),
  };
}

// The value as it was posted, in one line: written anew, its numbers beyond 2^53 would be rounded. If it is cut, or no JSON, it is a text.
const valueJson = ({value, valueText}) => (value === null ? JSON.stringify(valueText) : valueText.replace(/[\t\n\r]/g, " ").trim());
const escaped = (jsonText) => jsonText.replaceAll(";", "\\u003b");
const plain = (text) => (text === null || /^[A-Za-z0-9_][A-Za-z0-9_.: -]*$/.test(text) ? text : escaped(JSON.stringify(text)));
