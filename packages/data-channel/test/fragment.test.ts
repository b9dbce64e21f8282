import { readFileSync } from 'node:fs';
import {
  FATE_CONSUMED,
  FATE_DROPPED,
  FATE_INNER,
  FATE_OPEN,
  FATE_SEAL,
  FATE_TO_LINK,
  PacketVector,
} from '@openvpnd/memory';
import { emitOccMessage, fragmentHeader } from '@openvpnd/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FragmentAssembly } from '../src/fragment-assembly.js';
import { Fragmenter } from '../src/fragmenter.js';
import { DataChannel, type PeerSettings } from '../src/index.js';
import { makeVector, open, openOne, payload, rareSignals, seal, sealOne, twoEnds } from './two-ends.js';

const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The parts of a payload, headers included. */
function cut(fragmenter: Fragmenter, packet: Uint8Array): Uint8Array[] | undefined {
  const vector = new PacketVector({ capacity: 40, headroom: 8, packetBytes: 4096, tailroom: 0 });
  vector.appendCopy(packet);
  if (!fragmenter.cut(vector, 0, vector)) return undefined;
  return Array.from({ length: vector.count }, (_, row) => Uint8Array.from(vector.packet(row)));
}

/** What each part leads to: the outcome, or the payload in hexadecimal. */
function take(assembly: FragmentAssembly, now: number, parts: readonly Uint8Array[]): string[] {
  return parts.map((part) => {
    const vector = new PacketVector({ capacity: 1, headroom: 8, packetBytes: 4096, tailroom: 0 });
    vector.appendCopy(part);
    const outcome = assembly.take(now, vector, 0);
    return outcome === 'payload' ? toHex(vector.packet(0)) : outcome;
  });
}

function part(type: number, sequenceId: number, number: number, size: number, bytes: Uint8Array): Uint8Array {
  const header = fragmentHeader(type, sequenceId, number, size);
  return Uint8Array.of(header >>> 24, header >>> 16, header >>> 8, header, ...bytes);
}

