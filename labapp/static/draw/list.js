// The list of events, newest first. Draws only the rows in view, so that 10,000 events cost no more than ten. Takes data and an element.

import {element, setText} from "./dom.js";
import {gaps, longest, percentile, times, totalUs} from "../state/stages.js";
import {duration, local, utc} from "../state/time.js";
import {drawBar, linear, logarithmic, niceMaxUs} from "./waterfall.js";

// What an event without a row shows in place of its time
const WORDS = {posting: "sending", unanswered: "not answered", gone: "not kept", looking: "looking up", dead: "dead letter", forgotten: "forgotten"};
const AROUND = 4; // rows drawn above and below the visible ones

export class List {
  #target; #drawDetail; #scroller; #body; #head; #scaleNote; #empty; #detail;
  #rows = new Map(); // event → its elements
  #events = []; // oldest first
  #look = null;
  #open = null;
  #detailHeight = 0;
  #height = 0; // of a row, from the style sheet. Read once per painting, because each reading makes the browser recompute styles.

  // drawDetail(element, event) fills an opened row, again and again; it draws only what differs. changed() requests a new painting.
  constructor(target, drawDetail, changed) {
    this.#target = target;
    this.#drawDetail = drawDetail;
    this.#scaleNote = element("span", {});
    this.#head = element("div", {role: "rowgroup", class: "head"}, element("div", {role: "row", class: "row"},
      column("c-id", "event"), column("c-time", "clicked, UTC"), element("span", {role: "columnheader", class: "c-bar"}, element("span", {class: "long"}, "where the time went, "), this.#scaleNote),
      column("c-total", "whole"), column("c-longest", "longest"), column("c-position", "part. : offset")));
    this.#body = element("div", {role: "rowgroup", class: "body"});
    const table = element("div", {role: "table", "aria-labelledby": "events-title", class: "table"}, this.#head, this.#body);
    this.#scroller = element("div", {class: "scroller", tabindex: "0", role: "region", "aria-label": "Events, newest first"}, table);
    this.#empty = element("p", {class: "soft empty"}, "Nothing here yet.");
    target.replaceChildren(this.#scroller, this.#empty);
    this.#scroller.addEventListener("scroll", () => this.#draw(), {passive: true});
    this.#scroller.addEventListener("keydown", (press) => this.#key(press));
    new ResizeObserver(changed).observe(target);
  }

  // look: {order, stateOf(event), log, emptyWords, drawn(event): is told of each recorded event whose row is drawn}
  draw(events, look) {
    const reading = this.#reading();
    this.#height = Number.parseFloat(getComputedStyle(this.#target).getPropertyValue("--row"));
    this.#events = events.slice(); // a copy: scrolling between two paintings must not show new events
    this.#look = look;
    setText(this.#empty, look.emptyWords);
    this.#empty.hidden = events.length > 0;
    this.#scroller.hidden = !events.length;
    if (this.#open && !events.includes(this.#open)) {
      this.#open = null;
      this.#detailHeight = 0;
    }
    this.#draw(true, reading);
  }

  close() {
    if (!this.#open) return false;
    this.#toggle(this.#open);
    return true;
  }

  focus(step) {
    const focused = this.#focused();
    const index = focused ? this.#indexOf(focused) + step : Math.floor(this.#scroller.scrollTop / this.#height);
    this.#focusRow(Math.max(0, Math.min(this.#events.length - 1, index)));
  }

  // The event whose row has the focus
  #focused() { return [...this.#rows].find(([, row]) => row.element.contains(document.activeElement))?.[0]; }

  // -- rows by index: 0 is the newest

  #at(index) { return this.#events[this.#events.length - 1 - index]; }
  #indexOf(event) { return this.#events.length - 1 - this.#events.lastIndexOf(event); }
  #top(index) { return index * this.#height + (this.#open && index > this.#indexOf(this.#open) ? this.#detailHeight : 0); }

  // The index of the row at the upper edge
  #first(scrollTop) {
    const open = this.#open ? this.#indexOf(this.#open) : -1;
    let first = Math.floor(scrollTop / this.#height);
    if (open >= 0 && first > open) first = Math.max(open, Math.floor((scrollTop - this.#detailHeight) / this.#height));
    return Math.min(first, this.#events.length - 1);
  }

  // The row at the upper edge, which a person is reading: {event, below: pixels from the row's top down to the edge}.
  // Null at the top of the list, where new rows push the others down. Measured now, because a person may have scrolled since the last painting.
  #reading() {
    const {scrollTop} = this.#scroller;
    if (scrollTop < 4 || !this.#events.length) return null;
    const first = this.#first(scrollTop);
    return {event: this.#at(first), below: scrollTop - this.#top(first)};
  }

  // `reading`: the row that keeps its position on the screen while new rows arrive above it.
  #draw(refresh = false, reading = null) {
    if (!this.#look || !this.#events.length) return;
    const count = this.#events.length;
    this.#body.style.height = `${count * this.#height + this.#detailHeight}px`; // set before scrollTop, which the browser limits to this height
    if (reading && this.#events.includes(reading.event)) this.#scroller.scrollTop = this.#top(this.#indexOf(reading.event)) + reading.below;
    const {scrollTop, clientHeight} = this.#scroller;
    const open = this.#open ? this.#indexOf(this.#open) : -1;
    const reached = this.#first(scrollTop);
    const first = Math.max(0, reached - AROUND);
    const last = Math.min(count - 1, reached + Math.ceil(clientHeight / this.#height) + AROUND);
    this.#body.parentElement.setAttribute("aria-rowcount", String(count + 1));
    const shown = new Map();
    const held = this.#focused(); // drawn wherever it is, so that the focus stays on it
    const heldAt = held && this.#events.includes(held) ? this.#indexOf(held) : -1;
    if (heldAt >= 0 && heldAt < first) shown.set(held, heldAt);
    for (let index = first; index <= last; index++) shown.set(this.#at(index), index);
    if (heldAt > last) shown.set(held, heldAt);
    if (held && heldAt < 0) this.#scroller.focus({preventScroll: true}); // it does not fit the filter, or is too old
    if (refresh) this.#setScale([...shown.keys()]);
    for (const [event, row] of this.#rows) {
      if (!shown.has(event)) {
        row.element.remove();
        this.#rows.delete(event);
      }
    }
    let next = this.#body.firstChild; // the document has the rows in the order of the list, for screen readers and the Tab key
    for (const [event, index] of shown) {
      let row = this.#rows.get(event);
      if (!row) {
        row = this.#newRow(event);
        this.#rows.set(event, row);
        this.#fill(row, event);
      } else if (refresh) {
        this.#fill(row, event);
      }
      if (next === this.#detail && next) next = next.nextSibling;
      if (row.element === next) next = next.nextSibling;
      else this.#body.insertBefore(row.element, next);
      row.element.style.top = `${this.#top(index)}px`;
      row.element.setAttribute("aria-rowindex", String(index + 2));
    }
    this.#placeDetail(open, refresh);
  }

  // The scale fits 80 % of the rows in view. A longer bar is cut and marked.
  #setScale(events) {
    const totals = events.map((event) => totalUs(gaps(event, this.#look.order)) ?? 0).sort((a, b) => a - b);
    const maxUs = niceMaxUs((this.#look.log ? totals.at(-1) : percentile(totals, 80)) || 1);
    this.#look.scale = (this.#look.log ? logarithmic : linear)(maxUs);
    setText(this.#scaleNote, `0 to ${duration(maxUs).replace(".0 ", " ")}${this.#look.log ? ", log" : ""}`);
  }

  #newRow(event) {
    const cells = {
      button: element("button", {type: "button", class: "link", onclick: (click) => { click.stopPropagation(); this.#toggle(event); }}),
      time: cell("c-time mono"), bar: element("div", {class: "bar"}), total: cell("c-total n"), longest: cell("c-longest"), position: cell("c-position mono n"),
    };
    const row = element("div", {role: "row", class: "row", onclick: () => { if (!String(getSelection())) this.#toggle(event); }},
      element("span", {role: "cell", class: "c-id"}, cells.button), cells.time, element("span", {role: "cell", class: "c-bar"}, cells.bar), cells.total, cells.longest, cells.position);
    return {element: row, cells};
  }

  #fill({element: row, cells}, event) {
    const {order, stateOf, scale} = this.#look;
    const state = stateOf(event);
    const found = gaps(event, order);
    const at = times(event, order);
    const most = longest(found);
    const first = at[order[0]] ?? event.at;
    row.dataset.state = state;
    setText(cells.button, name(event));
    cells.button.setAttribute("aria-expanded", String(event === this.#open));
    setText(cells.time, utc(first));
    cells.time.title = local(first);
    drawBar(cells.bar, event, order, {state, scale, labels: false});
    setText(cells.total, event.recorded ? duration(totalUs(found) ?? 0) : WORDS[state] ?? state);
    setText(cells.longest, most && most.us > 0 ? `${most.letter} ${duration(most.us)}` : "");
    cells.longest.title = most ? `${most.start} to ${most.end}` : "";
    setText(cells.position, event.partition === undefined ? "" : `${event.partition} : ${event.offset}`);
    row.classList.toggle("opened", event === this.#open);
    if (state === "recorded") this.#look.drawn(event);
  }

  #toggle(event) {
    const before = this.#open;
    this.#open = before === event ? null : event;
    this.#detail?.remove();
    this.#detail = null;
    this.#detailHeight = 0;
    for (const each of [before, event]) if (this.#rows.has(each)) this.#fill(this.#rows.get(each), each);
    this.#target.classList.toggle("has-open", this.#open !== null);
    this.#draw(true);
    if (this.#open) this.#reveal(this.#indexOf(this.#open), this.#height + this.#detailHeight);
  }

  #placeDetail(open, refresh) {
    if (open < 0) {
      this.#detail?.remove();
      this.#detail = null;
      return;
    }
    const made = !this.#detail;
    if (made) {
      this.#detail = element("div", {role: "row", class: "detail"}, element("div", {role: "cell", "aria-label": "The opened event"}));
      this.#body.append(this.#detail);
    }
    const row = this.#rows.get(this.#open)?.element;
    if (row && row.nextSibling !== this.#detail) row.after(this.#detail);
    if (made || refresh) this.#drawDetail(this.#detail.firstChild, this.#open);
    this.#detail.style.top = `${(open + 1) * this.#height}px`;
    if (this.#detail.offsetHeight !== this.#detailHeight) {
      const reading = this.#reading();
      this.#detailHeight = this.#detail.offsetHeight;
      this.#draw(false, reading);
    }
  }

  #reveal(index, height) {
    const top = this.#top(index);
    const room = this.#scroller.clientHeight - this.#head.offsetHeight;
    if (top < this.#scroller.scrollTop) this.#scroller.scrollTop = top;
    else if (top + height > this.#scroller.scrollTop + room) this.#scroller.scrollTop = Math.min(top, top + height - room);
  }

  #key(press) {
    const step = {ArrowDown: 1, ArrowUp: -1}[press.key];
    if (!step || press.ctrlKey || press.metaKey || press.altKey) return;
    press.preventDefault();
    press.stopPropagation();
    this.focus(step);
  }

  #focusRow(index) {
    this.#reveal(index, this.#height);
    this.#draw();
    this.#rows.get(this.#at(index))?.cells.button.focus({preventScroll: true});
  }
}

const column = (name, text) => element("span", {role: "columnheader", class: name}, text);
const cell = (name) => element("span", {role: "cell", class: name});

// The event's name for people: its id, or the start of its key if it has no id
export function name(event) {
  const id = event.value?.id;
  if (typeof id === "number" || (typeof id === "string" && id)) return `#${String(id).slice(0, 12)}`;
  return event.key.slice(0, 8);
}
