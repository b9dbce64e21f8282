import './native-build.js';
import { splitSuperPacket } from '@openvpnd/data-channel';
import { nodeAeadBackend } from '@openvpnd/data-channel/node';
import { FATE_DROPPED, FATE_SEAL, FATE_TO_DEVICE, FATE_TO_LINK, PacketVector } from '@openvpnd/memory';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEVICE_VECTOR, nativeBackend } from '../src/index.js';
import { nativeAddon } from '../src/native-addon.js';
import { registeredVector } from '../src/registered-vector.js';
import { ACK, CWR, ECE, FIN, fillChecksums, type Inner, innerPacket, PSH, pattern } from './inner-packets.js';

const PREFIX = Uint8Array.of(0x48, 0, 0, 7);
const KEY = {
  cipher: 'AES-256-GCM',
  key: new Uint8Array(32).fill(3),
  implicitIv: new Uint8Array(8).fill(5),
  prefix: PREFIX,
  direction: 'seal',
} as const;
const EPOCH_KEY = { ...KEY, implicitIv: pattern(12), layout: 'epoch' } as const;
/** The first id of a super-packet, for each layout. The counter of an epoch carries on into its upper word. */
const FIRST_IDS = { short: [0, 1000], epoch: [0x0002_0001, 0xffff_fff8] } as const;
const VNET_BYTES = 10;
const NEEDS_CSUM = 1;

function vector(packetBytes = 66_000, capacity: number = DEVICE_VECTOR.capacity): PacketVector {
  return new PacketVector({ capacity, headroom: 98, packetBytes, tailroom: 17, arenaBytes: DEVICE_VECTOR.arenaBytes });
}
const seals = vector(66_000, 8);
const splits = vector(2048);
const device = vector(9000);
const gathered = new Uint8Array(4 << 20);

