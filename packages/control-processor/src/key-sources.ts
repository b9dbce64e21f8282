import { type Random, Secret } from '@openvpnd/sans-io';
import { KEY_RANDOM_BYTES, PRE_MASTER_BYTES } from '@openvpnd/wire';

/** What one end puts into the key exchange (key method 2). OpenVPN: struct key_source. */
export class KeySources {
  /** The client's only; empty at the server. */
  readonly preMaster: Secret;
  readonly random1: Secret;
  readonly random2: Secret;

  constructor(parts: { readonly preMaster: Uint8Array; readonly random1: Uint8Array; readonly random2: Uint8Array }) {
    this.preMaster = new Secret(parts.preMaster);
    this.random1 = new Secret(parts.random1);
    this.random2 = new Secret(parts.random2);
  }

  /** Our own, from the random source. */
  static generate(random: Random, role: 'client' | 'server'): KeySources {
    const parts = {
      preMaster: new Uint8Array(role === 'client' ? PRE_MASTER_BYTES : 0),
      random1: new Uint8Array(KEY_RANDOM_BYTES),
      random2: new Uint8Array(KEY_RANDOM_BYTES),
    };
    for (const part of Object.values(parts)) random.fill(part);
    const sources = new KeySources(parts);
    for (const part of Object.values(parts)) part.fill(0);
    return sources;
  }

  zero(): void {
    this.preMaster.zero();
    this.random1.zero();
    this.random2.zero();
  }
}
