// Ticks off the guide's steps as they are done. Takes data and an element.

import {element} from "./dom.js";

// Adds to `steps` (a Set) what is done now.
export function notice(steps, {producer, consumers, group, counts}) {
  const ours = consumers.filter((worker) => worker.seen && worker.group === group);
  const offline = ours.length > 0 && ours.every((worker) => worker.state === "offline");
  if (producer.state === "online" && ours.some((worker) => worker.state === "online")) steps.add("start");
  if (counts.recorded > 0) steps.add("send");
  if (offline) steps.add("stop");
  if (offline && counts.waiting >= 4) steps.add("four");
  if (steps.has("four") && !counts.waiting && !counts.missing && !offline) steps.add("again");
  if (consumers.filter((worker) => worker.state === "online").length > 1) steps.add("more");
}

export function drawSteps(target, steps) {
  for (const item of target.children) {
    if (!steps.has(item.dataset.step) || item.classList.contains("done")) continue;
    item.classList.add("done");
    item.querySelector("h3").append(element("span", {class: "hidden"}, " (done)"));
  }
}
