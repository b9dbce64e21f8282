import { createCipheriv, createDecipheriv, getCiphers } from 'node:crypto';
import { FATE_INNER, FATE_OPEN, FATE_SEAL, FATE_TO_LINK, NO_KEY, type PacketVector } from '@openvpnd/memory';
import type { AeadBackend, AeadKeyHandle, AeadKeyOptions } from '../ports.js';

const PACKET_ID_BYTES = 4;
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
  readonly key: Buffer;
  /** The last eight bytes stay; the packet id is written in front of them for each packet. */
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
    const { cipher, key, implicitIv, prefix } = options;
    if (key.length !== KEY_BYTES[cipher]) throw new RangeError(`a key of ${cipher} has ${KEY_BYTES[cipher]} bytes`);
    if (implicitIv.length !== IMPLICIT_IV_BYTES) throw new RangeError('an implicit IV has 8 bytes');
    if (prefix.length !== 1 && prefix.length !== 4) throw new RangeError('a data packet prefix has 1 or 4 bytes');
    const algorithm = cipher.toLowerCase() as InstalledKey['algorithm'];
    if (!getCiphers().includes(algorithm)) throw new UnsupportedAeadError(cipher);
    const nonce = Buffer.alloc(NONCE_BYTES);
    nonce.set(implicitIv, PACKET_ID_BYTES);
    const handle = this.#free.pop() ?? this.#keys.length;
    this.#keys[handle] = {
      algorithm,
      seals: options.direction === 'seal',
      key: Buffer.from(key),
      nonce,
      prefix: Buffer.from(prefix),
    };
    return handle;
  }

  retireKey(handle: AeadKeyHandle): void {
    const key = this.#keys[handle];
    if (key === undefined) return;
    key.key.fill(0);
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

/** False when the row has too little headroom. */
function sealRow(vector: PacketVector, row: number, key: InstalledKey): boolean {
  const { bytes } = vector;
  const offset = vector.offset[row];
  const length = vector.length[row];
  const clearBytes = key.prefix.length + PACKET_ID_BYTES;
  const start = offset - clearBytes - TAG_BYTES;
  if (start < row * vector.strideBytes) return false;
  bytes.set(key.prefix, start);
  vector.view.setUint32(start + key.prefix.length, vector.packetIdLow[row]);
  key.nonce.writeUInt32BE(vector.packetIdLow[row], 0);
  const cipher = createCipheriv(key.algorithm as 'aes-128-gcm', key.key, key.nonce, TAG_OPTIONS);
  cipher.setAAD(additionalData(bytes, start, key));
  bytes.set(cipher.update(bytes.subarray(offset, offset + length)), offset);
  cipher.final();
  bytes.set(cipher.getAuthTag(), start + clearBytes);
  vector.offset[row] = start;
  vector.length[row] = length + clearBytes + TAG_BYTES;
  vector.fate[row] = FATE_TO_LINK;
  return true;
}

/** False when the packet is too short or its tag is wrong. */
function openRow(vector: PacketVector, row: number, key: InstalledKey): boolean {
  const { bytes } = vector;
  const start = vector.offset[row];
  const length = vector.length[row];
  const clearBytes = key.prefix.length + PACKET_ID_BYTES;
  const headerBytes = clearBytes + TAG_BYTES;
  if (length <= headerBytes) return false;
  const packetId = vector.view.getUint32(start + key.prefix.length);
  key.nonce.writeUInt32BE(packetId, 0);
  const decipher = createDecipheriv(key.algorithm as 'aes-128-gcm', key.key, key.nonce, TAG_OPTIONS);
  decipher.setAAD(additionalData(bytes, start, key));
  decipher.setAuthTag(bytes.subarray(start + clearBytes, start + headerBytes));
  const plain = decipher.update(bytes.subarray(start + headerBytes, start + length));
  try {
    decipher.final();
  } catch {
    // The only way in which final() tells that the tag is wrong.
    return false;
  }
  bytes.set(plain, start + headerBytes);
  vector.packetIdLow[row] = packetId;
  vector.offset[row] = start + headerBytes;
  vector.length[row] = length - headerBytes;
  vector.fate[row] = FATE_INNER;
  return true;
}

/** P_DATA_V2 authenticates all that stands before the tag, P_DATA_V1 the packet id alone. */
function additionalData(bytes: Uint8Array, start: number, key: InstalledKey): Uint8Array {
  const from = key.prefix.length === 1 ? start + 1 : start;
  return bytes.subarray(from, start + key.prefix.length + PACKET_ID_BYTES);
}
