// Draws the processes in the order in which an event passes them: producer, brokers, consumers. Takes data and an element.

import {element, setText} from "./dom.js";
import {brokerName} from "../state/incidents.js";
import {utcClock, plural} from "../state/time.js";

const EXPLAINED = {starting: "waits for its partitions, or reads its table", stalled: "events wait and it does not move", offline: "does not answer", frozen: "keeps its connections, answers nothing"};

export class Flow {
  #experiment;
  #boxes = new Map();
  #columns;

  // The buttons call experiment(action, name).
  constructor(target, experiment) {
    this.#experiment = experiment;
    const labels = ["Producer", "Kafka", "Consumers"];
    this.#columns = labels.map((label) => element("div", {class: "lane", role: "group", "aria-label": label}));
    target.replaceChildren(...this.#columns.flatMap((column, index) => (index ? [element("span", {class: "arrow", "aria-hidden": "true"}, "→"), column] : [column])));
  }

  // view: {producer, consumers: [Worker], cluster (or null), clusterProblem, experiments: {action: [names]}, lab: {busy, isFrozen(name)}, nameOf(worker), lagOf(worker)}
  draw(view) {
    const boxes = [];
    const {producer, consumers, cluster, experiments, lab} = view;
    boxes.push([0, "producer", {title: "producer", state: producer.state, since: producer.sinceUs, port: producer.port, notes: producer.acks === "all" ? [] : [`acks=${producer.acks}`]}]);
    if (cluster) {
      for (const broker of cluster.brokers) {
        const leads = cluster.topics[0]?.partitions.filter((each) => each.leader === broker.id).map((each) => each.partition) ?? [];
        boxes.push([1, `broker ${broker.id}`, {title: brokerName(broker.id), state: broker.state === "online" ? "online" : "offline", word: broker.state, port: broker.port,
          notes: [broker.state !== "online" ? "does not answer" : leads.length ? `leads ${partitions(leads)}` : "leads no partition"]}]);
      }
    } else {
      boxes.push([1, "kafka", {title: "brokers", state: view.clusterProblem ? "offline" : "starting", notes: [view.clusterProblem ?? "asking"]}]);
    }
    for (const worker of consumers) {
      const notes = [];
      if (worker.partitions.length) notes.push(`${worker.group}, ${partitions(worker.partitions)}`);
      else if (worker.group && worker.state === "online") notes.push(`${worker.group}, no partition`);
      else if (worker.state === "starting" && worker.restore) notes.push(restoring(worker.restore));
      else if (EXPLAINED[worker.state]) notes.push(EXPLAINED[worker.state]);
      if (worker.slowMs) notes.push(`slow: ${worker.slowMs} ms an event`);
      const lag = view.lagOf(worker);
      if (lag) notes.push(`${plural(lag, "event waits", "events wait")}`);
      boxes.push([2, `consumer ${worker.base}`, {title: view.nameOf(worker), state: worker.state, since: worker.sinceUs, port: worker.port, notes}]);
    }
    const kept = new Set();
    for (const [column, id, box] of boxes) {
      kept.add(id);
      if (!this.#boxes.has(id)) this.#boxes.set(id, this.#newBox(column));
      const {title} = box;
      if (lab.isFrozen(title)) Object.assign(box, {state: "frozen", word: "frozen", since: null, notes: [EXPLAINED.frozen]});
      const sensible = {frozen: ["thaw"], offline: ["start"]}[box.state] ?? ["stop", "kill", "freeze"];
      this.#fill(this.#boxes.get(id), box, sensible.filter((action) => experiments[action]?.includes(title)), lab.busy);
    }
    for (const [id, box] of this.#boxes) {
      if (!kept.has(id)) {
        box.root.remove();
        this.#boxes.delete(id);
      }
    }
  }

  #newBox(column) {
    const box = {title: element("b", {}), word: element("span", {class: "word"}), notes: element("p", {class: "soft"}), actions: element("p", {class: "actions"})};
    box.root = element("div", {class: "box"}, element("p", {}, element("span", {class: "dot", "aria-hidden": "true"}), box.title, " ", box.word), box.notes, box.actions);
    this.#columns[column].append(box.root);
    return box;
  }

  #fill(box, {title, state, word, port, since, notes}, actions, busy) {
    box.root.dataset.state = state;
    box.root.dataset.name = title;
    setText(box.title, title);
    setText(box.word, word ?? (state === "unknown" ? "asking" : state));
    setText(box.notes, [port && `:${port}`, ...notes, since && `since ${utcClock(since)}`].filter(Boolean).join(" · "));
    if (box.actions.dataset.actions !== actions.join()) {
      box.actions.dataset.actions = actions.join();
      box.actions.replaceChildren(...actions.map((action) => element("button", {type: "button", class: "tiny", "aria-label": `${action} ${title}`, onclick: () => this.#experiment(action, title)}, action)));
    }
    for (const button of box.actions.children) button.disabled = busy;
  }
}

function restoring({offsets_left: left, seconds_left: seconds}) {
  return `reads its table: ${plural(left, "changelog offset", "changelog offsets")} left${seconds === null ? "" : `, about ${Math.ceil(seconds)} s`}`;
}

const partitions = (numbers) => `partition${numbers.length > 1 ? "s" : ""} ${numbers.join(" ")}`;
