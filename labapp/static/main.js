// Starts the page and connects its parts: passes functions of ask/ and data of state/ to what draws, and says how often each runs.

import {Clock} from "./state/clock.js";
import {figures, overTime} from "./state/figures.js";
import {csv, jsonLines} from "./state/files.js";
import {notice} from "./state/steps.js";
import {Store} from "./state/store.js";
import {nowUs, plural, utcClock, whenUs} from "./state/time.js";
import * as api from "./ask/api.js";
import {Lab} from "./ask/lab.js";
import {Outbox} from "./ask/outbox.js";
import * as saved from "./ask/saved.js";
import {promptWith} from "./ask/token.js";
import {Watch} from "./ask/watch.js";
import {Worker} from "./ask/worker.js";
import {drawCluster, groupInWords} from "./draw/cluster.js";
import {drawDetail} from "./draw/detail.js";
import {download, setText, withCopy} from "./draw/dom.js";
import {Controls, Experiments} from "./draw/experiments.js";
import {Flow} from "./draw/flow.js";
import {drawSteps} from "./draw/guide.js";
import {clocksInWords, streamsInWords} from "./draw/header.js";
import {Inspector} from "./draw/inspector.js";
import {onKeys} from "./draw/keys.js";
import {Chart, drawIncidentList, drawTable, drawTail, drawWords} from "./draw/latency.js";
import {List, name} from "./draw/list.js";
import {paced} from "./draw/pace.js";
import {savePicture} from "./draw/picture.js";
import {drawProof, proofLine} from "./draw/proof.js";
import {Seen} from "./draw/seen.js";
import {promptToken} from "./draw/token.js";
import {Voice} from "./draw/voice.js";
import {drawLegend, drawNewest} from "./draw/waterfall.js";

const CHART_MS = 1000;
const ASK_MS = 1000;
const CLUSTER_MS = 2000;
const LOOK_UP_MS = 300;
const SAVE_MS = 200;

const at = (id) => document.getElementById(id);
const chosen = (group) => document.querySelector(`input[name=${group}]:checked`).value;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const steps = new Set();
const clock = new Clock();
const chart = new Chart(at("latency"));
const experiments = new Experiments(at("experiment-log"));
const inspector = new Inspector(at("records"), {records: api.records, deadLetters: api.deadLetters});
const voice = new Voice(at("live"));
const controls = new Controls(at("steps"), (name, argument) => lab[name](argument));
const flow = new Flow(at("flow"), (action, name) => lab.run(action, name));
const list = new List(at("events"), paintDetail, paint);

let page = null; // the answer of /page
let store = null;
let seen = null;
let outbox = null;
let watch = null;
let lab = null;
let producer = null;
let consumers = [];
let listed = []; // the events of the list, oldest first
let paused = null; // while paused: {events: the list to show, drawn: whether the newest event is drawn}

async function start() {
  await saved.claim();
  const remembered = JSON.parse(saved.read("page") ?? "{}");
  for (const step of remembered.steps ?? []) steps.add(step);
  const prompt = {dialog: at("token"), field: at("token-value"), refusal: at("token-refused")};
  promptWith((refused) => promptToken(prompt, refused));
  while (!page) {
    try {
      page = await api.page();
      problem(null);
    } catch (error) {
      problem(`The producer can’t be asked. ${error.message} Trying again.`);
      await sleep(ASK_MS);
    }
  }
  setText(at("topic"), page.topic);
  setText(at("bootstrap"), `KAFKA_BOOTSTRAP_SERVERS=${page.bootstrap_servers.join(",")}`);
  setText(at("curl"), api.curl());
  for (const pre of document.querySelectorAll(".guide pre, #curl")) withCopy(pre);
  drawLegend(at("legend"), page.stages);
  for (const part of document.querySelectorAll("#experiments, [data-lab]")) part.hidden = !Object.keys(page.experiments).length;

  store = new Store(page.group, () => clock.errorUs);
  seen = new Seen(store, paint);
  store.sent.restore(saved.names(), saved.read);
  outbox = new Outbox(store, clock, {changed: paint, problem, measure: () => producer.ask()});
  const told = {serverUs, changed: workerChanged, progress, row: (row, worker) => { store.row(row, worker.group); paint(); }};
  producer = new Worker("", null, {...told, clock: (...times) => clock.sample(...times)});
  const others = page.consumers.map(({url, name}) => new Worker(url, name, told));
  consumers = page.here_too ? [producer, ...others] : others;
  watch = new Watch({page, store, consumers, incidents: remembered.incidents ?? [], changed: paint, nowUs: serverUs});
  lab = new Lab({page, store, outbox, watch, producer, consumers, nameOf, begun, said: (text) => experiments.say(text), ended,
    incident: (text) => watch.incident(text), changed: paint, deadLetters});

  for (const worker of new Set([producer, ...consumers])) every(ASK_MS, () => worker.ask());
  every(CLUSTER_MS, () => watch.ask());
  every(LOOK_UP_MS, () => watch.lookUp());
  every(SAVE_MS, () => save());
  every(CHART_MS, paintCharts);
  every(ASK_MS, paint);
}

