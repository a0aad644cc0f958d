// Which steps of the guide are done. Pure.

// Adds the steps that are done now to `steps`, a Set.
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
