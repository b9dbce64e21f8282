import { createHash, createHmac } from 'node:crypto';

/** RFC 8446, section 7.5, without a context. */
export function exportTls13(hash: string, exporterMasterSecret: Uint8Array, label: string, length: number): Buffer {
  const empty = createHash(hash).digest();
  const secret = expandLabel(hash, exporterMasterSecret, label, empty, empty.length);
  return expandLabel(hash, secret, 'exporter', empty, length);
}

/** RFC 5705, section 4; without a context there is not even its length. */
export function exportTls12(
  hash: string,
  masterSecret: Uint8Array,
  randoms: Uint8Array,
  label: string,
  length: number,
  context?: Uint8Array,
): Buffer {
  const contextPart = context === undefined ? [] : [Buffer.from([context.length >> 8, context.length & 0xff]), context];
  const seed = Buffer.concat([Buffer.from(label), randoms, ...contextPart]);
  let a: Buffer = seed;
  const blocks: Buffer[] = [];
  for (let have = 0; have < length; have += blocks[0]!.length) {
    a = createHmac(hash, masterSecret).update(a).digest();
    blocks.push(createHmac(hash, masterSecret).update(a).update(seed).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
}

function expandLabel(hash: string, secret: Uint8Array, label: string, context: Uint8Array, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([
    Buffer.from([length >> 8, length & 0xff, name.length]),
    name,
    Buffer.from([context.length]),
    context,
  ]);
  const blocks: Buffer[] = [];
  for (let n = 1; Buffer.concat(blocks).length < length; n += 1) {
    blocks.push(
      createHmac(hash, secret)
        .update(blocks.at(-1) ?? '')
        .update(info)
        .update(Buffer.from([n]))
        .digest(),
    );
  }
  return Buffer.concat(blocks).subarray(0, length);
}
