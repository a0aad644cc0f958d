// Draws the topics with their partitions and the groups' lag, and the records of a partition. Takes data and an element.

import {element, isNew} from "./dom.js";
import {brokerName} from "../state/incidents.js";
import {duration, local, plural, utc, utcClock} from "../state/time.js";

// Says of a group who is in it, how much waits, and for how long. `group`: undefined while it is not known.
export function groupInWords(name, group, problem) {
  if (problem) return `${name}: what waits is not known. ${problem}`;
  if (!group) return `${name}: Kafka does not know this group yet.`;
  const members = group.members.length ? plural(group.members.length, "member") : "no member";
  const lags = group.partitions.map((each) => each.lag);
  if (lags.includes(null)) return `${name}: ${members}. What waits is not known: a partition has no leader that answers.`;
  const lag = lags.reduce((sum, each) => sum + each, 0);
  if (!lag) return `${name}: ${members}. No event waits.`;
  const ages = group.partitions.filter((each) => each.lag).map((each) => each.oldest_seconds);
  const age = ages.includes(null) ? "how long the oldest waits is not known" : `the oldest for ${seconds(Math.max(...ages))}`;
  return `${name}: ${members}. ${plural(lag, "event waits", "events wait")}, ${age}.`;
}

const seconds = (number) => (number < 100 ? `${Math.floor(number)} s` : duration(number * 1e6));

// The buttons call show(topic, partition).
export function drawCluster(target, {topics, groups}, show) {
  const lags = groups.map((group) => [group.name, group.partitions.map(({committed, lag: waits}) => [committed, waits])]);
  if (!isNew(target, topics, lags)) return;
  const focused = target.contains(document.activeElement) ? document.activeElement.dataset.partition : null;
  const source = topics[0]?.name;
  const columns = ["partition", "leader", "in sync", "records", ...groups.map((group) => `lag of ${group.name}`), ""];
  const bodies = topics.map((topic) => element("tbody", {},
    element("tr", {class: "topic"}, element("th", {scope: "rowgroup", colspan: String(columns.length)}, element("span", {class: "mono"}, topic.name),
      element("small", {class: "soft"}, topic.name === source ? " the events" : topic.compacted ? " the table’s changelog, compacted" : ""))),
    ...topic.partitions.map((partition) => row(topic, partition, topic.name === source ? groups : groups.map(() => null), show))));
  target.replaceChildren(element("table", {class: "partitions"}, element("caption", {class: "hidden"}, "Partitions"),
    element("thead", {}, element("tr", {}, ...columns.map((text, index) => element("th", {scope: "col", class: index >= 3 ? "n" : null}, text || element("span", {class: "hidden"}, "look inside"))))), ...bodies));
  if (focused) target.querySelector(`[data-partition="${CSS.escape(focused)}"]`)?.focus({preventScroll: true});
}

function row(topic, partition, groups, show) {
  const {leader, replicas, in_sync: inSync, first_offset: first, next_offset: next} = partition;
  const known = first !== null && next !== null;
  const count = known ? `${topic.compacted ? "≈ " : ""}${(next - first).toLocaleString("en")}` : "not known";
  const out = replicas.filter((id) => !inSync.includes(id));
  return element("tr", {},
    element("th", {scope: "row"}, String(partition.partition)),
    element("td", {class: leader === null ? "problem-text" : null}, leader === null ? "none" : brokerName(leader)),
    element("td", {class: out.length ? "problem-text" : null}, `${inSync.length} of ${replicas.length}`, out.length ? ` (not ${out.map(brokerName).join(", ")})` : ""),
    element("td", {class: "n", title: known ? `offsets ${first} to ${next}` : null}, count),
    ...groups.map((group) => lag(group, partition.partition)),
    element("td", {class: "n"}, element("button", {type: "button", class: "tiny", "data-partition": `${topic.name} ${partition.partition}`, "aria-label": `Newest records of ${topic.name}, partition ${partition.partition}`,
      onclick: () => show(topic.name, partition.partition)}, "records")));
}