/** The datagrams of a sealed row. */
function datagrams(rows: PacketVector, row: number): string[] {
  const sealed = rows.packet(row);
  const step = rows.segments[row] > 1 ? rows.segmentBytes[row] : sealed.length;
  const parts: string[] = [];
  for (let at = 0; at < sealed.length; at += step) parts.push(hex(sealed.subarray(at, at + step)));
  return parts;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function appendSuper(rows: PacketVector, packet: Uint8Array, segments: number, segmentBytes: number): number {
  const row = rows.appendCopy(packet);
  rows.fate[row] = FATE_SEAL;
  rows.segments[row] = segments;
  rows.segmentBytes[row] = segmentBytes;
  return row;
}

/** The packets that a super-packet stands for, by the portable splitter; undefined when it refuses. */
function split(packet: Uint8Array, segments: number, segmentBytes: number): Uint8Array[] | undefined {
  splits.reset();
  const row = splits.append();
  // It is larger than a row: it lies in the arena, as the device would have put it.
  splits.offset[row] = splits.capacity * splits.strideBytes;
  splits.bytes.set(packet, splits.offset[row]);
  splits.length[row] = packet.length;
  splits.segments[row] = segments;
  splits.segmentBytes[row] = segmentBytes;
  if (!splitSuperPacket(splits, row)) return undefined;
  return Array.from({ length: splits.count - 1 }, (_, index) => splits.packet(index + 1).slice());
}

const innerArbitrary = fc.record({
  version: fc.constantFrom(4 as const, 6 as const),
  protocol: fc.constantFrom('tcp' as const, 'udp' as const),
  id: fc.integer({ min: 0, max: 0xffff }),
  sequence: fc.integer({ min: 0, max: 0xffffffff }),
  flags: fc.constantFrom(ACK, ACK | PSH, ACK | PSH | FIN, ACK | CWR, ACK | ECE | CWR | PSH),
  mayFragment: fc.boolean(),
  options: fc.constantFrom(new Uint8Array(0), pattern(12), pattern(40)),
  ipOptions: fc.constantFrom(new Uint8Array(0), Uint8Array.of(1, 1, 1, 0), pattern(40)),
  tos: fc.integer({ min: 0, max: 255 }),
});

describe('sealing super-packets', () => {
  const native = nativeBackend();
  const portable = nodeAeadBackend();
  const nativeKey = native.installKey(KEY);
  const nativeKeys = { short: nativeKey, epoch: native.installKey(EPOCH_KEY) };
  const portableKeys = { short: portable.installKey(KEY), epoch: portable.installKey(EPOCH_KEY) };

  function sealNative(
    packet: Uint8Array,
    segments: number,
    segmentBytes: number,
    layout: 'short' | 'epoch' = 'short',
  ): string[] | undefined {
    seals.reset();
    const row = appendSuper(seals, packet, segments, segmentBytes);
    seals.key[row] = nativeKeys[layout];
    [seals.packetIdHigh[row], seals.packetIdLow[row]] = FIRST_IDS[layout];
    native.sealBatch(seals);
    return seals.fate[row] === FATE_TO_LINK ? datagrams(seals, row) : undefined;
  }

  /** The parts one by one, under ids that count on. */
  function sealPortable(parts: readonly Uint8Array[], layout: 'short' | 'epoch' = 'short'): string[] {
    return parts.map((part, index) => {
      seals.reset();
      const row = seals.appendCopy(part);
      seals.fate[row] = FATE_SEAL;
      seals.key[row] = portableKeys[layout];
      const [high, low] = FIRST_IDS[layout];
      seals.packetIdHigh[row] = high + Math.floor((low + index) / 0x1_0000_0000);
      seals.packetIdLow[row] = low + index;
      portable.sealBatch(seals);
      return hex(seals.packet(row));
    });
  }

  it('gives the bytes of the portable splitter and the portable backend', () => {
    fc.assert(
      fc.property(
        innerArbitrary,
        fc.integer({ min: 100, max: 1460 }),
        fc.integer({ min: 101, max: 60_000 }),
        fc.constantFrom('short' as const, 'epoch' as const),
        (inner, step, length, layout) => {
          const packet = innerPacket({ ...inner, payload: pattern(length, step) });
          const segments = Math.ceil(length / step);
          const parts = split(packet, segments, step);
          if (segments < 2 || segments > splits.capacity - 1) {
            expect(parts).toBeUndefined();
            if (segments < 2) return;
          }
          if (parts === undefined) return;
          expect(sealNative(packet, segments, step, layout)).toEqual(sealPortable(parts, layout));
        },
      ),
      { seed: 1, numRuns: 100 },
    );
  });

  it('each packet is valid: checksums, lengths, ids, sequence numbers, flags', () => {
    const packet = innerPacket({
      version: 4,
      protocol: 'tcp',
      payload: pattern(3000),
      id: 0xfffe,
      sequence: 0xfffffff0,
      flags: ACK | PSH | FIN | CWR,
    });
    const parts = split(packet, 3, 1448) ?? [];
    expect(parts.map((part) => part.length)).toEqual([1488, 1488, 144]);
    for (const part of parts) {
      const before = part.slice();
      fillChecksums(part);
      expect(part).toEqual(before);
    }
    const views = parts.map((part) => new DataView(part.buffer));
    expect(views.map((view) => view.getUint16(4))).toEqual([0xfffe, 0xffff, 0]);
    expect(views.map((view) => view.getUint32(24))).toEqual([0xfffffff0, 0x598, 0xb40]);
    expect(parts.map((part) => part[33])).toEqual([ACK | CWR, ACK, ACK | PSH | FIN]);
  });

  it('a UDP checksum that comes out as zero is written as 0xffff', () => {
    const payload = new Uint8Array(200);
    const first = innerPacket({ version: 4, protocol: 'udp', payload: payload.subarray(0, 100) });
    // The two bytes that make the sum of the first datagram all ones.
    payload.set([first[26], first[27]], 0);
    const packet = innerPacket({ version: 4, protocol: 'udp', payload });
    const parts = split(packet, 2, 100) ?? [];
    expect(hex(parts[0].subarray(26, 28))).toBe('ffff');
    expect(sealNative(packet, 2, 100)).toEqual(sealPortable(parts));
  });

  it('refuses what is no such super-packet: counts, fragments, cut headers, other protocols, routing headers', () => {
    const base: Inner = { version: 4, protocol: 'tcp', payload: pattern(2000) };
    const good = innerPacket(base);
    const change = (edit: (packet: Uint8Array) => void, of = good): Uint8Array => {
      const packet = of.slice();
      edit(packet);
      return packet;
    };
    const udp = innerPacket({ ...base, protocol: 'udp' });
    const v6 = innerPacket({ ...base, version: 6 });
    const routed = new Uint8Array(v6.length + 8);
    routed.set(v6.subarray(0, 40));
    routed.set([6, 0, 0, 1], 40);
    routed[6] = 43;
    new DataView(routed.buffer).setUint16(4, routed.length - 40);
    routed.set(v6.subarray(40), 48);
    const cases: [packet: Uint8Array, segments: number, segmentBytes: number][] = [
      [good, 3, 1000],
      [good, 2, 0],
      [change((p) => (p[6] |= 0x20)), 2, 1000],
      [change((p) => (p[7] = 1)), 2, 1000],
      [change((p) => (p[9] = 47)), 2, 1000],
      [change((p) => (p[0] = 0x43)), 2, 1000],
      [change((p) => (p[0] = 0x55)), 2, 1000],
      [change((p) => (p[3] -= 1)), 2, 1000],
      // With the count that a header of 16 bytes would make right.
      [change((p) => (p[32] = 0x40)), 3, 1000],
      [change((p) => (p[25] -= 1), udp), 2, 1000],
      [change((p) => (p[6] = 60), v6), 2, 1000],
      [routed, 2, 1000],
      [good.subarray(0, 30), 2, 5],
    ];
    for (const [packet, segments, segmentBytes] of cases) {
      expect(split(packet, segments, segmentBytes)).toBeUndefined();
      expect(sealNative(packet, segments, segmentBytes)).toBeUndefined();
    }
    expect(split(good, 2, 1000)).toHaveLength(2);
    expect(sealNative(good, 2, 1000)).toHaveLength(2);
  });

  it('drops a super-packet for which the arena has no room, or that has no ids left', () => {
    const rows = new PacketVector({ capacity: 2, headroom: 98, packetBytes: 3000, tailroom: 0, arenaBytes: 2100 });
    const packet = innerPacket({ version: 4, protocol: 'tcp', payload: pattern(2000) });
    for (const id of [1, 2]) {
      const row = appendSuper(rows, packet, 2, 1000);
      rows.key[row] = nativeKey;
      rows.packetIdLow[row] = id;
    }
    native.sealBatch(rows);
    expect([...rows.fate]).toEqual([FATE_DROPPED, FATE_DROPPED]);
    seals.reset();
    const row = appendSuper(seals, packet, 2, 1000);
    seals.key[row] = nativeKey;
    seals.packetIdLow[row] = 0xffffffff;
    const last = appendSuper(seals, packet, 2, 1000);
    seals.key[last] = nativeKeys.epoch;
    seals.packetIdHigh[last] = 0x0002_ffff;
    seals.packetIdLow[last] = 0xffffffff;
    native.sealBatch(seals);
    expect([seals.fate[row], seals.fate[last]]).toEqual([FATE_DROPPED, FATE_DROPPED]);
  });

  it('does not write a tag over what was sealed behind it', () => {
    // The device puts packets one behind the other: a super-packet, and a plain one that gets its tag at the end of what is used.
    const rows = vector(2048);
    const arena = rows.capacity * rows.strideBytes;
    const large = innerPacket({ version: 4, protocol: 'tcp', payload: pattern(2000) });
    const small = innerPacket({ version: 4, protocol: 'udp', payload: pattern(1400) });
    for (const [packet, at] of [
      [large, arena + 98],
      [small, arena + 2496],
    ] as const) {
      const row = rows.append();
      rows.offset[row] = at;
      rows.length[row] = packet.length;
      rows.bytes.set(packet, at);
      rows.fate[row] = FATE_SEAL;
      rows.key[row] = nativeKeys.epoch;
      [rows.packetIdHigh[row], rows.packetIdLow[row]] = FIRST_IDS.epoch;
    }
    rows.segments[0] = 2;
    rows.segmentBytes[0] = 1000;
    native.sealBatch(rows);
    expect(datagrams(rows, 0)).toEqual(sealNative(large, 2, 1000, 'epoch'));
  });
});

interface Written {
  readonly packet: Uint8Array;
  readonly needsChecksum: boolean;
  readonly segmentBytes: number;
}

/** What would be written to the device for these packets. */
function gather(packets: readonly Uint8Array[], udp = true): Written[] {
  device.reset();
  for (const packet of packets) {
    const row = device.appendCopy(packet);
    device.fate[row] = FATE_TO_DEVICE;
  }
  const used = nativeAddon().tunGather(registeredVector(device), device.count, udp, gathered);
  const view = new DataView(gathered.buffer);
  const writes: Written[] = [];
  for (let at = 0; at < used; ) {
    const length = view.getUint32(at, true);
    writes.push({
      packet: gathered.slice(at + 4 + VNET_BYTES, at + 4 + VNET_BYTES + length),
      needsChecksum: (gathered[at + 4] & NEEDS_CSUM) !== 0,
      segmentBytes: view.getUint16(at + 4 + 4, true),
    });
    at += 4 + VNET_BYTES + length;
  }
  return writes;
}

/** What a kernel makes of it. */
function unfold(writes: readonly Written[]): Uint8Array[] {
  return writes.flatMap(({ packet, segmentBytes }) => {
    if (segmentBytes === 0) return [packet];
    const isV4 = packet[0] >> 4 === 4;
    const transport = isV4 ? 20 : 40;
    const header = transport + ((isV4 ? packet[9] : packet[6]) === 6 ? (packet[transport + 12] >> 4) * 4 : 8);
    const parts = split(packet, Math.ceil((packet.length - header) / segmentBytes), segmentBytes);
    if (parts === undefined) throw new Error('a super-packet that cannot be split');
    return parts;
  });
}

/** A flow of packets as a sender with segmentation would produce it. */
function flow(base: Omit<Inner, 'payload'>, sizes: readonly number[]): Uint8Array[] {
  let sequence = base.sequence ?? 1;
  return sizes.map((size, index) => {
    const packet = innerPacket({
      ...base,
      id: ((base.id ?? 0) + index) & 0xffff,
      sequence,
      payload: pattern(size, index),
    });
    sequence = (sequence + size) % 2 ** 32;
    return packet;
  });
}

describe('gathering packets for the device', () => {
  it('what was gathered and split again is what it was, flow by flow', () => {
    const packets = fc
      .array(
        fc.record({
          inner: fc.record({
            version: fc.constantFrom(4 as const, 6 as const),
            protocol: fc.constantFrom('tcp' as const, 'udp' as const),
            mayFragment: fc.boolean(),
            sourcePort: fc.integer({ min: 1, max: 4 }),
            id: fc.integer({ min: 0, max: 0xffff }),
            sequence: fc.integer({ min: 0, max: 0xffffffff }),
            flags: fc.constantFrom(ACK, ACK, ACK | PSH, ACK | FIN, ACK | ECE),
            options: fc.constantFrom(new Uint8Array(0), pattern(12)),
            ipOptions: fc.constantFrom(new Uint8Array(0), new Uint8Array(0), Uint8Array.of(1, 1, 1, 0)),
          }),
          sizes: fc.array(fc.constantFrom(0, 1, 100, 1000, 1000, 1000, 1448, 1448), { maxLength: 30 }),
          damaged: fc.boolean(),
        }),
        { maxLength: 8 },
      )
      .chain((flows) => {
        const all = flows.flatMap(({ inner, sizes, damaged }) => {
          const made = flow(inner, sizes);
          const hit = made[made.length >> 1];
          if (damaged && hit !== undefined) hit[hit.length - 1] ^= 0xff;
          return made;
        });
        // Mostly in order; now and then two change places.
        return fc.array(fc.nat(Math.max(0, all.length - 2)), { maxLength: 4 }).map((swaps) => {
          for (const at of swaps) if (at + 1 < all.length) [all[at], all[at + 1]] = [all[at + 1], all[at]];
          return all.slice(0, device.capacity);
        });
      });
    fc.assert(
      fc.property(packets, fc.boolean(), (sent, udp) => {
        const received = unfold(gather(sent, udp));
        const byFlow = (list: readonly Uint8Array[]): Map<string, string[]> => {
          const flows = new Map<string, string[]>();
          for (const packet of list) {
            const transport = packet[0] >> 4 === 4 ? (packet[0] & 15) * 4 : 40;
            const protocol = packet[0] >> 4 === 4 ? packet[9] : packet[6];
            const name = `${packet[0] >> 4}/${protocol}/${packet[transport + 1]}`;
            flows.set(name, [...(flows.get(name) ?? []), hex(withoutAtomicId(packet))]);
          }
          return flows;
        };
        expect(byFlow(received)).toEqual(byFlow(sent));
      }),
      { seed: 1, numRuns: 150 },
    );
  });

  const base = { version: 4, protocol: 'tcp' } as const;
  const lengths = (writes: readonly Written[]): number[] => writes.map(({ packet }) => packet.length);

  it('joins what belongs together, and says so to the kernel', () => {
    const writes = gather(flow({ ...base, options: pattern(12) }, [1448, 1448, 1448, 700]));
    expect(lengths(writes)).toEqual([52 + 3 * 1448 + 700]);
    expect(writes[0]).toMatchObject({ needsChecksum: true, segmentBytes: 1448 });
    // What stands in the checksum field is the sum of the pseudo-header, which the kernel goes on from.
    const [first] = unfold(writes);
    const again = first.slice();
    fillChecksums(again);
    expect(first).toEqual(again);
  });

  it('stops at a short segment, at PSH, at 65000 bytes', () => {
    expect(lengths(gather(flow(base, [1000, 500, 1000, 1000])))).toEqual([1540, 2040]);
    const pushed = [
      ...flow(base, [1000, 1000]),
      ...flow({ ...base, id: 2, sequence: 2001, flags: ACK | PSH }, [1000]),
      ...flow({ ...base, id: 3, sequence: 3001 }, [1000, 1000]),
    ];
    expect(lengths(gather(pushed))).toEqual([3040, 2040]);
    expect(gather(pushed)[0].packet[33]).toBe(ACK | PSH);
    expect(lengths(gather(flow(base, new Array(60).fill(1448))))).toEqual([40 + 44 * 1448, 40 + 16 * 1448]);
    expect(lengths(gather(flow(base, new Array(70).fill(10))))).toEqual([40 + 640, 40 + 60]);
  });

  it('joins nothing whose headers differ', () => {
    const second = { ...base, id: 1, sequence: 1001 };
    const differing: Partial<Inner>[] = [
      { sequence: 1002 },
      { acknowledgement: 78 },
      { window: 501 },
      { tos: 1 },
      { ttl: 63 },
      { flags: ACK | ECE },
      { flags: ACK | CWR },
      { flags: ACK | FIN },
      { urgent: 1 },
      { options: pattern(12) },
      { ipOptions: Uint8Array.of(1, 1, 1, 0) },
      { mayFragment: true },
      { sourcePort: 40_001 },
    ];
    for (const difference of differing) {
      const packets = [...flow(base, [1000]), innerPacket({ ...second, payload: pattern(1000), ...difference })];
      expect(gather(packets), JSON.stringify(difference)).toHaveLength(2);
    }
    expect(gather([...flow(base, [1000]), innerPacket({ ...second, payload: pattern(1000) })])).toHaveLength(1);
    // Time stamps: the same length, another value.
    for (const [options, count] of [
      [pattern(12), 1],
      [pattern(12, 2), 2],
    ] as const) {
      const stamped = flow({ ...base, options: pattern(12) }, [1000]);
      const packets = [...stamped, innerPacket({ ...second, options, payload: pattern(1000) })];
      expect(gather(packets)).toHaveLength(count);
    }
  });

  it('joins nothing whose checksum is wrong, in either place', () => {
    for (const at of [0, 1]) {
      for (const byte of [8, 36, 45]) {
        const packets = flow(base, [1000, 1000]);
        packets[at][byte] ^= 1;
        // A changed time to live differs anyway; both then.
        if (byte === 8) packets[1 - at][byte] ^= 1;
        expect(unfold(gather(packets))).toEqual(packets);
        expect(gather(packets)).toHaveLength(2);
      }
    }
  });

  it('joins datagrams only where the kernel takes them, and none without a checksum', () => {
    const datagrams = flow({ version: 6, protocol: 'udp' }, [1000, 1000, 1000]);
    expect(gather(datagrams)).toHaveLength(1);
    expect(gather(datagrams, false)).toHaveLength(3);
    const bare = flow({ version: 4, protocol: 'udp' }, [1000, 1000]);
    for (const packet of bare) packet.set([0, 0], 26);
    expect(gather(bare)).toHaveLength(2);
  });

  it('where a router may fragment, ids that do not count along are kept', () => {
    const packets = flow({ ...base, mayFragment: true }, [1000, 1000, 1000]);
    expect(gather(packets)).toHaveLength(1);
    new DataView(packets[1].buffer).setUint16(4, 99);
    fillChecksums(packets[1]);
    expect(gather(packets)).toHaveLength(3);
  });

  it('lets no packet of a flow pass one before it, whatever stands between', () => {
    const data = flow(base, [1000, 1000, 1000]);
    const acknowledgement = innerPacket({ ...base, payload: new Uint8Array(0), sequence: 1001 });
    const fragment = innerPacket({ version: 4, protocol: 'udp', payload: pattern(100) });
    fragment[6] = 0x20;
    for (const between of [acknowledgement, fragment]) {
      expect(lengths(gather([data[0], between, data[1], data[2]]))).toEqual([1040, between.length, 2040]);
    }
    // Another flow does not disturb it.
    const other = flow({ ...base, sourcePort: 9 }, [500, 500]);
    expect(lengths(gather([data[0], other[0], data[1], other[1], data[2]]))).toEqual([3040, 1040]);
  });

  it('survives any bytes', () => {
    const start = fc.constantFrom([0x45], [0x60], [0x4f], [0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6], []);
    const packet = fc
      .tuple(start, fc.uint8Array({ maxLength: 200 }))
      .map(([head, rest]) => Uint8Array.from([...head, ...rest]))
      .filter((bytes) => bytes.length > 0);
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 20 }), (packets) => {
        expect(gather(packets).map((write) => hex(write.packet))).toEqual(packets.map((one) => hex(one)));
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});

/** Where nobody may fragment, the id says nothing (RFC 6864), and a split counts it along. */
function withoutAtomicId(packet: Uint8Array): Uint8Array {
  if (packet[0] >> 4 !== 4 || (packet[6] & 0x40) === 0) return packet;
  const copy = packet.slice();
  copy.fill(0, 4, 6);
  copy.fill(0, 10, 12);
  return copy;
}
