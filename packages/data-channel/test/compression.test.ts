import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { PacketVector } from '@openvpnd/memory';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CompressionFraming, type CompressionSetting } from '../src/compression-framing.js';
import { decompressLz4 } from '../src/lz4-block.js';
import { decompressLzo1x, NOT_DECOMPRESSED } from '../src/lzo1x.js';

interface CompressionVector {
  readonly id: string;
  readonly inputs: {
    readonly compressed?: string;
    readonly max_out?: number;
    readonly mode?: string;
    readonly payload?: string;
    readonly block?: string;
    readonly wire?: string;
  };
  readonly expected: {
    readonly plain?: string;
    readonly plain_sha256?: string;
    readonly plain_len?: number;
    readonly error?: boolean;
    readonly wire?: string;
  };
}

const VECTORS: readonly CompressionVector[] = JSON.parse(
  readFileSync(new URL('./vectors/compression.json', import.meta.url), 'utf8'),
).vectors;

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const MODES: Readonly<Record<string, CompressionSetting>> = {
  'comp-lzo': { framing: 'lzo', decompress: true },
  stub: { framing: 'swap', decompress: false },
  lz4: { framing: 'swap', decompress: true },
  'stub-v2': { framing: 'v2', decompress: false },
  'lz4-v2': { framing: 'v2', decompress: true },
};

const modeOf = (name: string | undefined): CompressionSetting => {
  const setting = MODES[name ?? ''];
  if (setting === undefined) throw new Error(`mode ${name}`);
  return setting;
};

function vectorWith(packet: Uint8Array): PacketVector {
  const vector = new PacketVector({ capacity: 1, headroom: 16, packetBytes: 2048, tailroom: 1 });
  vector.appendCopy(packet);
  return vector;
}

function frame(setting: CompressionSetting, packet: Uint8Array): string {
  const vector = vectorWith(packet);
  expect(new CompressionFraming(setting).frame(vector, 0)).toBe(true);
  return toHex(vector.packet(0));
}

function unframe(setting: CompressionSetting, wire: Uint8Array): string | undefined {
  const vector = vectorWith(wire);
  return new CompressionFraming(setting).unframe(vector, 0) ? toHex(vector.packet(0)) : undefined;
}

describe('decompression: known answers', () => {
  for (const { id, inputs, expected } of VECTORS.filter((vector) => vector.inputs.compressed !== undefined)) {
    it(id, () => {
      const decompress = id.startsWith('lzo') ? decompressLzo1x : decompressLz4;
      // Bytes in front, behind and beyond the limit must not matter, nor be touched.
      const block = hex(inputs.compressed ?? '');
      const source = new Uint8Array(block.length + 20).fill(0x11);
      source.set(block, 10);
      const limit = inputs.max_out ?? 0;
      const target = new Uint8Array(limit + 16).fill(0xa5);
      const length = decompress(source, 10, 10 + block.length, target, limit);
      if (expected.error === true) expect(length).toBe(NOT_DECOMPRESSED);
      else if (expected.plain_sha256 === undefined) expect(toHex(target.subarray(0, length))).toBe(expected.plain);
      else {
        expect(length).toBe(expected.plain_len);
        const digest = createHash('sha256').update(target.subarray(0, length)).digest('hex');
        expect(digest).toBe(expected.plain_sha256);
      }
      expect(target.subarray(limit).every((byte) => byte === 0xa5)).toBe(true);
    });
  }
});

describe('compression framing: known answers', () => {
  for (const { id, inputs, expected } of VECTORS.filter((vector) => vector.inputs.mode !== undefined)) {
    it(id, () => {
      const setting = modeOf(inputs.mode);
      if (inputs.payload !== undefined) {
        expect(frame(setting, hex(inputs.payload))).toBe(expected.wire);
        expect(unframe(setting, hex(expected.wire ?? ''))).toBe(inputs.payload);
      } else if (inputs.block !== undefined) {
        expect(unframe(setting, hex(expected.wire ?? ''))).toBe('00'.repeat(1400));
      } else {
        expect(unframe(setting, hex(inputs.wire ?? ''))).toBeUndefined();
      }
    });
  }
});