describe('fragments', () => {
  it('headers: known answers', () => {
    const vectors: readonly { id: string; inputs: Record<string, number>; expected: { header: string } }[] = JSON.parse(
      readFileSync(new URL('./vectors/framing_reliable.json', import.meta.url), 'utf8'),
    ).vectors.filter((vector: { id: string }) => vector.id.startsWith('frag-'));
    expect(vectors.length).toBe(5);
    for (const { inputs, expected } of vectors) {
      const bytes = part(inputs.type, inputs.seq_id, inputs.frag_id, inputs.size, new Uint8Array());
      expect(toHex(bytes)).toBe(expected.header);
    }
  });

  it('a short payload stays whole, a longer one is cut into parts of about the same size', () => {
    const fragmenter = new Fragmenter(402, 4);
    expect(cut(fragmenter, payload(402))?.map((bytes) => bytes.length - 4)).toEqual([402]);
    const parts = cut(fragmenter, payload(1000)) ?? [];
    expect(parts.map((bytes) => bytes.length - 4)).toEqual([336, 336, 328]);
    expect(parts.map((bytes) => toHex(bytes.subarray(0, 4)))).toEqual([
      toHex(part(1, 5, 0, 0, new Uint8Array())),
      toHex(part(1, 5, 1, 0, new Uint8Array())),
      toHex(part(2, 5, 2, 336, new Uint8Array())),
    ]);
    // The sequence goes round.
    const last = new Fragmenter(400, 255);
    expect(cut(last, payload(500))?.[0][3]).toBe(0x01);
  });

  it('refuses what would take more than 32 parts, and changes nothing then', () => {
    expect(cut(new Fragmenter(100, 0), payload(3200))?.length).toBe(32);
    const vector = new PacketVector({ capacity: 40, headroom: 8, packetBytes: 4096, tailroom: 0 });
    vector.appendCopy(payload(3201));
    expect(new Fragmenter(100, 0).cut(vector, 0, vector)).toBe(false);
    expect([vector.count, vector.length[0]]).toEqual([1, 3201]);
    expect(() => new Fragmenter(3, 0)).toThrow(RangeError);
  });

  it('parts come together in any order, with others in between and twice', () => {
    const fragmenter = new Fragmenter(100, 0);
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 12 }),
        fc.infiniteStream(fc.nat(1_000_000)),
        (lengths, numbers) => {
          const assembly = new FragmentAssembly();
          const packets = lengths.map((length, index) => payload(length, index + 1));
          const parts = packets.flatMap((packet) => cut(fragmenter, packet) ?? []);
          const order = parts
            .map((bytes) => ({ bytes, place: numbers.next().value as number }))
            .sort((one, other) => one.place - other.place)
            .map(({ bytes }) => bytes);
          const outcomes = take(assembly, 0, order);
          expect(outcomes.filter((outcome) => outcome !== 'waiting').sort()).toEqual(packets.map(toHex).sort());
        },
      ),
      { seed: 1, numRuns: 100 },
    );
    const doubled = cut(fragmenter, payload(250)) ?? [];
    const outcomes = take(new FragmentAssembly(), 0, [doubled[0], doubled[0], doubled[2], doubled[2], doubled[1]]);
    expect(outcomes).toEqual(['waiting', 'waiting', 'waiting', 'waiting', toHex(payload(250))]);
  });

  it('refuses what makes no sense', () => {
    const assembly = new FragmentAssembly();
    const bytes = payload(8);
    const refused = [
      part(0, 1, 0, 0, bytes),
      part(3, 1, 0, 0, bytes),
      part(1, 1, 0, 0, payload(7)),
      part(1, 1, 0, 0, new Uint8Array()),
      part(2, 1, 1, 4, bytes),
      part(2, 1, 31, 65_532, bytes),
      Uint8Array.of(0, 0, 0),
      new Uint8Array(),
    ];
    expect(take(assembly, 0, refused)).toEqual(refused.map(() => 'refused'));
    expect(take(assembly, 0, [part(0, 0, 0, 0, bytes)])).toEqual([toHex(bytes)]);
  });

  it('a part of another size begins the packet anew', () => {
    const assembly = new FragmentAssembly();
    const [one, two] = [payload(8, 3), payload(8, 5)];
    expect(take(assembly, 0, [part(1, 1, 0, 0, payload(12)), part(1, 1, 0, 0, one), part(2, 1, 1, 8, two)])).toEqual([
      'waiting',
      'waiting',
      toHex(Uint8Array.of(...one, ...two)),
    ]);
  });

  it('waits 10 s for the rest, not longer', () => {
    const [first, second] = cut(new Fragmenter(100, 0), payload(150)) ?? [];
    const early = new FragmentAssembly();
    take(early, 0, [first]);
    expect(take(early, 10_000, [second])).toEqual([toHex(payload(150))]);
    const late = new FragmentAssembly();
    take(late, 0, [first]);
    expect(take(late, 10_001, [second])).toEqual(['waiting']);
    expect(take(late, 10_002, [first])).toEqual([toHex(payload(150))]);
  });

  it('holds 25 packets: a later one ends those behind the window, a far one all', () => {
    const [first, last] = cut(new Fragmenter(100, 0), payload(150)) ?? [];
    const withId = (bytes: Uint8Array, id: number): Uint8Array => {
      const changed = Uint8Array.from(bytes);
      changed[3] = (changed[3] & 3) | ((id << 2) & 0xff);
      changed[2] = (changed[2] & 0xfc) | (id >> 6);
      return changed;
    };
    for (const [ids, finished] of [
      [[0, 24], true],
      [[0, 25], false],
      [[0, 12, 24], true],
      [[0, 13, 26], false],
      [[250, 0], true],
      [[250, 20], false],
      [[10, 5], true],
      [[40, 5], false],
    ] as const) {
      const assembly = new FragmentAssembly();
      take(assembly, 0, [withId(first, 100)]);
      take(
        assembly,
        0,
        ids.map((id) => withId(first, id)),
      );
      expect(take(assembly, 0, [withId(last, ids[0])])).toEqual([finished ? toHex(payload(150)) : 'waiting']);
    }
  });

  it('survives any bytes, and never gives more than a row holds', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 60 }), (parts) => {
        const assembly = new FragmentAssembly();
        parts.forEach((bytes, index) => {
          const vector = new PacketVector({ capacity: 1, headroom: 0, packetBytes: 100, tailroom: 0 });
          vector.appendCopy(bytes);
          // Most noise has a type and a number that lead nowhere: help it along.
          if (bytes.length > 4)
            vector.view.setUint32(0, vector.view.getUint32(0) & (index % 2 === 0 ? 0x3c03 : 0x1ffff));
          assembly.take(index, vector, 0);
          expect(vector.length[0]).toBeLessThanOrEqual(100);
        });
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});

