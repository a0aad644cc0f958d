// Notes when the browser has drawn an event: in the first frame after that. A hidden tab has no frames.

export class Seen {
  #store; #changed; #drawn = [];

  // changed() is called after events were seen.
  constructor(store, changed) {
    this.#store = store;
    this.#changed = changed;
  }

  // The document has this recorded event now.
  drawn(event) {
    if (!this.#store.isUnseen(event)) return;
    if (!this.#drawn.length) requestAnimationFrame(() => this.#frame());
    this.#drawn.push(event);
  }

  #frame() {
    for (const event of this.#drawn) if (this.#store.isUnseen(event)) this.#store.seen(event);
    this.#drawn = [];
    this.#changed();
  }
}