describe('compression framing', () => {
  it('takes the escape that OpenVPN writes by mistake, and no reserved one', () => {
    for (const setting of [modeOf('stub-v2'), modeOf('lz4-v2')]) {
      expect(unframe(setting, hex('500a50aabb'))).toBe('50aabb');
      expect(unframe(setting, hex('500050aabb'))).toBe('50aabb');
      for (const wire of ['50', '5000', '500250aa', '500350aa', '50ff50aa', ''])
        expect(unframe(setting, hex(wire))).toBeUndefined();
    }
  });

  it('decompresses only where that was agreed', () => {
    const lzo = VECTORS.find((vector) => vector.id === 'lzo-icmp');
    const wire = `66${lzo?.inputs.compressed}`;
    expect(unframe({ framing: 'lzo', decompress: true }, hex(wire))).toBe(lzo?.expected.plain);
    expect(unframe({ framing: 'lzo', decompress: false }, hex(wire))).toBeUndefined();
    const swap = VECTORS.find((vector) => vector.id === 'frame-lz4-v1')?.expected.wire ?? '';
    expect(unframe({ framing: 'swap', decompress: false }, hex(swap))).toBeUndefined();
    const v2 = VECTORS.find((vector) => vector.id === 'frame-v2-lz4')?.expected.wire ?? '';
    expect(unframe({ framing: 'v2', decompress: false }, hex(v2))).toBeUndefined();
  });

  it('gives no more than a row holds', () => {
    for (const [id, head, mode] of [
      ['lzo-bomb', '66', 'comp-lzo'],
      ['lz4-bomb', '5001', 'lz4-v2'],
    ] as const) {
      const block = VECTORS.find((vector) => vector.id === id)?.inputs.compressed ?? '';
      expect(unframe(modeOf(mode), hex(head + block))).toBeUndefined();
    }
  });

  it('never makes a packet shorter: 1400 equal bytes leave at full length', () => {
    for (const mode of Object.keys(MODES)) {
      expect(frame(modeOf(mode), new Uint8Array(1400)).length / 2).toBeGreaterThanOrEqual(1400);
    }
  });

  it('refuses a row without room', () => {
    const vector = new PacketVector({ capacity: 1, headroom: 0, packetBytes: 64, tailroom: 0 });
    for (const mode of Object.keys(MODES)) {
      vector.reset();
      vector.appendCopy(new Uint8Array(64).fill(0x50));
      expect(new CompressionFraming(modeOf(mode)).frame(vector, 0)).toBe(false);
    }
  });

  it('there and back, whatever the payload', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        fc.constantFrom(...Object.keys(MODES)),
        (packet, mode) => {
          expect(unframe(modeOf(mode), hex(frame(modeOf(mode), packet)))).toBe(toHex(packet));
        },
      ),
      { seed: 1, numRuns: 500 },
    );
  });

  it('survives any bytes', () => {
    const heads = fc.constantFrom([0x66], [0x69], [0x50, 1], [0xfa], [0xfb], []);
    fc.assert(
      fc.property(
        heads,
        fc.uint8Array({ maxLength: 120 }),
        fc.constantFrom(...Object.keys(MODES)),
        (head, noise, mode) => {
          const vector = vectorWith(Uint8Array.of(...head, ...noise));
          if (new CompressionFraming(modeOf(mode)).unframe(vector, 0)) {
            expect(vector.offset[0] + vector.length[0]).toBeLessThanOrEqual(vector.strideBytes);
            expect(vector.length[0]).toBeLessThanOrEqual(2048);
          }
        },
      ),
      { seed: 1, numRuns: 5000 },
    );
  });

  it('blocks with a flipped bit or a cut end are survived', () => {
    for (const { id, inputs } of VECTORS.filter((vector) => vector.inputs.compressed !== undefined)) {
      const decompress = id.startsWith('lzo') ? decompressLzo1x : decompressLz4;
      const block = hex(inputs.compressed ?? '').slice(0, 400);
      const target = new Uint8Array(1600 + 1).fill(0xa5);
      for (let index = 0; index < block.length; index++) {
        const changed = Uint8Array.from(block);
        changed[index] ^= 1 << (index % 8);
        expect(decompress(changed, 0, changed.length, target, 1600)).toBeLessThanOrEqual(1600);
        expect(decompress(block, 0, index, target, 1600)).toBeLessThanOrEqual(1600);
      }
      expect(target[1600]).toBe(0xa5);
    }
  });
});
