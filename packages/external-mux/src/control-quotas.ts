/** What one batch may hand on of what need not be authentic to come this far, so that established peers come first. */
export class ControlQuotas {
  readonly #openingsPerBatch: number;
  readonly #controlsPerPeer: number;
  /** Control packets of each slot in the batch that `#batchOf` names: stamps, so that no batch has to clear a table. */
  readonly #controls: Uint32Array<ArrayBuffer>;
  readonly #batchOf: Uint32Array<ArrayBuffer>;
  #batch = 0;
  #openings = 0;

  constructor(options: {
    readonly maxPeers: number;
    readonly openingsPerBatch: number;
    readonly controlsPerPeerPerBatch: number;
  }) {
    this.#openingsPerBatch = options.openingsPerBatch;
    this.#controlsPerPeer = options.controlsPerPeerPerBatch;
    this.#controls = new Uint32Array(options.maxPeers);
    this.#batchOf = new Uint32Array(options.maxPeers);
  }

  beginBatch(): void {
    this.#openings = 0;
    this.#batch = (this.#batch + 1) >>> 0;
  }

  /** Takes one of the openings; false when there is none left. */
  takeOpening(): boolean {
    if (this.#openings >= this.#openingsPerBatch) return false;
    this.#openings += 1;
    return true;
  }

  /** Takes one of the control packets of a peer; false when there is none left. */
  takeControl(slot: number): boolean {
    if (this.#batchOf[slot] !== this.#batch) {
      this.#batchOf[slot] = this.#batch;
      this.#controls[slot] = 0;
    }
    if (this.#controls[slot] >= this.#controlsPerPeer) return false;
    this.#controls[slot] += 1;
    return true;
  }
}
