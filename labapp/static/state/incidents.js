// Compares two answers of /cluster and says in words what happened between them. Pure.

export const brokerName = (id) => `broker-${id}`;

export function incidents(before, after) {
  const found = [];
  if (!before || !after) return found;
  const state = new Map(before.brokers.map((broker) => [broker.id, broker.state]));
  for (const {id, state: now} of after.brokers) {
    if (state.has(id) && state.get(id) !== now) found.push(`${brokerName(id)} ${now === "away" ? "away" : "back"}`);
  }
  const [then, now] = [before.topics[0], after.topics[0]];
  const moved = [];
  for (const partition of now?.partitions ?? []) {
    const was = then?.partitions.find((each) => each.partition === partition.partition);
    if (was && was.leader !== partition.leader) moved.push(`${partition.partition} to ${partition.leader === null ? "none" : brokerName(partition.leader)}`);
  }
  if (moved.length) found.push(`leader moved: ${moved.join(", ")}`);
  for (const group of after.groups) {
    const was = before.groups.find((each) => each.name === group.name);
    const shared = (members) => members.map((member) => `${member.id} ${member.partitions}`).sort().join(";");
    if (was && shared(was.members) !== shared(group.members)) {
      const change = group.members.length - was.members.length;
      found.push(`${group.name}: ${change > 0 ? "consumer joined" : change < 0 ? "consumer left" : "rebalance"}`);
    }
  }
  return found;
}
