// Draws what became of the events that this page sent: as figures and as a sentence. Takes data and an element.

import {element, setText} from "./dom.js";
import {plural} from "../state/time.js";

// Those that are shown only if there are any have their own words.
const ALWAYS = ["sent", "acknowledged", "recorded", "waiting", "missing", "twice"];
const SOMETIMES = {unanswered: "not answered", looking: "being looked up", expired: "recorded, not kept", dead: "dead letters",
  forgotten: "topic deleted"};

const RUNS = 5;

export function drawProof(target, {counts}) {
  if (!target.children.length) {
    const box = (name, text) => element("div", {"data-count": name}, element("dt", {}, text), element("dd", {}, "0"));
    target.replaceChildren(...ALWAYS.map((name) => box(name, name)), ...Object.entries(SOMETIMES).map(([name, text]) => box(name, text)));
  }
  for (const box of target.children) {
    const {count: name} = box.dataset;
    setText(box.lastChild, counts[name].toLocaleString("en"));
    box.classList.toggle("some", counts[name] > 0);
    box.hidden = !counts[name] && name in SOMETIMES;
  }
}

// Offsets 3, 4, 5 and 9 of partition 0: "partition 0, offsets 3 to 5, 9"
function places(offsets) {
  return Object.entries(offsets).map(([partition, found]) => {
    const runs = [];
    for (const offset of found.toSorted((a, b) => a - b)) {
      if (runs.at(-1)?.[1] === offset - 1) runs.at(-1)[1] = offset;
      else runs.push([offset, offset]);
    }
    const shown = runs.slice(0, RUNS).map(([from, to]) => (from === to ? from : `${from} to ${to}`));
    return `partition ${partition}, ${found.length > 1 ? "offsets" : "offset"} ${shown.join(", ")}${runs.length > RUNS ? ", …" : ""}`;
  }).join("; ");
}

// `unsaved`: whether the browser did not keep some of the events over a reload
export function proofLine({counts, missingKeys, missingOffsets, again}, unsaved = false) {
  const {sent, unanswered, recorded, expired, waiting, looking, missing, dead, forgotten, twice} = counts;
  if (!sent) return "Nothing sent from here yet.";
  const some = (count, words) => (count ? `${words} ${count}, ` : "");
  const figures = `sent ${sent}, recorded ${recorded}, ${some(expired, "recorded and no longer kept")}${some(waiting, "waiting")}`
    + `${some(looking, "being looked up")}${some(dead, "in the dead-letter topic")}${some(forgotten, "in a deleted topic")}missing ${missing}, twice ${twice}`;
  const notes = [];
  if (missing) notes.push(`Missing: ${places(missingOffsets)}. Keys: ${missingKeys.slice(0, 5).join(", ")}${missing > 5 ? `, and ${missing - 5} more` : ""}.`);
  else if (waiting && !looking) notes.push(`Nothing is lost: ${plural(waiting, "event waits", "events wait")} in Kafka.`);
  else if (recorded + expired === sent && !twice) notes.push("Nothing lost.");
  if (looking) notes.push(`Of ${plural(looking, "event")} no worker has told yet whether it is recorded.`);
  if (unanswered) notes.push(`${plural(unanswered, "is", "are")} not acknowledged, so nothing is promised for ${unanswered === 1 ? "it" : "them"}.`);
  if (forgotten) notes.push(`The topic was deleted and made anew: whether ${plural(forgotten, "event of the old one was", "events of the old one were")} recorded is not known.`);
  if (again) notes.push(`${plural(again, "was", "were")} delivered again, and recorded once.`);
  if (unsaved) notes.push("The browser keeps no more for this tab: after a reload some of these events are not counted.");
  return `${figures}. ${notes.join(" ")}`.trim();
}
