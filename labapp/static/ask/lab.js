// Runs experiments with the local lab, and tells what it does at each step. It draws nothing.

import * as api from "./api.js";
import {uuid7} from "./sender.js";
import {until} from "./until.js";
import {mediansInWords} from "../state/figures.js";
import {brokerName} from "../state/incidents.js";
import {nowUs, plural} from "../state/time.js";

const THAWS = ["start", "stop", "kill", "thaw"];
const FROZEN_SECONDS = 20; // the lab thaws by itself what nobody thaws
const SLOW_BROKER = {ms: 200, seconds: 15, count: 100, before: 30, rate: 10}; // `before`: events that are sent while it has its own speed
const ONE_KEY = 50; // events with a key each, and as many with one key
const LOSING = {count: 800, rate: 100, before: 150}; // events of the burst in which a leader is killed, and how many come before that

export class Lab {
  busy = false;
  #frozen = new Map(); // name → its timer
  #page; #store; #outbox; #watch; #producer; #consumers; #nameOf; #told;

  // told: {begun(title), said(text), ended(problem or null, step of the guide or null), incident(text), changed(), deadLetters()}
  constructor({page, store, outbox, watch, producer, consumers, nameOf, ...told}) {
    this.#page = page;
    this.#store = store;
    this.#outbox = outbox;
    this.#watch = watch;
    this.#producer = producer;
    this.#consumers = consumers;
    this.#nameOf = nameOf;
    this.#told = told;
  }

