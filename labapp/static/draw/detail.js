// Draws everything that the page knows about one event. Takes data and an element.

import {copyButton, element, isNew} from "./dom.js";
import {drawWay, SIGN} from "./waterfall.js";
import {errorInWords} from "../state/clock.js";
import {clickedToSeenUs, known, MARKS, MARK_MEANING, MARK_PACE} from "../state/marks.js";
import {gaps, longest, times, unsentUs} from "../state/stages.js";
import {duration, local, utc} from "../state/time.js";

// `look`: {order, state, group, marks}. savePicture() is called by its button. Each part is drawn again only if it differs, so that a
// selection or an opened part of the others is kept.
export function drawDetail(target, event, {order, state, group, marks}, savePicture) {
  if (!target.firstChild) target.append(element("div"), element("div", {class: "two"}, element("div"), element("div")));
  const [way, {children: [table, more]}] = target.children;
  drawWay(way, event, order, state, marks);
  if (isNew(table, event.stages, marks)) table.replaceChildren(stageTable(event, order, marks), clocksInWords(event));
  const {key, partition, offset, deliveries, elsewhere} = event;
  if (!isNew(more, key, partition, offset, deliveries, elsewhere, event.stages, state)) return;
  more.replaceChildren(facts(event, state, group), element("p", {}, element("button", {type: "button", class: "tiny", onclick: savePicture}, "Save as picture (SVG)")));
}

function stageTable(event, order, marks) {
  const at = times(event, order);
  const found = gaps(event, order);
  const most = longest(found);
  const error = event.clickErrorUs ?? null;
  const rows = order.map((stage) => {
    const gap = found.find((each) => each.end === stage);
    const us = at[stage];
    const corrected = stage === "clicked" && event.aheadUs && us !== null;
    const doubt = gap ? errorInWords(gap, error) : "";
    return element("tr", {class: gap && gap === most ? "most" : null},
      element("th", {scope: "row"}, stage),
      element("td", {class: "mono", title: us === null ? null : local(us)}, us === null ? "not known" : utc(us),
        corrected ? element("small", {class: "soft"}, ` corrected by ${duration(-event.aheadUs)}, the browser’s clock differs`) : null),
      element("td", {class: `n${gap?.us < 0 ? " problem-text" : ""}`}, gap ? figure(gap) : "", doubt ? element("small", {class: "soft doubt"}, ` ${doubt}`) : null));
  });
  const column = (text, more = {}) => element("th", {scope: "col", ...more}, text);
  return element("table", {class: "stages"}, element("caption", {class: "hidden"}, "Stages"),
    element("thead", {}, element("tr", {}, column("stage"), column("time, UTC"), column("since the one before", {class: "n"}))),
    element("tbody", {}, ...rows),
    element("tbody", {class: "beside"}, element("tr", {}, element("th", {scope: "colgroup", colspan: "2"}, "beside the stages"), column("since the first stage", {class: "n"})),
      ...MARKS.map((name) => markRow(name, known(marks, event, order).find((each) => each.name === name), event))));
}

function markRow(name, mark, event) {
  const clickedToSeen = name === "seen" ? clickedToSeenUs(event) : null;
  return element("tr", {"data-mark": name},
    element("th", {scope: "row"}, element("i", {class: "sign", "aria-hidden": "true"}, SIGN[name]), name, element("small", {class: "soft"}, ` ${[MARK_MEANING[name], MARK_PACE[name]].filter(Boolean).join("; ")}`)),
    element("td", {class: "mono", title: mark ? local(mark.us) : null}, mark ? utc(mark.us) : "not known"),
    element("td", {class: "n"}, mark ? duration(mark.fromUs) : "",
      clickedToSeen === null ? null : element("small", {class: "soft"}, ` clicked to seen, by this browser’s clock alone: ${duration(clickedToSeen)}`)));
}

// What the times of this event can't say
function clocksInWords(event) {
  const click = event.clickErrorUs ?? null;
  return element("p", {class: "soft small"},
    event.clickedHereUs === undefined ? "“Acknowledged” and “seen” are known of events that this page sent since it was loaded. " : "",
    click === null
      ? "How far the clock behind “clicked” differs from the producer’s is not known. "
      : `“Clicked” may be off by ${duration(click)}, as this browser’s clock was compared with the producer’s. `,
    "“Appended” and “recorded” are a broker’s times, in whole milliseconds. How far its clock differs from the workers’ is not known.");
}

// It breaks only between the figure and its remark.
function figure({letter, us}) {
  const unbroken = (text) => text.replaceAll(" ", "\u00a0");
  return unbroken(`${letter} ${duration(us)}`) + (us < 0 ? ` ${unbroken("(below 0)")}` : "");
}

function facts(event, state, group) {
  const {key, topic, partition, offset, deliveries, value, valueText, stages} = event;
  // The value as it was posted: written anew, its numbers beyond 2^53 would be rounded. If it is cut, or no JSON, it is shown as text.
  const valueJson = value === null ? JSON.stringify(valueText) : valueText;
  const raw = JSON.stringify({key, topic, partition, offset, deliveries, value: 0, stages}, null, 1).replace('"value": 0', () => `"value": ${valueJson}`);
  const position = partition === undefined ? "not in the topic yet" : `${partition} : ${offset}`;
  const fact = (name, ...what) => [element("dt", {}, name), element("dd", {}, ...what)];
  return element("div", {},
    element("dl", {class: "facts"},
      ...fact("key", element("span", {class: "mono"}, key)),
      ...fact("partition : offset", element("span", {class: "mono"}, position)),
      ...fact("recorded", state === "recorded" ? `by ${group}${delivered(deliveries)}` : state === "forgotten" ? "not known" : "not yet"),
      ...(unsentUs(event) === null ? [] : fact("due to sent", duration(unsentUs(event)))),
      ...Object.entries(event.elsewhere ?? {}).flatMap(([name, us]) => fact(`in ${name}`, `consumed at ${utc(us)} UTC`)),
      ...fact("value", element("code", {class: "wrap"}, shortened(valueText)))),
    element("details", {}, element("summary", {}, "Raw JSON"), element("div", {class: "code"}, element("pre", {tabindex: "0"}, shortened(raw, 20_000)), copyButton(raw))));
}

function delivered(deliveries) {
  if (deliveries === undefined) return ""; // this page has not got the row
  return deliveries === 1 ? ", delivered once" : `, delivered ${deliveries.toLocaleString("en")} times, recorded once`;
}

function shortened(text, most = 600) {
  return text.length > most ? `${text.slice(0, most)} … (${text.length.toLocaleString("en")} characters)` : text;
}
