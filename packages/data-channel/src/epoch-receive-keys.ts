import type { EpochDataKey, epochDataKey, nextEpochSecret } from '@openvpnd/keygen';
import { NO_KEY } from '@openvpnd/memory';
import type { Secret } from '@openvpnd/sans-io';
import type { AeadKeyHandle } from './ports.js';
import { ReplayWindow, type ReplayWindowOptions } from './replay-window.js';

/** How one epoch's secret leads to the next and to a key: keygen's functions of these names. */
export interface EpochDerivation {
  readonly nextEpochSecret: typeof nextEpochSecret;
  readonly epochDataKey: typeof epochDataKey;
}

/** The key of one epoch, to open with. */
export interface EpochReceiveKey {
  readonly epoch: number;
  /** Until it is installed; nobody needs it any more then. */
  key: EpochDataKey | undefined;
  /** From the first packet on that came in this epoch. Not NO_KEY before that, which is no small integer: reading the field would allocate. */
  handle: AeadKeyHandle | undefined;
  /** From the first authentic packet on. */
  window: ReplayWindow | undefined;
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
  /** Makes a key usable for opening. */
  readonly installKey: (key: EpochDataKey) => AeadKeyHandle;
  readonly retireKey: (handle: AeadKeyHandle) => void;
  /** Keys held beyond the current epoch; FUTURE_EPOCHS when missing. */
  readonly futureEpochs?: number;
}

/**
 * The epochs that packets may come in: the current one, the one that was current before, and a number of future ones. A packet that verifies
 * under a future key makes its epoch the current one. OpenVPN: epoch_data_keys_future, epoch_check_send_iterate().
 *
 * A future key is derived when a packet says that it is of its epoch, and kept: forged packets cost each of them once, and a peer that never comes
 * so far, as nearly all, costs none.
 */
export class EpochReceiveKeys {
  readonly #options: EpochReceiveKeysOptions;
  readonly #futureEpochs: number;
  #current: EpochReceiveKey;
  #retiring: EpochReceiveKey | undefined;
  /** Of the epochs that follow the current one, in order: as many as packets have asked for. */
  #future: EpochReceiveKey[] = [];
  /** Secret of the last epoch that was derived. */
  #secret: Secret;
  #secretIsOurs = false;

  constructor(options: EpochReceiveKeysOptions) {
    this.#options = options;
    this.#futureEpochs = options.futureEpochs ?? FUTURE_EPOCHS;
    this.#secret = options.firstSecret;
    this.#current = this.#derive(1);
  }

  get current(): EpochReceiveKey {
    return this.#current;
  }

  /** The key of an epoch; undefined for one that is not taken. */
  find(epoch: number): EpochReceiveKey | undefined {
    if (epoch === this.#current.epoch) return this.#current;
    if (epoch === this.#retiring?.epoch) return this.#retiring;
    if (epoch < this.#current.epoch || epoch > this.#lastEpoch) return undefined;
    this.#deriveUpTo(epoch);
    return this.#future[epoch - this.#current.epoch - 1];
  }

  /** What opens packets of that key: it is installed when it is first asked for. NO_KEY for one that is over. */
  handleOf(key: EpochReceiveKey): AeadKeyHandle {
    if (key.handle !== undefined) return key.handle;
    if (key.key === undefined) return NO_KEY;
    key.handle = this.#options.installKey(key.key);
    zero(key);
    return key.handle;
  }

  /** The ids that came in that epoch. */
  windowOf(key: EpochReceiveKey): ReplayWindow {
    key.window ??= new ReplayWindow(this.#options.replayWindow);
    return key.window;
  }

  /** A packet of this future epoch has verified: the ones before it are over, but for the current one, which retires. */
  moveTo(epoch: number): void {
    const steps = epoch - this.#current.epoch;
    const next = steps > 0 ? this.find(epoch) : undefined;
    if (next === undefined) throw new RangeError(`epoch ${epoch} is not a future one`);
    this.#forget(this.#retiring);
    this.#retiring = this.#current;
    this.#current = next;
    for (const skipped of this.#future.splice(0, steps).slice(0, -1)) this.#forget(skipped);
  }

  /** Overwrites all that was derived. */
  retire(): void {
    for (const key of [this.#current, this.#retiring, ...this.#future]) this.#forget(key);
    if (this.#secretIsOurs) this.#secret.zero();
  }

  /** Epochs near the end are not given out: by then the key is to be replaced. */
  get #lastEpoch(): number {
    return Math.min(this.#current.epoch + this.#futureEpochs, LAST_EPOCH - 1 - this.#futureEpochs);
  }

  #deriveUpTo(last: number): void {
    const { derivation } = this.#options;
    for (let epoch = this.#current.epoch + this.#future.length + 1; epoch <= last; epoch++) {
      const secret = derivation.nextEpochSecret(this.#secret);
      if (this.#secretIsOurs) this.#secret.zero();
      this.#secret = secret;
      this.#secretIsOurs = true;
      this.#future.push(this.#derive(epoch));
    }
  }

  #derive(epoch: number): EpochReceiveKey {
    const key = this.#options.derivation.epochDataKey(this.#secret, this.#options.keyBytes);
    return { epoch, key, handle: undefined, window: undefined, usage: 0, failures: 0 };
  }

  #forget(key: EpochReceiveKey | undefined): void {
    if (key === undefined) return;
    if (key.handle !== undefined) this.#options.retireKey(key.handle);
    key.handle = undefined;
    zero(key);
  }
}

function zero(key: EpochReceiveKey): void {
  key.key?.cipherKey.zero();
  key.key?.iv.zero();
  key.key = undefined;
}
