// Draws what became of the events that this page sent: as figures and as a sentence. Takes data and an element.

import {element, setText} from "./dom.js";
import {plural} from "../state/time.js";

export function drawProof(target, {counts}) {
  if (!target.children.length) {
    target.replaceChildren(...Object.keys(counts).map((name) => element("div", {"data-count": name}, element("dt", {}, name), element("dd", {}, "0"))));
  }
  for (const box of target.children) {
    const count = counts[box.dataset.count];
    setText(box.lastChild, count.toLocaleString("en"));
    box.classList.toggle("some", count > 0);
  }
}

export function proofLine({counts, missingKeys, again}) {
  const {sent, acknowledged, recorded, waiting, missing, twice} = counts;
  if (!sent) return "Nothing sent from here yet.";
  const figures = `sent ${sent}, recorded ${recorded}, ${waiting ? `waiting ${waiting}, ` : ""}missing ${missing}, twice ${twice}`;
  const notes = [];
  if (missing) notes.push(`Missing: ${missingKeys.slice(0, 5).join(", ")}${missing > 5 ? `, and ${missing - 5} more` : ""}.`);
  else if (waiting) notes.push(`Nothing is lost: ${plural(waiting, "event waits", "events wait")} in Kafka.`);
  else if (recorded === sent && !twice) notes.push("Nothing lost.");
  if (acknowledged < sent) notes.push(`${plural(sent - acknowledged, "is", "are")} not acknowledged, so nothing is promised for ${sent - acknowledged === 1 ? "it" : "them"}.`);
  if (again) notes.push(`${plural(again, "was", "were")} delivered again, and recorded once.`);
  return `${figures}. ${notes.join(" ")}`.trim();
}
