// Draws how long the gaps take: in words, as a table, and over time with the incidents on the same axis. Takes data and elements.

import {element, isNew} from "./dom.js";
import {errorInWords} from "../state/clock.js";
import {P99_COUNT_MIN} from "../state/figures.js";
import {gapNames, meaning} from "../state/stages.js";
import {clock, duration, plural, utcClock} from "../state/time.js";

const TAIL_COUNT_MIN = 4; // with fewer events the middle half would be the slowest one too
const DASHES = [[], [8, 3], [3, 3], [10, 3, 2, 3]];

export function drawWords(target, {count, gaps: found, whole}) {
  if (!isNew(target, count, found, whole)) return;
  const known = found.filter((gap) => gap.count);
  if (!known.length) {
    target.replaceChildren("The answer comes with the first events.");
    return;
  }
  const most = known.reduce((best, gap) => (gap.p50 > best.p50 ? gap : best));
  const why = meaning(most.start, most.end, most.p50);
  const share = whole.p50 > 0 ? Math.round((most.p50 / whole.p50) * 100) : null;
  target.replaceChildren(element("b", {}, `${most.letter}, ${most.start} to ${most.end}: ${duration(most.p50)}`),
    ` for ${count === 1 ? "the last event" : `half of the last ${count.toLocaleString("en")} events`}${share && share <= 100 ? `, about ${share} % of the whole` : ""}${why ? `: ${why}` : ""}.`);
}

// Says where the slowest events spent their time, beside where the usual ones did.
export function drawTail(target, {gaps: found, slowest, middle}) {
  if (!isNew(target, found.map((gap) => gap.letter), slowest, middle)) return;
  if (middle.count < TAIL_COUNT_MIN || !slowest.percents || !middle.percents) {
    target.replaceChildren();
    return;
  }
  const percent = Math.max(...slowest.percents);
  const index = slowest.percents.indexOf(percent);
  const {letter, start, end} = found[index];
  const few = slowest.count === 1;
  target.replaceChildren(`${few ? "The slowest event" : `The slowest 1 % (${slowest.count} events)`} spent `,
    element("b", {}, `${percent} % of ${few ? "its" : "their"} time between ${start} and ${end}`),
    ` (${letter}); the middle half of the events spent ${middle.percents[index]} % there.`);
}

export function drawTable(target, {count, gaps: found, unsent, whole, slowest, middle, clickErrorUs}) {
  if (!isNew(target, count, found, unsent, whole, slowest, middle, clickErrorUs)) return;
  const time = (us, error = "") => element("td", {class: `n${us < 0 ? " problem-text" : ""}`}, us === null ? "–" : duration(us), error ? element("small", {class: "soft"}, ` ${error}`) : null);
  const share = (percents, gap) => element("td", {class: "n"}, !percents || gap === unsent ? "–" : gap === whole ? "100 %" : `${percents[gap.index]} %`);
  const row = (gap, title) => element("tr", {}, element("th", {scope: "row"}, gap.letter ? element("i", {class: `key gap-${gap.index}`, "aria-hidden": "true"}, gap.letter) : null, title),
    time(gap.p50, gap.letter && gap.count && errorInWords({...gap, us: gap.p50}, clickErrorUs)), time(gap.p95), time(gap.p99), time(gap.max), share(middle.percents, gap), share(slowest.percents, gap),
    element("td", {class: "n"}, gap.count.toLocaleString("en")), element("td", {class: "n"}, gap.below0 ? gap.below0.toLocaleString("en") : "0"));
  target.replaceChildren(element("table", {},
    element("caption", {}, count ? `The last ${count === 1 ? "event" : plural(count, "event")}${count < P99_COUNT_MIN ? `; p99 from ${P99_COUNT_MIN} on` : ""}`
      : "No event is recorded yet"),
    element("thead", {}, element("tr", {}, ...["gap", "p50", "p95", "p99", "max", "share, middle half", "share, slowest 1 %", "count", "below 0"].map((text, index) => element("th", {scope: "col", class: index ? "n" : null}, text)))),
    element("tbody", {}, ...found.map((gap) => row(gap, `${gap.start} to ${gap.end}`)),
      unsent.count ? row(unsent, `of ${found[0].letter}: due, and not sent yet`) : null, row(whole, "the whole"))));
}

export class Chart {
  #target; #plot; #made = ""; #incidents = [];

  constructor(target) {
    this.#target = target;
  }

  // `look`: {order, percent, log, ink}. The plot is made anew when one of them changes, so `ink` stands for the theme.
  draw({x, y}, incidents, look) {
    this.#incidents = incidents;
    const made = JSON.stringify([look, this.#target.clientWidth]);
    if (made !== this.#made) {
      this.#plot?.destroy();
      this.#plot = this.#new(look);
      this.#made = made;
    }
    this.#plot.setData([x, ...y]);
  }

  #new({order, log}) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = {stroke: colour("--soft"), grid: {stroke: colour("--line"), width: 1}, ticks: {stroke: colour("--line"), width: 1}, font: "12px system-ui, sans-serif"};
    return new uPlot({
      width: this.#target.clientWidth,
      height: 200,
      legend: {show: false},
      cursor: {show: false},
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      scales: {x: {time: true}, y: log ? {distr: 4, asinh: 0.1} : {range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 1) * 1.1)]}},
      axes: [{...axis, values: (_, splits) => splits.map((seconds) => clock(seconds * 1e6))},
        {...axis, size: 62, values: (_, splits) => splits.map((ms) => (ms === null ? "" : Math.abs(ms) < 1000 ? `${ms} ms` : `${ms / 1000} s`))}],
      series: [{}, ...gapNames(order).map((gap) => ({label: gap.letter, stroke: colour(`--line-${gap.index}`), width: 2, dash: DASHES[gap.index % DASHES.length], points: {show: true, size: 6, fill: colour(`--line-${gap.index}`)}}))],
      hooks: {draw: [(plot) => this.#drawIncidents(plot, colour("--bad"))]},
    }, [[], ...gapNames(order).map(() => [])], this.#target);
  }

  #drawIncidents(plot, colour) {
    const {ctx, bbox} = plot;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour;
    ctx.lineWidth = devicePixelRatio;
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    const ends = [-Infinity, -Infinity, -Infinity]; // x at which the text on each of the three lines ends
    for (const {atUs, text} of this.#incidents) {
      const x = plot.valToPos(atUs / 1e6, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const width = ctx.measureText(text).width + 8 * devicePixelRatio;
      const fits = x + width < bbox.left + bbox.width;
      const left = fits ? x + 4 * devicePixelRatio : x - width + 4 * devicePixelRatio;
      const line = ends.findIndex((end) => end <= left);
      if (line < 0) continue; // no room; the list of incidents below the chart has all of them
      ctx.fillText(text, left, bbox.top + (11 + line * 13) * devicePixelRatio);
      ends[line] = left + width;
    }
    ctx.restore();
  }
}

export function drawIncidentList(target, incidents) {
  if (!isNew(target, incidents)) return;
  target.replaceChildren(...(incidents.length ? incidents.toReversed() : [null]).map((incident) =>
    (incident ? element("li", {}, element("span", {class: "mono soft"}, utcClock(incident.atUs)), ` ${incident.text}`) : element("li", {class: "soft"}, "None seen."))));
}
