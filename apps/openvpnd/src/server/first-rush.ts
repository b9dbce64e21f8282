/** From this handshake on a server is no longer one for a few clients with little traffic. */
const MANY_HANDSHAKES = 4;
/** How often it is looked whether more have come, in milliseconds. */
const LOOK_MS = 1000;
/** How often at most: after that it is no rush, but how things are there. */
const LOOKS = 5;

/** What a rush changes: told once when it begins, and once when it has ended. */
export interface RushMeasures {
  begins(): void;
  ends(): void;
}

/**
 * The first time that many clients come, which is when a server has been started again: all that a handshake runs through is new to V8 then, and the heap has not its size
 * yet. It begins with the fourth handshake and ends when none has begun for a second, after five seconds at most; there is one in the life of a server.
 */
export class FirstRush {
  readonly #measures: RushMeasures;
  #handshakes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(measures: RushMeasures) {
    this.#measures = measures;
  }

  /** To be called for every handshake. */
  handshakeBegins(): void {
    this.#handshakes += 1;
    if (this.#handshakes === MANY_HANDSHAKES) this.#begin();
  }

  /** No timer is left. A rush that was on is not told to end. */
  close(): void {
    clearInterval(this.#timer);
  }

  #begin(): void {
    this.#measures.begins();
    let seen = this.#handshakes;
    let looks = 0;
    this.#timer = setInterval(() => {
      looks += 1;
      const goesOn = this.#handshakes !== seen && looks < LOOKS;
      seen = this.#handshakes;
      if (goesOn) return;
      this.close();
      this.#measures.ends();
    }, LOOK_MS);
    this.#timer.unref();
  }
}
