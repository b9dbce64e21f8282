import { createCipheriv, createDecipheriv, getCiphers } from 'node:crypto';
import { FATE_INNER, FATE_OPEN, FATE_SEAL, FATE_TO_LINK, NO_KEY, type PacketVector } from '@openvpnd/memory';
import type { AeadBackend, AeadKeyHandle, AeadKeyOptions } from '../ports.js';

const PACKET_ID_BYTES = 4;
const EPOCH_PACKET_ID_BYTES = 8;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const IMPLICIT_IV_BYTES = 8;
const TAG_OPTIONS = { authTagLength: TAG_BYTES } as const;

const KEY_BYTES: Readonly<Record<AeadKeyOptions['cipher'], number>> = {
  'AES-128-GCM': 16,
  'AES-192-GCM': 24,
  'AES-256-GCM': 32,
  'CHACHA20-POLY1305': 32,
};

/** A cipher that this runtime's cryptographic library does not have. */
export class UnsupportedAeadError extends Error {
  readonly code = 'ERR_AEAD_UNSUPPORTED';

  constructor(cipher: string) {
    super(`this build of Node.js has no ${cipher}: choose another of --data-ciphers`);
    this.name = 'UnsupportedAeadError';
  }
}

interface InstalledKey {
  readonly algorithm: 'aes-128-gcm' | 'chacha20-poly1305';
  readonly seals: boolean;
  readonly isEpoch: boolean;
  readonly key: Buffer;
  /** What the packet id is XORed with. Without epochs it has zeros there. */
  readonly iv: Buffer;
  /** Of the packet in work. */
  readonly nonce: Buffer;
  readonly prefix: Buffer;
}

/**
 * The portable {@link AeadBackend}: node:crypto, one packet after the other. It needs no addon; a native backend is
 * several times faster. A row of more than one segment is refused, since the portable device delivers none.
 */
export function nodeAeadBackend(): AeadBackend {
  return new NodeAeadBackend();
}

class NodeAeadBackend implements AeadBackend {
  readonly name = 'node:crypto';
  readonly #keys: (InstalledKey | undefined)[] = [];
  readonly #free: AeadKeyHandle[] = [];

  installKey(options: AeadKeyOptions): AeadKeyHandle {
    const { cipher, key, implicitIv, prefix, layout } = options;
    const isEpoch = layout === 'epoch';
    const ivBytes = isEpoch ? NONCE_BYTES : IMPLICIT_IV_BYTES;
    if (key.length !== KEY_BYTES[cipher]) throw new RangeError(`a key of ${cipher} has ${KEY_BYTES[cipher]} bytes`);
    if (implicitIv.length !== ivBytes) throw new RangeError(`an implicit IV has ${ivBytes} bytes`);
    if (prefix.length !== 4 && (isEpoch || prefix.length !== 1)) {
      throw new RangeError(`a data packet prefix has ${isEpoch ? '' : '1 or '}4 bytes`);
    }
    const algorithm = cipher.toLowerCase() as InstalledKey['algorithm'];
    if (!getCiphers().includes(algorithm)) throw new UnsupportedAeadError(cipher);
    const iv = Buffer.alloc(NONCE_BYTES);
    iv.set(implicitIv, NONCE_BYTES - ivBytes);
    const handle = this.#free.pop() ?? this.#keys.length;
    this.#keys[handle] = {
      algorithm,
      seals: options.direction === 'seal',
      isEpoch,
      key: Buffer.from(key),
      iv,
      nonce: Buffer.alloc(NONCE_BYTES),
      prefix: Buffer.from(prefix),
    };
    return handle;
  }

  retireKey(handle: AeadKeyHandle): void {
    const key = this.#keys[handle];
    if (key === undefined) return;
    key.key.fill(0);
    key.iv.fill(0);
    key.nonce.fill(0);
    this.#keys[handle] = undefined;
    this.#free.push(handle);
  }

  sealBatch(vector: PacketVector): void {
    for (let row = 0; row < vector.count; row++) {
      if (vector.fate[row] !== FATE_SEAL || vector.key[row] === NO_KEY) continue;
      const key = this.#keys[vector.key[row]];
      if (key === undefined || !key.seals || vector.segments[row] > 1 || !sealRow(vector, row, key)) vector.drop(row);
    }
  }

  openBatch(vector: PacketVector): void {
    for (let row = 0; row < vector.count; row++) {
      if (vector.fate[row] !== FATE_OPEN || vector.key[row] === NO_KEY) continue;
      const key = this.#keys[vector.key[row]];
      if (key === undefined || key.seals || !openRow(vector, row, key)) vector.drop(row);
    }
  }
}

