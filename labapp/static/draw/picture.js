// Saves a picture of one event: the waterfall as a self-contained SVG. Takes data.

import {download} from "./dom.js";
import {SIGN} from "./waterfall.js";
import {errorInWords} from "../state/clock.js";
import {known, MARK_MEANING} from "../state/marks.js";
import {gaps, longest, times, totalUs} from "../state/stages.js";
import {duration, local, utc} from "../state/time.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const [WIDTH, LEFT, BAR, LINE] = [860, 24, 52, 24]; // px

// `title`: the event's name. The colours are those of the page now.
export function savePicture(event, title, order, marks) {
  const style = getComputedStyle(document.documentElement);
  const colour = (variable) => style.getPropertyValue(variable).trim();
  download(`event-${event.key}.svg`, "image/svg+xml", picture(event, title, order, marks, colour));
}

function picture(event, title, order, marks, colour) {
  const found = gaps(event, order);
  const most = longest(found);
  const wide = WIDTH - 2 * LEFT;
  const scale = (us) => LEFT + wide * Math.min(1, Math.max(0, us / Math.max(1, totalUs(found) ?? 0)));
  const parts = [];
  const add = (name, attributes, text = "") => parts.push(shape(name, attributes, text));
  const write = (x, y, text, more = {}) => add("text", {x, y, fill: colour("--ink"), "font-size": 14, ...more}, text);

  const first = Object.values(times(event, order)).find((us) => us !== null);
  write(LEFT, 34, `Event ${title}`, {"font-size": 18, "font-weight": 650});
  write(LEFT, 56, `key ${event.key}${event.partition === undefined ? "" : `, partition ${event.partition}, offset ${event.offset}`}, ${utc(first)} UTC, ${local(first)}`, {fill: colour("--soft"), "font-size": 12});
  write(LEFT, 84, found.length ? `${duration(totalUs(found))} from ${found[0].start} to ${found.at(-1).end}. Longest: ${most.letter}, ${most.start} to ${most.end}.` : "No gap is known.");
  const top = 100;
  for (const gap of found) {
    const [from, to] = [scale(gap.fromUs), scale(gap.fromUs + gap.us)];
    const ink = colour(gap.index === 2 ? "--on-gap-2" : "--on-gap");
    add("rect", {x: Math.min(from, to), y: top, width: Math.max(2, Math.abs(to - from)), height: BAR, fill: gap.us < 0 ? "none" : colour(`--gap-${gap.index}`), stroke: colour(gap.us < 0 ? "--bad" : "--card")});
    if (to - from > 110) write((from + to) / 2, top + BAR / 2 + 5, `${gap.letter} ${duration(gap.us)}`, {fill: ink, "text-anchor": "middle"});
    else if (to - from > 16) write((from + to) / 2, top + BAR / 2 + 5, gap.letter, {fill: ink, "text-anchor": "middle"});
  }
  let y = top + BAR + 16;
  for (const mark of known(marks, event, order)) {
    if (mark.fromUs < 0 || mark.fromUs > (totalUs(found) ?? 0)) continue;
    add("line", {x1: scale(mark.fromUs), x2: scale(mark.fromUs), y1: top, y2: y - 8, stroke: colour("--ink"), "stroke-width": 2});
    write(scale(mark.fromUs), y + 2, SIGN[mark.name], {"text-anchor": "middle", "font-size": 12});
  }
  y += LINE;
  for (const gap of found) {
    add("rect", {x: LEFT, y: y - 12, width: 15, height: 15, rx: 3, fill: colour(`--gap-${gap.index}`)});
    write(LEFT + 7.5, y, gap.letter[0], {"text-anchor": "middle", "font-size": 11, fill: colour(gap.index === 2 ? "--on-gap-2" : "--on-gap")});
    row(y, `${gap.start} to ${gap.end}`, duration(gap.us), errorInWords(gap, event.clickErrorUs ?? null) || gap.meaning, gap === most);
    y += LINE;
  }
  for (const mark of known(marks, event, order)) {
    write(LEFT + 7.5, y, SIGN[mark.name], {"text-anchor": "middle"});
    row(y, mark.name, duration(mark.fromUs), `since the first stage: ${MARK_MEANING[mark.name]}`, false);
    y += LINE;
  }
  const all = shape("svg", {viewBox: `0 0 ${WIDTH} ${y}`, width: WIDTH, height: y, role: "img", "font-family": "system-ui, sans-serif"});
  all.append(shape("title", {}, `Event ${title}`), shape("rect", {width: WIDTH, height: y, fill: colour("--card")}), ...parts);
  return `${new XMLSerializer().serializeToString(all)}\n`;

  function row(at, what, time, note, bold) {
    const weight = {"font-weight": bold ? 650 : 400};
    write(LEFT + 26, at, what, weight);
    write(LEFT + 290, at, time, {"text-anchor": "end", ...weight});
    write(LEFT + 310, at, note, {fill: colour("--soft"), "font-size": 12});
  }
}

function shape(name, attributes, text = "") {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  if (text) made.textContent = text;
  return made;
}
