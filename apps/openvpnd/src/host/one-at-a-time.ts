/** Changes that take their time, one after the other in the order in which they were asked for. What fails holds up nobody behind it. */
export class OneAtATime {
  #last: Promise<void> = Promise.resolve();
  /** The last one, if it may be replaced and has not begun. */
  #replaceable: { change: () => Promise<void>; readonly done: Promise<void> } | undefined;

  /** Runs a change when those before it are over. */
  async run<T>(change: () => Promise<T>): Promise<T> {
    this.#replaceable = undefined;
    const mine = this.#last.then(change);
    this.#last = mine.then(
      () => {},
      () => {},
    );
    return await mine;
  }

  /**
   * The same for a change that makes the one before it superfluous: where that is of this kind too and has not begun, it never does. However many are asked for, one waits.
   *
   * @returns when a change of this kind that was asked for no earlier is over
   */
  runLatest(change: () => Promise<void>): Promise<void> {
    const waiting = this.#replaceable;
    if (waiting !== undefined) {
      waiting.change = change;
      return waiting.done;
    }
    const place = { change };
    const done = this.run(() => {
      if (this.#replaceable?.done === done) this.#replaceable = undefined;
      return place.change();
    });
    this.#replaceable = Object.assign(place, { done });
    return done;
  }
}