// The time now by the server's clock
const serverUs = () => nowUs() - clock.correctionUs;

async function every(ms, task) {
  for (;;) {
    const began = performance.now();
    await task();
    await sleep(Math.max(50, ms - (performance.now() - began)));
  }
}

function progress(offsets, worker) {
  if (worker.group !== page.group) return;
  for (const each of offsets) {
    store.sent.progress(each);
    store.commits.add(each.partition, each.commits);
  }
}

function workerChanged(worker, before) {
  if (worker === producer) {
    if (worker.state === "offline") problem("The producer is offline, so nothing can be sent: start it again, and this page goes on.");
    else if (before === "offline") problem(null);
  } else if (before && before !== "unknown") {
    if (worker.state === "offline") watch.incident(`${nameOf(worker)} away`);
    if (before === "offline") watch.incident(`${nameOf(worker)} back`);
    watch.ask();
  }
  paint();
}

function nameOf(worker) {
  if (worker.name) return worker.name;
  if (worker === producer) return page.here_too ? "this worker" : "producer";
  return worker.group && worker.group !== page.group ? "fan-out" : "consumer";
}

function begun(title) {
  experiments.begin(title);
  paint();
}

async function ended(problem, step) {
  experiments.end(problem);
  if (!problem && step) steps.add(step);
  await Promise.all(consumers.map((worker) => worker.ask()));
  await watch.ask();
  paint();
}

let problemTold = null;
function problem(sentence) {
  if (sentence === problemTold) return;
  problemTold = sentence;
  at("send-problem").hidden = !sentence;
  setText(at("send-problem"), sentence ?? "");
}

// -- painting

const paintSoon = paced(paintNow);
function paint() {
  if (watch) paintSoon();
}

let drawnCluster = null;
function paintNow() {
  const proof = store.sent.proof();
  const line = proofLine(proof, unsaved);
  drawProof(at("proof"), proof);
  setText(at("proof-line"), line);
  at("proof-line").dataset.missing = String(proof.counts.missing > 0);
  experiments.proof(line);
  const count = Number(chosen("count"));
  setText(at("send"), outbox.running && count > 1 ? "Stop sending" : count === 1 ? "Send event" : `Send ${count.toLocaleString("en")} events`);
  at("rate").disabled = count === 1;

  // If the producer consumes as well, other workers are shown only after they answered once.
  const shown = consumers.filter((worker) => worker === producer || worker.seen || !page.here_too);
  const {cluster} = watch;
  flow.draw({producer, consumers: shown, cluster: watch.problem ? watch.withoutBrokers() : cluster, clusterProblem: watch.problem,
    experiments: page.experiments, lab, nameOf, lagOf: (worker) => watch.lag(worker)});
  paintHeader();
  paintEvents();
  voice.tell(store.order, page.stages);
  controls.draw(lab.busy, consumers.find((worker) => nameOf(worker) === "consumer")?.slowMs ?? 0);
  notice(steps, {producer, consumers, group: page.group, counts: proof.counts});
  drawSteps(at("steps"), steps);
  if (cluster && drawnCluster !== cluster) {
    drawCluster(at("cluster"), cluster, (topic, partition) => inspector.records(topic, partition));
    drawnCluster = cluster;
  }
  setText(at("group"), cluster || watch.problem ? groupInWords(page.group, watch.group(page.group), watch.problem) : "");
  setText(at("cluster-note"), watch.problem ? `${watch.problem} ${cluster ? `What is below is from ${utcClock(cluster.time_us)}.` : ""}` : "");
}

function paintHeader() {
  const behind = consumers.filter((worker) => worker.seen && !worker.connected && worker.behindSinceUs);
  at("age").hidden = !behind.length;
  at("clock").hidden = behind.length > 0; // both share one line, so that the layout does not move
  setText(at("age"), streamsInWords(behind, nameOf));
  setText(at("clock"), clocksInWords(clock));
}

