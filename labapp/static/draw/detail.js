// Draws everything that the page knows about one event. Takes data and an element.

import {copyButton, element} from "./dom.js";
import {gaps, longest, times, unsentUs} from "../state/stages.js";
import {duration, local, utc} from "../state/time.js";
import {drawBar, inWords, linear} from "./waterfall.js";

export function drawDetail(target, event, order, state, group) {
  const found = gaps(event, order);
  const most = longest(found);
  const total = Math.max(1, ...found.map((gap) => gap.fromUs + gap.us));
  const open = state === "waiting" || state === "posting";
  const bar = element("div", {class: "bar big"});
  drawBar(bar, event, order, {state, scale: linear(open ? total * 2 : total), labels: true});
  target.replaceChildren(
    bar,
    element("p", {class: "say"}, ...inWords(event, order, state)),
    element("div", {class: "two"}, stageTable(event, order, found, most), facts(event, state, group)),
  );
}

function stageTable(event, order, found, most) {
  const at = times(event, order);
  const rows = order.map((stage) => {
    const gap = found.find((each) => each.end === stage);
    const us = at[stage];
    const corrected = stage === "clicked" && event.aheadUs && us !== null;
    return element("tr", {class: gap && gap === most ? "most" : null},
      element("th", {scope: "row"}, stage),
      element("td", {class: "mono", title: us === null ? null : local(us)}, us === null ? "not known" : utc(us),
        corrected ? element("small", {class: "soft"}, ` corrected by ${duration(-event.aheadUs)}, the browser’s clock differs`) : null),
      element("td", {class: `n${gap?.us < 0 ? " problem-text" : ""}`}, gap ? figure(gap) : ""));
  });
  return element("table", {}, element("caption", {class: "hidden"}, "Stages"),
    element("thead", {}, element("tr", {}, element("th", {scope: "col"}, "stage"), element("th", {scope: "col"}, "time, UTC"), element("th", {scope: "col", class: "n"}, "since the one before"))),
    element("tbody", {}, ...rows));
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