  isFrozen(name) { return this.#frozen.has(name); }

  // Each of the following resolves when the experiment is done or has failed: none throws.

  // One thing that is done to one process
  run(action, name) {
    return this.#perform(action === "freeze" ? action : null, `${action} ${name}`, () => this.#act(action, name));
  }

  // Makes the consumer take so many milliseconds more for each event. 0: no longer.
  slow(ms) {
    return this.#perform("slow", ms ? `slow consumer: ${ms} ms an event` : "consumer at its own speed", async () => {
      await this.#act("slow", "consumer", {ms});
      this.#told.incident(ms ? `consumer slow: ${ms} ms an event` : "consumer no longer slow");
    });
  }

  // Sends events before and while a broker that leads a partition is slow, and tells the medians.
  slowBroker() {
    return this.#perform("slow-broker", "a slow broker", async () => {
      if (this.#outbox.running) throw new Error("A burst is being sent: let it end first.");
      const {ms, seconds, count, before, rate} = SLOW_BROKER;
      const [{leader}] = this.#watch.cluster.topics[0].partitions;
      if (leader === null) throw new Error("Partition 0 has no leader: start its broker first.");
      const name = brokerName(leader);
      for (const line of await this.#measured(before, rate)) this.#told.said(`Before: ${line}`);
      await this.#act("slow", name, {ms, seconds});
      this.#told.incident(`${name} slow`);
      setTimeout(() => this.#told.incident(`${name} no longer slow`), seconds * 1000);
      this.#told.said(`${name} stands still for ${ms} ms again and again, for ${seconds} s.`);
      for (const line of await this.#measured(count, rate)) this.#told.said(`With ${name} slow: ${line}`);
    });
  }

  oneKey() {
    return this.#perform("one-key", "one key for all", async () => {
      this.#told.said(`${ONE_KEY} events with a key each: ${this.#shares(await this.#outbox.group(ONE_KEY, false))}.`);
      this.#told.incident(`one key for ${ONE_KEY} events`);
      this.#told.said(`${ONE_KEY} events with one key: ${this.#shares(await this.#outbox.group(ONE_KEY, true))}.`);
    });
  }

  twice() {
    return this.#perform("twice", "the same request twice", async () => {
      const answers = await this.#outbox.twice();
      if (!answers) throw new Error("The event was not acknowledged.");
      const [first, second] = answers;
      this.#told.incident("the same request twice");
      this.#told.said(`Sent: partition ${first.partition}, offset ${first.offset}. Sent again with the same key: offset ${second.offset}. Kafka has two records.`);
      const row = await until("the row", async () => {
        const found = await api.event(this.#someConsumer().base, first.key);
        return found.deliveries > 1 && found;
      });
      this.#store.row(row, this.#page.group);
      this.#told.said(`There is one row of it, and the row says: delivered ${row.deliveries} times.`);
    });
  }

  unreadable() {
    return this.#perform("unreadable", "a record that can’t be read", async () => {
      const key = uuid7(nowUs() / 1000);
      const value = '{"id": "half a reco';
      this.#store.posting(key, value, null, nowUs());
      const {partition, offset} = await api.experiment("write", this.#page.topic, {key, value});
      this.#store.acknowledged(key, {topic: this.#page.topic, partition, offset, stages: {received_us: null, produced_us: null, appended_us: null}});
      this.#told.incident("a record that can’t be read");
      this.#told.said(`Written to partition ${partition}, offset ${offset}: ${value}`);
      await until("the dead letter", () => this.#store.sent.get(key).end === "dead");
      this.#told.said(`The consumer could not read it. It is in the topic ${this.#page.dead_letter_topic} now, with the reason: see the dead letters below.`);
      this.#told.deadLetters();
    });
  }

  // Sends a dead letter back to the topic and partition that it came from, with this value.
  resend(letter, value) {
    return this.#perform("unreadable", "send a dead letter again", async () => {
      const {offset, partition, topic} = letter.headers;
      const place = ({records: [newest]}) => `${newest.partition}:${newest.offset}`;
      const before = place(await api.deadLetters(1));
      await api.experiment("resend", this.#page.dead_letter_topic, {place: `${letter.partition}:${letter.offset}`, value});
      this.#told.incident("a dead letter sent again");
      this.#told.said(`Sent again to ${topic}, partition ${partition}: ${value}`);
      const {key} = letter;
      if (key === null) return; // its row would have a name that nobody knows yet
      const outcome = await until("the row, or the next dead letter", async () => {
        const newest = await api.deadLetters(1);
        if (place(newest) !== before) return `It can’t be read either: ${newest.records[0].headers.reason}.`;
        try {
          this.#store.row(await api.event(this.#someConsumer().base, key), this.#page.group);
          return `It is recorded now. Its first record stays at offset ${offset}: nobody can change what is in a topic.`;
        } catch (error) {
          if (error.status === 404) return null;
          throw error;
        }
      });
      this.#told.said(outcome);
      this.#told.deadLetters();
    });
  }

  // Lets the group read again: everything, or what came since a minute ago.
  rewind(since) {
    const to = since === "minute" ? new Date(Date.now() - 60_000).toISOString() : "beginning";
    return this.#perform("rewind", `rewind ${this.#page.group}`, async () => {
      const members = this.#consumers.filter((worker) => worker.group === this.#page.group && worker.state !== "offline");
      const names = members.map(this.#nameOf).filter((name) => this.#page.experiments.stop.includes(name));
      try {
        for (const name of names) {
          this.#told.said(`Stopping ${name}: only a group without members can be rewound.`);
          await this.#act("stop", name);
        }
        this.#told.said((await api.experiment("rewind", this.#page.group, {to})).said[0]);
        this.#told.incident(`${this.#page.group} rewound`);
      } finally {
        for (const name of names) {
          this.#told.said(`Starting ${name}.`);
          await this.#act("start", name);
        }
      }
      await until("all events read again", async () => {
        await this.#watch.ask();
        const found = this.#watch.group(this.#page.group)?.partitions ?? [];
        return found.length > 0 && found.every((each) => each.lag === 0) && members.every((worker) => worker.state === "online");
      });
      for (const worker of members) await worker.history();
    });
  }

  third() {
    return this.#perform("third", "a third consumer in the group", async () => {
      this.#told.said("Starting second-consumer: two members, a partition each.");
      await this.#act("start", "second-consumer");
      await this.#act("stop", "fan-out");
      this.#told.said(`Starting fan-out as a third member of ${this.#page.group}.`);
      await this.#act("join", "fan-out");
      this.#told.incident("a third consumer joins");
    });
  }

  // Kills a leader whose follower is behind, in a burst. `acks`: 1 or all
  lose(acks) {
    const all = acks === "all";
    return this.#perform(all ? null : "lose", `kill the leader, acks=${acks}`, async () => {
      if (this.#outbox.running) throw new Error("A burst is being sent: let it end first.");
      const before = this.#store.sent.proof().counts.missing;
      const leader = await this.#oneLeader();
      const follower = this.#page.experiments.lose.find((name) => name !== leader);
      if (!all) await this.#restartProducer("1");
      try {
        this.#told.said(`Sending ${LOSING.rate} events a second.`);
        const {acknowledged} = this.#store.sent.proof().counts;
        const burst = this.#outbox.send(LOSING.count, LOSING.rate, nowUs());
        await until("the burst", () => this.#store.sent.proof().counts.acknowledged >= acknowledged + LOSING.before);
        this.#told.said(`${follower} is frozen for 1.5 s and copies nothing. Then ${leader}, which leads, is killed, and ${follower} goes on.`);
        this.#told.incident(`${follower} frozen, ${leader} killed`);
        await this.#act("lose", leader);
        await burst;
        this.#told.said(`${follower} leads now, with what it had copied. Waiting until it is known what became of each event.`);
        await this.#allEnded();
      } finally {
        if (!all) await this.#restartProducer("all");
      }
      const missing = this.#store.sent.proof().counts.missing - before;
      this.#told.said(missing
        ? `${plural(missing, "event is", "events are")} missing. The leader alone had them, and had acknowledged them.`
        : "Nothing is missing: what was acknowledged, the other broker had too.");
    });
  }

  // -- steps

  async #perform(step, title, work) {
    this.busy = true;
    this.#told.begun(title);
    try {
      await work();
      this.#told.ended(null, step);
    } catch (error) {
      this.#told.ended(error.message, step);
    }
    this.busy = false;
    this.#told.changed();
  }

  async #act(action, name, options = {}) {
    if (action !== "freeze") {
      await api.experiment(action, name, options);
      if (THAWS.includes(action)) this.#thawed(name);
      return;
    }
    // Noted at once: a frozen producer answers only when it is thawed.
    this.#frozen.set(name, setTimeout(() => this.#thawed(name), FROZEN_SECONDS * 1000));
    this.#told.incident(`${name} frozen`);
    try {
      await api.experiment(action, name, {seconds: FROZEN_SECONDS});
    } catch (error) {
      this.#thawed(name);
      throw error;
    }
  }

  #thawed(name) {
    if (!this.#frozen.has(name)) return;
    clearTimeout(this.#frozen.get(name));
    this.#frozen.delete(name);
    this.#told.incident(`${name} thawed`);
    this.#told.changed();
  }

  async #restartProducer(acks) {
    this.#told.said(`The producer starts again with acks=${acks}: ${acks === "all" ? "each broker in sync has an event" : "only the leader has an event"} before it is acknowledged.`);
    const {startedUs} = this.#producer;
    await api.experiment("acks", "producer", {acks});
    this.#told.incident(`producer: acks=${acks}`);
    await until("the producer", async () => {
      await this.#producer.ask();
      return this.#producer.state === "online" && this.#producer.startedUs !== startedUs && this.#producer.acks === acks;
    });
  }

  // Resolves to the name of the broker that leads all partitions. The other one is started anew, if it leads one.
  async #oneLeader() {
    const partitions = () => this.#watch.cluster.topics[0].partitions;
    const leaders = () => new Set(partitions().map((each) => brokerName(each.leader)));
    const settled = async () => {
      await this.#watch.ask();
      return partitions().every((each) => each.leader !== null && each.in_sync.length === each.replicas.length);
    };
    await until("all copies in sync", settled);
    const [leader, ...others] = leaders();
    for (const other of others) {
      this.#told.said(`Starting ${other} anew, so that ${leader} leads each partition.`);
      await this.#act("stop", other);
      await this.#act("start", other);
    }
    await until("one leader, with all copies in sync", async () => await settled() && leaders().size === 1 && leaders().has(leader));
    return leader;
  }

  // Resolves when it is known what became of each event that was sent.
  #allEnded() {
    return until("the end of all events", () => {
      const {unanswered, waiting, looking} = this.#store.sent.proof().counts;
      return unanswered + waiting + looking === 0;
    });
  }

  // Sends so many events, and resolves when all are recorded: for each partition, the medians of its gaps in words.
  async #measured(count, rate) {
    const began = nowUs();
    await this.#outbox.send(count, rate, began);
    await this.#allEnded();
    const events = this.#store.order.filter((event) => event.recorded && event.clickedHereUs >= began);
    return this.#watch.cluster.topics[0].partitions.map(({partition, leader}) => {
      const medians = mediansInWords(events.filter((event) => event.partition === partition), this.#page.stages, ["appended", "consumed"]);
      return `partition ${partition}, which ${brokerName(leader)} leads: ${medians}.`;
    });
  }

  #someConsumer() {
    const found = this.#consumers.find((worker) => worker.group === this.#page.group && worker.state === "online");
    if (!found) throw new Error(`No consumer of ${this.#page.group} is online.`);
    return found;
  }

  // How many of these answers went to each partition, in words
  #shares(answers) {
    return this.#watch.cluster.topics[0].partitions
      .map(({partition}) => `${answers.filter((each) => each.partition === partition).length} to partition ${partition}`).join(", ");
  }
}
