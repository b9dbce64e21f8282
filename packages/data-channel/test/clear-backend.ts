import { FATE_INNER, FATE_OPEN, FATE_SEAL, FATE_TO_LINK, NO_KEY, type PacketVector } from '@openvpnd/memory';
import type { AeadBackend, AeadKeyHandle, AeadKeyOptions } from '../src/index.js';

const TAG_BYTES = 16;

/**
 * A backend that hides nothing, allocates nothing and knows keys by the first byte of their material, which it writes as the tag: for
 * tests of everything around the cipher.
 */
export class ClearBackend implements AeadBackend {
  readonly name = 'clear';
  /** It counts them only. */
  readonly sealsSuperPackets = true;
  readonly installed: AeadKeyOptions[] = [];
  readonly retired: AeadKeyHandle[] = [];
  readonly #prefixBytes = new Uint8Array(4096);
  /** Of the packet id: 4, or 8 with epochs, where the tag stands at the end. */
  readonly #idBytes = new Uint8Array(4096);
  readonly #prefixes = new Uint8Array(4096 * 4);
  readonly #tags = new Uint8Array(4096);
  readonly #alive = new Uint8Array(4096);

  installKey(options: AeadKeyOptions): AeadKeyHandle {
    const handle = this.installed.length;
    this.installed.push({ ...options, key: Uint8Array.from(options.key), prefix: Uint8Array.from(options.prefix) });
    this.#prefixBytes[handle] = options.prefix.length;
    this.#idBytes[handle] = options.layout === 'epoch' ? 8 : 4;
    this.#prefixes.set(options.prefix, handle * 4);
    this.#tags[handle] = options.key[0];
    this.#alive[handle] = 1;
    return handle;
  }

  retireKey(handle: AeadKeyHandle): void {
    this.retired.push(handle);
    this.#alive[handle] = 0;
  }

  sealBatch(vector: PacketVector): void {
    for (let row = 0; row < vector.count; row++) {
      const handle = vector.key[row];
      if (vector.fate[row] !== FATE_SEAL || handle === NO_KEY) continue;
      const prefixBytes = this.#prefixBytes[handle];
      const isEpoch = this.#idBytes[handle] === 8;
      const idStart = vector.offset[row] - (isEpoch ? 8 : 4 + TAG_BYTES);
      const start = idStart - prefixBytes;
      const tagStart = isEpoch ? vector.offset[row] + vector.length[row] : idStart + 4;
      for (let index = 0; index < prefixBytes; index++) {
        vector.bytes[start + index] = this.#prefixes[handle * 4 + index];
      }
      if (isEpoch) vector.view.setUint32(idStart, vector.packetIdHigh[row]);
      vector.view.setUint32(isEpoch ? idStart + 4 : idStart, vector.packetIdLow[row]);
      for (let index = 0; index < TAG_BYTES; index++) vector.bytes[tagStart + index] = this.#tags[handle];
      vector.length[row] += prefixBytes + this.#idBytes[handle] + TAG_BYTES;
      vector.offset[row] = start;
      vector.fate[row] = FATE_TO_LINK;
    }
  }

  openBatch(vector: PacketVector): void {
    for (let row = 0; row < vector.count; row++) {
      const handle = vector.key[row];
      if (vector.fate[row] !== FATE_OPEN || handle === NO_KEY) continue;
      const isEpoch = this.#idBytes[handle] === 8;
      const clearBytes = this.#prefixBytes[handle] + this.#idBytes[handle];
      const overhead = clearBytes + TAG_BYTES;
      const start = vector.offset[row];
      if (this.#alive[handle] === 0 || vector.length[row] <= overhead) {
        vector.drop(row);
        continue;
      }
      const tagStart = isEpoch ? start + vector.length[row] - TAG_BYTES : start + clearBytes;
      let tagOk = true;
      for (let index = 0; index < TAG_BYTES; index++) {
        tagOk = tagOk && vector.bytes[tagStart + index] === this.#tags[handle];
      }
      if (!tagOk) {
        vector.drop(row);
        continue;
      }
      if (isEpoch) vector.packetIdHigh[row] = vector.view.getUint32(start + clearBytes - 8);
      vector.packetIdLow[row] = vector.view.getUint32(start + clearBytes - 4);
      vector.offset[row] = isEpoch ? start + clearBytes : start + overhead;
      vector.length[row] -= overhead;
      vector.fate[row] = FATE_INNER;
    }
  }
}