/** False when the row has too little room around its packet. */
function sealRow(vector: PacketVector, row: number, key: InstalledKey): boolean {
  const { bytes, view } = vector;
  const offset = vector.offset[row];
  const end = offset + vector.length[row];
  const clearBytes = clearBytesOf(key);
  const start = offset - clearBytes - (key.isEpoch ? 0 : TAG_BYTES);
  const rowStart = row * vector.strideBytes;
  if (start < rowStart || (key.isEpoch && end + TAG_BYTES > rowStart + vector.strideBytes)) return false;
  const id = start + key.prefix.length;
  bytes.set(key.prefix, start);
  if (key.isEpoch) {
    view.setUint32(id, vector.packetIdHigh[row]);
    view.setUint32(id + PACKET_ID_BYTES, vector.packetIdLow[row]);
  } else {
    view.setUint32(id, vector.packetIdLow[row]);
  }
  const cipher = createCipheriv(key.algorithm as 'aes-128-gcm', key.key, nonceOf(bytes, id, key), TAG_OPTIONS);
  cipher.setAAD(additionalData(bytes, start, key));
  bytes.set(cipher.update(bytes.subarray(offset, end)), offset);
  cipher.final();
  bytes.set(cipher.getAuthTag(), key.isEpoch ? end : start + clearBytes);
  vector.offset[row] = start;
  vector.length[row] = (key.isEpoch ? end + TAG_BYTES : end) - start;
  vector.fate[row] = FATE_TO_LINK;
  return true;
}

/** False when the packet is too short or its tag is wrong. */
function openRow(vector: PacketVector, row: number, key: InstalledKey): boolean {
  const { bytes, view } = vector;
  const start = vector.offset[row];
  const end = start + vector.length[row];
  const clearBytes = clearBytesOf(key);
  if (end - start <= clearBytes + TAG_BYTES) return false;
  const id = start + key.prefix.length;
  const tagStart = key.isEpoch ? end - TAG_BYTES : start + clearBytes;
  const plainStart = key.isEpoch ? start + clearBytes : tagStart + TAG_BYTES;
  const plainEnd = key.isEpoch ? tagStart : end;
  const decipher = createDecipheriv(key.algorithm as 'aes-128-gcm', key.key, nonceOf(bytes, id, key), TAG_OPTIONS);
  decipher.setAAD(additionalData(bytes, start, key));
  decipher.setAuthTag(bytes.subarray(tagStart, tagStart + TAG_BYTES));
  const plain = decipher.update(bytes.subarray(plainStart, plainEnd));
  try {
    decipher.final();
  } catch {
    // The only way in which final() tells that the tag is wrong.
    return false;
  }
  bytes.set(plain, plainStart);
  if (key.isEpoch) vector.packetIdHigh[row] = view.getUint32(id);
  vector.packetIdLow[row] = view.getUint32(key.isEpoch ? id + PACKET_ID_BYTES : id);
  vector.offset[row] = plainStart;
  vector.length[row] = plain.length;
  vector.fate[row] = FATE_INNER;
  return true;
}

/** What stands before ciphertext and tag. */
function clearBytesOf(key: InstalledKey): number {
  return key.prefix.length + (key.isEpoch ? EPOCH_PACKET_ID_BYTES : PACKET_ID_BYTES);
}

/** Of a packet whose id stands at `id`. Borrowed until the next one. */
function nonceOf(bytes: Uint8Array, id: number, key: InstalledKey): Buffer {
  const { iv, nonce } = key;
  const idBytes = key.isEpoch ? EPOCH_PACKET_ID_BYTES : PACKET_ID_BYTES;
  for (let index = 0; index < NONCE_BYTES; index++)
    nonce[index] = index < idBytes ? iv[index] ^ bytes[id + index] : iv[index];
  return nonce;
}

/** P_DATA_V2 authenticates all that stands before ciphertext and tag, P_DATA_V1 the packet id alone. */
function additionalData(bytes: Uint8Array, start: number, key: InstalledKey): Uint8Array {
  const from = key.prefix.length === 1 ? start + 1 : start;
  return bytes.subarray(from, start + clearBytesOf(key));
}
