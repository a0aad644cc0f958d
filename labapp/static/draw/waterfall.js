// Draws where an event's time went: a bar with one segment for each gap. Takes data and an element.

import {element, isNew} from "./dom.js";
import {known, MARKS, MARK_MEANING} from "../state/marks.js";
import {gapNames, gaps, longest, totalUs} from "../state/stages.js";
import {duration} from "../state/time.js";

// A scale turns microseconds since the first stage into a share of the bar's width: 0 to 1, or more for what does not fit.
export const linear = (maxUs) => (us) => us / maxUs;
export const logarithmic = (maxUs) => (us) => Math.log1p(Math.max(0, us) / 50) / Math.log1p(maxUs / 50);

// By shape, so that nobody has to know colours
export const SIGN = {acknowledged: "◆", committed: "●", seen: "▲"};

const NICE = [1, 2, 5];
const OPEN_LEAST = 0.1; // share of a bar that the open end of a waiting event takes, however long it has waited

// The smallest of 1, 2, 5, 10, 20, … ms that is not less than `us`
export function niceMaxUs(us) {
  for (let unit = 1000; ; unit *= 10) {
    for (const factor of NICE) if (us <= unit * factor) return unit * factor;
  }
}

// `look`: {state, scale, labels: whether to write letters and times, marks: those to draw (none by default)}
export function drawBar(target, event, order, look) {
  const found = gaps(event, order);
  const parts = [];
  const open = look.state === "waiting" || look.state === "posting";
  const most = open ? 1 - OPEN_LEAST : 1;
  let endAt = 0;
  for (const gap of found) {
    const from = Math.min(most, Math.max(0, look.scale(gap.fromUs)));
    const to = Math.min(most, Math.max(0, look.scale(gap.fromUs + gap.us)));
    const part = element("span", {class: `gap gap-${gap.index}${gap.us < 0 ? " below" : ""}`, title: `${gap.letter} ${gap.start} to ${gap.end}: ${duration(gap.us)}`});
    stretch(part, Math.min(from, to), Math.abs(to - from));
    // The style sheet leaves out what does not fit.
    if (look.labels && gap.us >= 0) part.append(element("span", {class: "label"}, gap.letter, element("span", {class: "time"}, ` ${duration(gap.us)}`)));
    if (gap.unsentUs) {
      const unsent = element("span", {class: "unsent", title: `due, and not sent yet: ${duration(gap.unsentUs)}`});
      stretch(unsent, 0, Math.min(1, look.scale(gap.unsentUs) / (to - from || 1)));
      part.append(unsent);
    }
    parts.push(part);
    endAt = to;
  }
  if (open) {
    const part = element("span", {class: "gap open"}, look.labels ? element("span", {class: "plate"}, "waiting", element("span", {class: "long"}, " for the consumer")) : "");
    stretch(part, endAt, 1 - endAt);
    parts.push(part);
  } else if (found.length && look.scale(totalUs(found)) > 1.001) {
    parts.push(element("span", {class: "beyond", title: "longer than the scale"}, "▸"));
  }
  for (const mark of look.marks ?? []) {
    const at = look.scale(mark.fromUs);
    if (at < 0 || at > 1) continue; // the line below the bar has all of them
    const part = element("span", {class: "mark", title: `${mark.name}, ${duration(mark.fromUs)} after the first stage`}, SIGN[mark.name]);
    part.style.left = `${(at * 100).toFixed(3)}%`;
    parts.push(part);
  }
  target.replaceChildren(...parts);
}

// Draws an event large: the bar with its marks, the marks in words, and the bar in words. `found`: the event's marks.
export function drawWay(target, event, order, state, found) {
  if (!isNew(target, event.key, event.stages, event.failed, state, found)) return;
  const total = Math.max(totalUs(gaps(event, order)) ?? 0, 1);
  const open = state === "waiting" || state === "posting";
  const marks = known(found, event, order);
  const bar = element("div", {class: "bar big"});
  drawBar(bar, event, order, {state, scale: linear(open ? total * 2 : total), labels: true, marks});
  target.replaceChildren(bar, marksInWords(marks), element("p", {class: "say"}, ...inWords(event, order, state)));
}

