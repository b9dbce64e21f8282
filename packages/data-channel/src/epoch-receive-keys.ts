import type { EpochDataKey, epochDataKey, nextEpochSecret } from '@openvpnd/keygen';
import type { Secret } from '@openvpnd/sans-io';
import { ReplayWindow, type ReplayWindowOptions } from './replay-window.js';

/** How one epoch's secret leads to the next and to a key: keygen's functions of these names. */
export interface EpochDerivation {
  readonly nextEpochSecret: typeof nextEpochSecret;
  readonly epochDataKey: typeof epochDataKey;
}

/** The key of one epoch, to open with. */
export interface EpochReceiveKey {
  readonly epoch: number;
  readonly key: EpochDataKey;
  readonly window: ReplayWindow;
  /** Blocks and packets that it opened. */
  usage: number;
  /** Packets that it did not verify. */
  failures: number;
}

/** Peers keep 16 future keys (2.7.0 to 2.7.6) or 4 (later): who takes 16 understands both. */
export const FUTURE_EPOCHS = 16;

const LAST_EPOCH = 0xffff;

export interface EpochReceiveKeysOptions {
  readonly derivation: EpochDerivation;
  /** Secret of epoch 1. It stays its owner's. */
  readonly firstSecret: Secret;
  readonly keyBytes: number;
  readonly replayWindow: ReplayWindowOptions;
  /** Keys held beyond the current epoch; FUTURE_EPOCHS when missing. */
  readonly futureEpochs?: number;
}

/**
 * The epochs that packets may come in: the current one, the one that was current before, and a number of future ones. A packet that verifies
 * under a future key makes its epoch the current one. OpenVPN: epoch_data_keys_future, epoch_check_send_iterate().
 */
export class EpochReceiveKeys {
  readonly #derivation: EpochDerivation;
  readonly #keyBytes: number;
  readonly #replayWindow: ReplayWindowOptions;
  readonly #futureEpochs: number;
  #current: EpochReceiveKey;
  #retiring: EpochReceiveKey | undefined;
  /** Of the epochs that follow the current one, in order. */
  #future: EpochReceiveKey[] = [];
  /** Secret of the last epoch that was derived. */
  #secret: Secret;
  #secretIsOurs = false;

  constructor(options: EpochReceiveKeysOptions) {
    this.#derivation = options.derivation;
    this.#keyBytes = options.keyBytes;
    this.#replayWindow = options.replayWindow;
    this.#futureEpochs = options.futureEpochs ?? FUTURE_EPOCHS;
    this.#secret = options.firstSecret;
    this.#current = this.#derive(1);
    this.#fill();
  }

  get current(): EpochReceiveKey {
    return this.#current;
  }

  /** The key of an epoch; undefined for one that is not taken. */
  find(epoch: number): EpochReceiveKey | undefined {
    if (epoch === this.#current.epoch) return this.#current;
    if (epoch === this.#retiring?.epoch) return this.#retiring;
    return this.#future[epoch - this.#current.epoch - 1];
  }

  /** A packet of this future epoch has verified: the ones before it are over, but for the current one, which retires. */
  moveTo(epoch: number): void {
    const steps = epoch - this.#current.epoch;
    const next = this.#future[steps - 1];
    if (next === undefined) throw new RangeError(`epoch ${epoch} is not a future one`);
    zero(this.#retiring);
    this.#retiring = this.#current;
    this.#current = next;
    for (const skipped of this.#future.splice(0, steps).slice(0, -1)) zero(skipped);
    this.#fill();
  }

  /** Overwrites all that was derived. */
  retire(): void {
    for (const key of [this.#current, this.#retiring, ...this.#future]) zero(key);
    if (this.#secretIsOurs) this.#secret.zero();
  }

  #fill(): void {
    // Epochs near the end are not given out: by then the key is to be replaced.
    const last = Math.min(this.#current.epoch + this.#futureEpochs, LAST_EPOCH - 1 - this.#futureEpochs);
    for (let epoch = this.#current.epoch + this.#future.length + 1; epoch <= last; epoch++) {
      const secret = this.#derivation.nextEpochSecret(this.#secret);
      if (this.#secretIsOurs) this.#secret.zero();
      this.#secret = secret;
      this.#secretIsOurs = true;
      this.#future.push(this.#derive(epoch));
    }
  }

  #derive(epoch: number): EpochReceiveKey {
    const key = this.#derivation.epochDataKey(this.#secret, this.#keyBytes);
    return { epoch, key, window: new ReplayWindow(this.#replayWindow), usage: 0, failures: 0 };
  }
}

function zero(key: EpochReceiveKey | undefined): void {
  key?.key.cipherKey.zero();
  key?.key.iv.zero();
}
