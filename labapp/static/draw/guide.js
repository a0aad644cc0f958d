// Marks the guide's steps that are done. Takes data and an element.

import {element} from "./dom.js";

export function drawSteps(target, steps) {
  for (const item of target.children) {
    if (!steps.has(item.dataset.step) || item.classList.contains("done")) continue;
    item.classList.add("done");
    item.querySelector("h3").append(element("span", {class: "hidden"}, " (done)"));
  }
}