function paintEvents() {
  const filter = at("filter").value.trim().toLowerCase();
  const events = paused?.events ?? store.order;
  listed = filter ? events.filter((event) => textOf(event).includes(filter)) : events;
  const newest = events.at(-1) ?? null;
  if (!paused?.drawn) {
    setText(at("newest-title"), newest ? `Newest event ${name(newest)}` : "Newest event");
    drawNewest(at("newest"), newest, page.stages, newest && store.state(newest), newest && store.marks(newest));
    if (newest?.recorded) seen.drawn(newest);
    if (paused) paused.drawn = true;
  }
  list.draw(listed, {order: page.stages, stateOf: (event) => store.state(event), log: at("log-scale").checked, drawn: (event) => seen.drawn(event),
    emptyWords: filter ? "No event fits the filter." : "Each event will have a line here."});
  const more = paused ? store.order.length - paused.events.length : 0;
  const of = filter ? ` of ${events.length.toLocaleString("en")}` : "";
  setText(at("events-count"), `${listed.length.toLocaleString("en")}${of}${paused ? `; paused, ${more.toLocaleString("en")} more have come` : ""}`);
}

function paintDetail(target, event) {
  const marks = store.marks(event);
  drawDetail(target, event, {order: page.stages, state: store.state(event), group: page.group, marks}, () => savePicture(event, name(event), page.stages, marks));
}

function textOf(event) {
  event.text ??= `${name(event)} ${event.key} ${event.valueText}`.toLowerCase();
  return `${event.text} ${store.state(event)}`;
}

function paintCharts() {
  if (!store || paused || document.hidden) return;
  const found = figures(store.order, page.stages);
  drawWords(at("latency-words"), found);
  drawTail(at("latency-tail"), found);
  drawTable(at("latency-table"), found);
  const percent = Number(chosen("percentile"));
  const style = getComputedStyle(document.documentElement);
  chart.draw(overTime(store.order, page.stages, percent, serverUs()), watch.incidents,
    {order: page.stages, percent, log: at("latency-log").checked, ink: style.getPropertyValue("--ink")});
  if (at("incidents").open) drawIncidentList(at("incidents").querySelector("ul"), watch.incidents);
  setText(at("incidents").querySelector("summary"), plural(watch.incidents.length, "incident"));
}

// -- what a person does

const send = (occasion) => outbox?.send(Number(chosen("count")), Number(at("rate").value), whenUs(occasion));

at("send").addEventListener("click", send);
at("count").addEventListener("change", paint);
const deadLetters = () => inspector.deadLetters(page.dead_letter_topic, page.experiments.resend && ((letter, value) => lab.resend(letter, value)));

at("percentile").addEventListener("change", paintCharts);
at("filter").addEventListener("input", paint);
at("log-scale").addEventListener("change", paint);
at("latency-log").addEventListener("change", paintCharts);
at("dead-letters").addEventListener("click", deadLetters);
at("save-csv").addEventListener("click", () => download("events.csv", "text/csv", csv(listed, page.stages, store)));
at("save-json").addEventListener("click", () => download("events.jsonl", "application/jsonl", jsonLines(listed, page.stages, store)));
at("incidents").addEventListener("toggle", paintCharts);
at("theme").addEventListener("click", () => setTimeout(paintCharts));
at("help-open").addEventListener("click", () => at("help").showModal());
at("pause").addEventListener("click", pause);
at("single-keys").checked = saved.preference("keys") !== "off";
at("single-keys").addEventListener("change", () => saved.prefer("keys", at("single-keys").checked ? "on" : "off"));

function pause() {
  paused = paused ? null : {events: store.order.slice(), drawn: false};
  at("pause").classList.toggle("on", paused !== null); // its text says what it does, so it is no toggle to a screen reader
  setText(at("pause"), paused ? "Go on" : "Pause");
  paint();
}

onKeys({
  s: (press) => { if (!press.repeat) send(press); },
  p: pause,
  "/": () => at("filter").focus(),
  "?": () => at("help").showModal(),
  ArrowDown: () => list.focus(1),
  ArrowUp: () => list.focus(-1),
}, () => at("single-keys").checked, (typing) => {
  const closed = !typing && list.close();
  paint();
  return closed;
});

// -- what a reload keeps

let unsaved = false; // whether the browser did not keep some of the events
let savedPage = null;
function save(all = false) {
  for (const [name, text] of store.sent.changes(all)) if (!saved.write(name, text)) unsaved = true;
  const text = JSON.stringify({incidents: watch.incidents, steps: [...steps]});
  if (text !== savedPage) saved.write("page", text);
  savedPage = text;
}

addEventListener("pagehide", () => { if (watch) save(true); });

start();