function marksInWords(marks) {
  return element("ul", {class: "marks", "aria-label": "Since the first stage"}, ...marks.map(({name, fromUs}) =>
    element("li", {"data-mark": name, title: MARK_MEANING[name]}, element("i", {"aria-hidden": "true"}, SIGN[name]), ` ${name} at ${duration(fromUs)}`)));
}

// `from` and `width`: shares of the bar's width
function stretch(part, from, width) {
  part.style.left = `${(from * 100).toFixed(3)}%`;
  part.style.width = `${(width * 100).toFixed(3)}%`;
}

// Says the bar in words: the total, the longest gap, and each gap below 0. Returns texts and elements.
function inWords(event, order, state) {
  const found = gaps(event, order);
  if (state === "failed") return ["Not acknowledged. ", element("b", {}, event.failed)];
  if (state === "posting") return ["Sent, and not acknowledged yet."];
  const most = longest(found);
  const parts = [];
  if (state === "waiting") parts.push(element("b", {}, "Waiting in Kafka for the consumer. "));
  else if (state === "looking") parts.push("No worker has told yet whether it is recorded. ");
  else if (state === "missing") parts.push(element("b", {}, "Missing: the consumer is past it and has no row of it. "));
  else if (state === "dead") parts.push("The consumer could not record it: it is in the dead-letter topic. ");
  else if (state === "recorded" && !event.recorded) parts.push("Recorded, but this page has not got the row. ");
  else if (state === "forgotten") parts.push("Its topic was deleted and made anew, so nothing is known of it any more. ");
  else if (state === "gone") parts.push("Not among the consumer’s rows any more. ");
  else if (found.length) parts.push(`${duration(totalUs(found))} from ${found[0].start} to ${found.at(-1).end}. `);
  if (most && most.us > 0) {
    parts.push(element("b", {class: "longest"}, `Longest${state === "waiting" ? " so far" : ""}: ${most.letter}, ${most.start} to ${most.end}, ${duration(most.us)}`));
    parts.push(most.meaning ? `: ${most.meaning}.` : ".");
  }
  for (const gap of found.filter((each) => each.us < 0)) {
    const why = ["appended", "recorded"].includes(gap.end) ? "the broker’s clock counts whole milliseconds" : "two clocks that differ";
    parts.push(element("span", {class: "below-note"}, ` ${gap.letter} is below 0 (${duration(gap.us)}): ${why}.`));
  }
  return parts;
}

export function drawLegend(target, order) {
  target.replaceChildren(...gapNames(order).map((gap) =>
    element("li", {}, element("i", {class: `key gap-${gap.index}`, "aria-hidden": "true"}, gap.letter), `${gap.start} to ${gap.end}`)),
  element("li", {}, element("i", {class: "key gap-0 unsent", "aria-hidden": "true"}), "due in a burst, and not sent yet"),
  element("li", {}, element("i", {class: "key open", "aria-hidden": "true"}), "waiting for the consumer"),
  ...MARKS.map((name) => element("li", {}, element("i", {class: "sign", "aria-hidden": "true"}, SIGN[name]), `${name}: ${MARK_MEANING[name]}`)));
}

// Draws the newest event, large. Without an event it draws an example. `found`: the event's marks.
export function drawNewest(target, event, order, state, found) {
  if (event) {
    drawWay(target, event, order, state, found);
    return;
  }
  if (!isNew(target, null)) return;
  const sample = element("div", {class: "bar big sample", "aria-hidden": "true"});
  let from = 0;
  gapNames(order).forEach((gap, index) => {
    const width = [0.34, 0.1, 0.3, 0.26][index] ?? 0.1;
    const part = element("span", {class: `gap gap-${gap.index}`}, gap.letter);
    stretch(part, from, width);
    from += width;
    sample.append(part);
  });
  target.replaceChildren(element("p", {class: "say"},
    element("b", {}, "No event yet. "), "Press “Send event”: here you will see its way from your click through Kafka to the consumer, and which gap took the longest."), sample);
}