function lag(group, partition) {
  const progress = group?.partitions.find((each) => each.partition === partition);
  if (!progress) return element("td", {class: "n"}, "");
  const text = progress.lag === null ? "not known" : progress.lag.toLocaleString("en");
  const title = progress.committed === null ? "nothing committed yet" : `committed ${progress.committed}`;
  return element("td", {class: `n${progress.lag ? " waits" : ""}`, title}, text, progress.committed === null ? element("small", {class: "soft"}, " no commit") : "");
}

const RESENT_BYTES = 500; // the most of a value that fits into a field
const REASON = ["topic", "partition", "offset", "time", "reason"];

// `records`: newest first, or null while the answer is not there yet. `problem`: why there are no records.
export function drawRecords(target, {title, records, problem, dead}, {close, again, resend}) {
  const head = element("div", {class: "title"}, element("h3", {}, title), element("span", {class: "grow"}),
    element("button", {type: "button", class: "tiny", onclick: again}, "read again"), element("button", {type: "button", class: "tiny", onclick: close}, "close"));
  if (problem || !records?.length) {
    target.replaceChildren(head, element("p", {class: problem ? "problem" : "soft"}, problem ?? (records ? (dead ? "None: every record could be read." : "No records.") : "Reading …")));
    return;
  }
  const columns = dead ? ["reason", "from", "key", "value"] : ["offset", "time, UTC", "key", "headers", "value"];
  target.replaceChildren(head, element("div", {class: "scroll", role: "region", tabindex: "0", "aria-label": title},
    element("table", {class: "records"}, element("thead", {}, element("tr", {}, ...columns.map((text) => element("th", {scope: "col"}, text)))),
      element("tbody", {}, ...records.map((record) => element("tr", {}, ...(dead ? deadCells(record, resend) : cells(record))))))));
}

function cells(record) {
  return [
    element("td", {class: "mono"}, String(record.offset)),
    element("td", {class: "mono", title: `${local(record.timestamp_us)}, by the ${record.timestamp_by}`}, utc(record.timestamp_us)),
    element("td", {class: "mono"}, record.key ?? element("span", {class: "soft"}, "none")),
    element("td", {class: "mono"}, headers(record, () => true)),
    element("td", {class: "mono wrap"}, value(record)),
  ];
}

function deadCells(record, resend) {
  const {topic, partition, offset, time, reason} = record.headers;
  return [
    element("td", {}, reason ?? "not said"),
    element("td", {class: "mono"}, `${topic} ${partition} : ${offset}`, element("br"), element("span", {class: "soft"}, time ? utcClock(Date.parse(time) * 1000) : "")),
    element("td", {class: "mono"}, record.key ?? element("span", {class: "soft"}, "none"), element("br"), headers(record, (name) => !REASON.includes(name))),
    element("td", {class: "mono wrap"}, resend && record.value !== null && record.value_bytes <= RESENT_BYTES ? resendForm(record, resend) : value(record)),
  ];
}

// The value, which may be mended before it is sent again
function resendForm(record, resend) {
  const field = element("input", {type: "text", "aria-label": `Value of the dead letter of offset ${record.headers.offset}`, value: record.value, spellcheck: "false", autocomplete: "off"});
  const form = element("form", {class: "resend"}, field, element("button", {class: "tiny"}, "Send again"));
  form.addEventListener("submit", (submit) => {
    submit.preventDefault();
    resend(record, field.value);
  });
  return form;
}

function headers(record, wanted) {
  const found = Object.entries(record.headers).filter(([name]) => wanted(name));
  return element("span", {}, ...found.flatMap(([name, text], index) => [index ? element("br") : "", element("span", {class: "soft"}, `${name} `), text ?? ""]));
}

function value(record) {
  if (record.value === null) return element("span", {class: "soft"}, "none: a deletion");
  const cut = record.value_bytes > record.value.length ? ` … (${record.value_bytes.toLocaleString("en")} bytes)` : "";
  return record.value.slice(0, 600) + (record.value.length > 600 && !cut ? " …" : cut);
}
