import type { EpochDataKey } from '@openvpnd/keygen';
import type { Secret } from '@openvpnd/sans-io';
import type { EpochDerivation } from './epoch-receive-keys.js';
import type { AeadKeyHandle } from './ports.js';

/** The last counter of an epoch. */
export const LAST_EPOCH_COUNTER: number = 2 ** 48 - 1;

export interface EpochSendKeyOptions {
  readonly derivation: EpochDerivation;
  /** Secret of epoch 1. It stays its owner's. */
  readonly firstSecret: Secret;
  readonly keyBytes: number;
  /** Makes a key usable for sealing. */
  readonly installKey: (key: EpochDataKey) => AeadKeyHandle;
  /** A key that was left. Packets that are about to be sealed may still need it. */
  readonly leaveKey: (handle: AeadKeyHandle) => void;
}

/** The epoch that is sent in, with its counter: 1, 2, … and none twice. OpenVPN: epoch_iterate_send_key(). */
export class EpochSendKey {
  readonly #options: EpochSendKeyOptions;
  #secret: Secret;
  #secretIsOurs = false;
  #epoch = 1;
  #handle: AeadKeyHandle;
  /** The counter that was given out last. */
  counter = 0;
  /** Blocks and packets that were sealed in this epoch. */
  usage = 0;

  constructor(options: EpochSendKeyOptions) {
    this.#options = options;
    this.#secret = options.firstSecret;
    this.#handle = this.#install();
  }

  /** 1 … */
  get epoch(): number {
    return this.#epoch;
  }

  get handle(): AeadKeyHandle {
    return this.#handle;
  }

  /** Goes on to a later epoch, with counters from 1. */
  advance(epoch: number): void {
    for (; this.#epoch < epoch; this.#epoch++) {
      const secret = this.#options.derivation.nextEpochSecret(this.#secret);
      if (this.#secretIsOurs) this.#secret.zero();
      this.#secret = secret;
      this.#secretIsOurs = true;
    }
    this.#options.leaveKey(this.#handle);
    this.#handle = this.#install();
    this.counter = 0;
    this.usage = 0;
  }

  /** Overwrites all that was derived. */
  retire(): void {
    this.#options.leaveKey(this.#handle);
    if (this.#secretIsOurs) this.#secret.zero();
  }

  #install(): AeadKeyHandle {
    const key = this.#options.derivation.epochDataKey(this.#secret, this.#options.keyBytes);
    const handle = this.#options.installKey(key);
    key.cipherKey.zero();
    key.iv.zero();
    return handle;
  }
}