describe('framings in the data channel', () => {
  const SETTINGS: readonly (readonly [string, PeerSettings])[] = [
    ['fragment', { fragment: { partBytes: 600 } }],
    ['comp-lzo', { compression: { framing: 'lzo', decompress: true } }],
    ['stub', { compression: { framing: 'swap', decompress: false } }],
    ['stub-v2', { compression: { framing: 'v2', decompress: false } }],
    ['comp-lzo and fragment', { compression: { framing: 'lzo', decompress: true }, fragment: { partBytes: 600 } }],
    ['stub and fragment', { compression: { framing: 'swap', decompress: false }, fragment: { partBytes: 600 } }],
  ];

  for (const [name, settings] of SETTINGS) {
    it(`${name}: payloads, pings and OCC messages pass`, () => {
      const { client, server } = twoEnds({ ...settings, pingMs: 1000 });
      const packets = [1, 100, 599, 600, 601, 1400].map((length) => payload(length));
      const vector = makeVector();
      for (const packet of packets) {
        const row = vector.appendCopy(packet);
        vector.slot[row] = 3;
        vector.fate[row] = FATE_SEAL;
      }
      client.sealBatch(0, vector);
      for (let row = 0; row < vector.count; row++) {
        expect(vector.fate[row]).toBe(FATE_TO_LINK);
        vector.fate[row] = FATE_OPEN;
      }
      server.openBatch(0, vector);
      const opened = Array.from({ length: vector.count }, (_, row) => row)
        .filter((row) => vector.fate[row] === FATE_INNER)
        .map((row) => toHex(vector.packet(row)));
      expect(opened.sort()).toEqual(packets.map(toHex).sort());
      expect(server.drops()).toEqual({});

      const out = makeVector();
      client.handleTimeout(1000, out);
      expect(openOne(server, 1000, Uint8Array.from(out.packet(0)))).toBeUndefined();
      expect(server.counters(3).pingsIn).toBe(1);
      openOne(server, 1000, sealOne(client, 1000, emitOccMessage({ type: 'EXIT' })));
      expect(rareSignals(server)).toEqual([{ type: 'occ', slot: 3, message: { type: 'EXIT' } }]);
    });
  }

  it('a peer without it, or with another, is refused and counted', () => {
    const { client: plain } = twoEnds();
    const { server } = twoEnds({ compression: { framing: 'swap', decompress: false } });
    const vector = makeVector();
    const row = vector.appendCopy(sealOne(plain, 0, payload()));
    vector.slot[row] = 3;
    vector.fate[row] = FATE_OPEN;
    server.openBatch(0, vector);
    expect(vector.fate[row]).toBe(FATE_DROPPED);
    expect(server.drops()).toEqual({ 'bad-framing': 1 });
  });

  it('parts that wait are consumed, which still proves where the peer is', () => {
    const { client, server } = twoEnds({ fragment: { partBytes: 600 } });
    const vector = makeVector();
    const row = vector.appendCopy(payload(1000));
    vector.slot[row] = 3;
    vector.fate[row] = FATE_SEAL;
    client.sealBatch(0, vector);
    for (let index = 0; index < vector.count; index++) vector.fate[index] = FATE_OPEN;
    server.openBatch(0, vector);
    expect(Array.from(vector.fate.subarray(0, 2))).toEqual([FATE_CONSUMED, FATE_INNER]);
  });

  it('fragments that find no room come with the timeout, at once', () => {
    const { client, server } = twoEnds({ fragment: { partBytes: 600 } });
    const tx = makeVector(4);
    for (let index = 0; index < 4; index++) {
      const row = tx.appendCopy(payload(1200 + index));
      tx.slot[row] = 3;
      tx.fate[row] = FATE_SEAL;
    }
    client.sealBatch(50, tx);
    expect(client.nextTimeout()).toBe(50);
    const packets = Array.from({ length: 4 }, (_, row) => Uint8Array.from(tx.packet(row)));
    const out = makeVector(3);
    while (client.nextTimeout() <= 50) {
      out.reset();
      client.handleTimeout(50, out);
      for (let row = 0; row < out.count; row++) {
        expect(out.fate[row]).toBe(FATE_TO_LINK);
        packets.push(Uint8Array.from(out.packet(row)));
      }
    }
    // 1201 … 1203 take three parts each.
    expect(packets.length).toBe(2 + 3 * 3);
    const opened = open(server, 60, packets).filter((packet) => packet !== undefined);
    expect(opened.map((packet) => packet.length).sort()).toEqual([1200, 1201, 1202, 1203]);
  });

  it('what waits has a limit', () => {
    const { client } = twoEnds({ fragment: { partBytes: 100 } });
    for (let round = 0; round < 10; round++) seal(client, 0, new Array(64).fill(payload(1000)));
    const { 'not-framed': dropped } = client.drops();
    expect(dropped).toBe(640 - Math.floor(256 / 9));
  });

  it('clamps the MSS inside the framing', () => {
    const syn = Uint8Array.from(
      Buffer.from(
        '4500003000014000400626b50a0800020a08000110e1005000000001000000007002ffff5ed40000020405b401030307',
        'hex',
      ),
    );
    const compression = { framing: 'swap', decompress: false } as const;
    const { client } = twoEnds({ compression }, 5, 1336);
    const { server } = twoEnds({ compression });
    const opened = openOne(server, 0, sealOne(client, 0, syn)) ?? new Uint8Array(48);
    expect((opened[42] << 8) | opened[43]).toBe(1336);
  });

  it('may be switched on by what is pushed, and ends with the peer', () => {
    const { client, server } = twoEnds();
    for (const end of [client, server]) end.configurePeer(3, { compression: { framing: 'v2', decompress: false } }, 0);
    const frame = Uint8Array.of(0x50, 1, 2, 3);
    const sealed = sealOne(client, 0, frame);
    expect(sealed.length).toBe(24 + 6);
    expect(openOne(server, 0, sealed)).toEqual(frame);
    client.removePeer(3);
    expect(() => client.addPeer(3, {}, 0)).not.toThrow();
    expect(new DataChannel({ backend: { name: 'none' } as never, maxPeers: 1 }).nextTimeout()).toBe(
      Number.POSITIVE_INFINITY,
    );
  });
});
