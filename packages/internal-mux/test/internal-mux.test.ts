import {
  INTERNAL_DROP_CODES,
  type InternalDropCode,
  InternalMux,
  type InternalMuxOptions,
  OuterTransport,
  type Prefix,
  parseInnerAddress,
  parsePrefix,
} from '@openvpnd/internal-mux';
import {
  ChangeCount,
  FATE_DROPPED,
  FATE_INNER,
  FATE_SEAL,
  FATE_TO_DEVICE,
  NO_SLOT,
  PacketVector,
} from '@openvpnd/memory';
import { innerUdp } from '@openvpnd/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

function prefix(text: string): Prefix {
  const result = parsePrefix(text);
  if (result === undefined) throw new Error(text);
  return result;
}

function packet(source: string, destination: string, payload = 20): Uint8Array {
  const [from, to] = [source, destination].map((text) => [...(parseInnerAddress(text) ?? [])]);
  return innerUdp({ source: from, destination: to, payload: new Uint8Array(payload) });
}

/** Two clients: slot 1 with 10.8.0.2, fd00::2 and the network 192.168.1.0/24 behind it; slot 5 with 10.8.0.3, fd00::3. */
function makeMux(options: Partial<InternalMuxOptions> = {}): InternalMux {
  const mux = new InternalMux({ role: 'server', ...options });
  for (const text of ['10.8.0.2', 'fd00::2', '192.168.1.0/24']) expect(mux.addRoute(1, prefix(text))).toBe('added');
  for (const text of ['10.8.0.3', 'fd00::3']) expect(mux.addRoute(5, prefix(text))).toBe('added');
  return mux;
}

function vectorOf(packets: readonly Uint8Array[], slot: number, capacity = packets.length): PacketVector {
  const vector = new PacketVector({ capacity: Math.max(1, capacity), headroom: 32, packetBytes: 2000, tailroom: 0 });
  for (const bytes of packets) {
    const row = vector.appendCopy(bytes);
    vector.fate[row] = FATE_INNER;
    vector.slot[row] = slot;
  }
  return vector;
}

/** What becomes of one packet: fate and slot, or the code under which it was dropped. */
function fateOf(mux: InternalMux, bytes: Uint8Array, slot = NO_SLOT): [number, number] | InternalDropCode {
  const before = mux.dropCounts();
  const vector = vectorOf([bytes], slot);
  if (slot === NO_SLOT) mux.routeBatch(vector);
  else mux.checkBatch(vector);
  const after = mux.dropCounts();
  const counted = INTERNAL_DROP_CODES.filter((code) => after[code] !== before[code]);
  if (vector.fate[0] === FATE_DROPPED) {
    expect(counted).toHaveLength(1);
    return counted[0];
  }
  return [vector.fate[0], vector.slot[0]];
}

describe('InternalMux: a client whose tunnel is routed into itself', () => {
  const outer = (address: string, protocol: 'udp' | 'tcp' = 'udp', port = 1194): OuterTransport =>
    new OuterTransport({ address: parseInnerAddress(address) ?? new Uint8Array(4), protocol, port });
  const toPort = (destination: string, destinationPort: number): Uint8Array => {
    const bytes = packet(destination.includes(':') ? 'fd00::2' : '10.8.0.2', destination);
    new DataView(bytes.buffer).setUint16(destination.includes(':') ? 42 : 22, destinationPort);
    return bytes;
  };

  it.each(['192.0.2.1', '2001:db8::1'])('drops packets of the transport to %s, and nothing else', (server) => {
    const mux = new InternalMux({ role: 'client' });
    expect(fateOf(mux, toPort(server, 1194))).toEqual([FATE_SEAL, 0]);
    mux.guard(outer(server));
    expect(fateOf(mux, toPort(server, 1194))).toBe('recursive');
    expect(mux.dropCount('recursive')).toBe(1);
    // Another port, protocol or address on that machine or another is somebody's traffic.
    expect(fateOf(mux, toPort(server, 53))).toEqual([FATE_SEAL, 0]);
    expect(fateOf(mux, toPort(server === '192.0.2.1' ? '192.0.2.2' : '2001:db8::2', 1194))).toEqual([FATE_SEAL, 0]);
    mux.guard(outer(server, 'tcp'));
    expect(fateOf(mux, toPort(server, 1194))).toEqual([FATE_SEAL, 0]);
    mux.guard(outer(server.includes(':') ? '192.0.2.1' : '2001:db8::1'));
    expect(fateOf(mux, toPort(server, 1194))).toEqual([FATE_SEAL, 0]);
    mux.guard(undefined);
    expect(fateOf(mux, toPort(server, 1194))).toEqual([FATE_SEAL, 0]);
  });

  it('lets later fragments and packets without a port pass', () => {
    const mux = new InternalMux({ role: 'client' });
    mux.guard(outer('192.0.2.1'));
    const fragment = toPort('192.0.2.1', 1194);
    fragment[7] = 5;
    expect(fateOf(mux, fragment)).toEqual([FATE_SEAL, 0]);
    const short = toPort('192.0.2.1', 1194).slice(0, 22);
    new DataView(short.buffer).setUint16(2, 22);
    expect(fateOf(mux, short)).toEqual([FATE_SEAL, 0]);
  });
});

describe('InternalMux: from the device', () => {
  it('finds the peer by the longest route', () => {
    const mux = makeMux();
    expect(fateOf(mux, packet('10.8.0.1', '10.8.0.2'))).toEqual([FATE_SEAL, 1]);
    expect(fateOf(mux, packet('10.8.0.1', '10.8.0.3'))).toEqual([FATE_SEAL, 5]);
    expect(fateOf(mux, packet('10.8.0.1', '192.168.1.77'))).toEqual([FATE_SEAL, 1]);
    expect(fateOf(mux, packet('fd00::1', 'fd00::3'))).toEqual([FATE_SEAL, 5]);
    mux.addRoute(5, prefix('192.168.1.64/26'));
    expect(fateOf(mux, packet('10.8.0.1', '192.168.1.77'))).toEqual([FATE_SEAL, 5]);
  });

  it('drops what is routed to nobody', () => {
    const mux = makeMux();
    expect(fateOf(mux, packet('10.8.0.1', '10.8.0.4'))).toBe('no-route');
    expect(fateOf(mux, packet('fd00::1', 'fd00::4'))).toBe('no-route');
    expect(fateOf(mux, packet('10.8.0.1', '192.168.2.77'))).toBe('no-route');
  });

  it.each(['224.0.0.251', '255.255.255.255', 'ff02::fb'])('gives each peer what is for %s', (destination) => {
    const mux = makeMux();
    mux.addRoute(9, prefix('10.8.0.9'));
    const bytes = packet(destination.includes(':') ? 'fd00::1' : '10.8.0.1', destination);
    const tx = vectorOf([bytes], NO_SLOT, 8);
    mux.routeBatch(tx);
    expect(tx.count).toBe(3);
    expect([...tx.slot.subarray(0, 3)].sort((a, b) => a - b)).toEqual([1, 5, 9]);
    for (let row = 0; row < 3; row += 1) {
      expect(tx.fate[row]).toBe(FATE_SEAL);
      expect(tx.packet(row)).toEqual(bytes);
    }
    expect(mux.dropCounts().copy).toBe(0);
  });

  it('copies as far as there is room, counts the rest, and begins with others next time', () => {
    const mux = makeMux();
    for (const slot of [6, 7, 8]) mux.addRoute(slot, prefix(`10.8.0.${slot}`));
    const served = new Map<number, number>();
    for (let round = 0; round < 10; round += 1) {
      const tx = vectorOf([packet('10.8.0.1', '224.0.0.251')], NO_SLOT, 2);
      mux.routeBatch(tx);
      expect(mux.dropCounts().copy).toBe(3 * (round + 1));
      for (let row = 0; row < tx.count; row += 1) served.set(tx.slot[row], (served.get(tx.slot[row]) ?? 0) + 1);
    }
    expect(served).toEqual(
      new Map([
        [1, 4],
        [5, 4],
        [6, 4],
        [7, 4],
        [8, 4],
      ]),
    );
  });

  it('has nobody to give it to without peers', () => {
    expect(fateOf(new InternalMux({ role: 'server' }), packet('10.8.0.1', '224.0.0.251'))).toBe('no-route');
  });
});

describe('InternalMux: from a peer', () => {
  it('lets through what is from its own addresses and networks', () => {
    const mux = makeMux();
    for (const source of ['10.8.0.2', '192.168.1.5'])
      expect(fateOf(mux, packet(source, '10.8.0.1'), 1)).toEqual([FATE_TO_DEVICE, 1]);
    expect(fateOf(mux, packet('fd00::2', 'fd00::1'), 1)).toEqual([FATE_TO_DEVICE, 1]);
  });

  it('keeps out what is from another’s, the server’s or nobody’s', () => {
    const mux = makeMux({ clientToClient: true });
    for (const source of ['10.8.0.3', '10.8.0.1', '192.168.2.5', '127.0.0.1', '0.0.0.0', '224.0.0.1']) {
      expect(fateOf(mux, packet(source, '10.8.0.1'), 1)).toBe('source');
    }
    expect(fateOf(mux, packet('fd00::3', 'fd00::1'), 1)).toBe('source');
    expect(fateOf(mux, packet('10.8.0.2', '10.8.0.1'), 5)).toBe('source');
    expect(fateOf(mux, packet('10.8.0.2', '10.8.0.1'), 77)).toBe('source');
  });

  it('drops what systems send unasked, under a count of its own', () => {
    const mux = makeMux();
    expect(fateOf(mux, packet('fe80::1', 'ff02::2'), 1)).toBe('unrouted-source');
    expect(fateOf(mux, packet('febf:ffff::1', 'ff02::2'), 1)).toBe('unrouted-source');
    expect(fateOf(mux, packet('::', 'ff02::1:ff00:2'), 1)).toBe('unrouted-source');
    expect(fateOf(mux, packet('fec0::1', 'ff02::2'), 1)).toBe('source');
    expect(fateOf(mux, packet('::1', 'ff02::2'), 1)).toBe('source');
  });

  it('turns packets between peers round only when told', () => {
    expect(fateOf(makeMux(), packet('10.8.0.2', '10.8.0.3'), 1)).toEqual([FATE_TO_DEVICE, 1]);
    const mux = makeMux({ clientToClient: true });
    expect(fateOf(mux, packet('10.8.0.2', '10.8.0.3'), 1)).toEqual([FATE_SEAL, 5]);
    expect(fateOf(mux, packet('fd00::3', 'fd00::2'), 5)).toEqual([FATE_SEAL, 1]);
    expect(fateOf(mux, packet('10.8.0.2', '198.51.100.1'), 1)).toEqual([FATE_TO_DEVICE, 1]);
  });

  it('gives what is for many to the device and every other peer', () => {
    const mux = makeMux({ clientToClient: true });
    mux.addRoute(9, prefix('10.8.0.9'));
    const bytes = packet('10.8.0.2', '224.0.0.251');
    const rx = vectorOf([bytes], 1, 8);
    mux.checkBatch(rx);
    expect([...rx.fate.subarray(0, rx.count)]).toEqual([FATE_TO_DEVICE, FATE_SEAL, FATE_SEAL]);
    expect([...rx.slot.subarray(0, rx.count)].sort((a, b) => a - b)).toEqual([1, 5, 9]);
    expect(rx.packet(2)).toEqual(bytes);
    const quiet = vectorOf([bytes], 1, 8);
    makeMux().checkBatch(quiet);
    expect([quiet.count, quiet.fate[0]]).toEqual([1, FATE_TO_DEVICE]);
  });
});

describe('InternalMux: nonsense', () => {
  it.each([
    ['nothing', new Uint8Array(0)],
    ['one byte', Uint8Array.of(0x45)],
    ['version 5', packet('10.8.0.2', '10.8.0.1').map((byte, index) => (index === 0 ? 0x55 : byte))],
    ['a short IPv4 header', packet('10.8.0.2', '10.8.0.1').subarray(0, 19)],
    ['a header length of 16', packet('10.8.0.2', '10.8.0.1').map((byte, index) => (index === 0 ? 0x44 : byte))],
    [
      'a header longer than the packet',
      packet('10.8.0.2', '10.8.0.1').map((byte, index) => (index === 0 ? 0x4f : index === 3 ? 50 : byte)),
    ],
    ['an IPv4 packet that is cut', packet('10.8.0.2', '10.8.0.1').subarray(0, 47)],
    ['a short IPv6 header', packet('fd00::2', 'fd00::1').subarray(0, 39)],
    ['an IPv6 packet that is cut', packet('fd00::2', 'fd00::1').subarray(0, 67)],
    ['a jumbogram', packet('fd00::2', 'fd00::1').map((byte, index) => (index >= 4 && index <= 6 ? 0 : byte))],
  ])('drops %s', (_name, bytes) => {
    const mux = makeMux();
    expect(fateOf(mux, bytes)).toBe('malformed');
    expect(fateOf(mux, bytes, 1)).toBe('malformed');
    expect(fateOf(new InternalMux({ role: 'client' }), bytes)).toBe('malformed');
    expect(fateOf(new InternalMux({ role: 'client' }), bytes, 0)).toBe('malformed');
  });

  it('tolerates bytes behind the packet', () => {
    expect(fateOf(makeMux(), Uint8Array.of(...packet('10.8.0.2', '10.8.0.1'), 0, 0), 1)).toEqual([FATE_TO_DEVICE, 1]);
    expect(fateOf(makeMux(), Uint8Array.of(...packet('fd00::2', 'fd00::1'), 0, 0), 1)).toEqual([FATE_TO_DEVICE, 1]);
  });

  it('leaves rows of other fates alone', () => {
    const mux = makeMux();
    const vector = vectorOf([packet('10.8.0.9', '10.8.0.9')], 1);
    vector.fate[0] = FATE_SEAL;
    mux.checkBatch(vector);
    mux.routeBatch(vector);
    expect(vector.fate[0]).toBe(FATE_SEAL);
  });

  it('never throws, and lets no foreign source through', () => {
    const mux = makeMux({ clientToClient: true });
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 0, maxLength: 60 }),
        fc.constantFrom(0x45, 0x60, undefined),
        (bytes, first) => {
          if (first !== undefined && bytes.length > 0) bytes[0] = first;
          const rx = vectorOf([bytes], 1, 4);
          mux.checkBatch(rx);
          if (rx.fate[0] === FATE_DROPPED) return;
          const source = bytes[0] >> 4 === 4 ? bytes.slice(12, 16) : bytes.slice(8, 24);
          expect(mux.lookup(source)).toBe(1);
        },
      ),
      { seed: 1, numRuns: 1000 },
    );
  });
});

describe('InternalMux: client', () => {
  it('sends and takes everything', () => {
    const mux = new InternalMux({ role: 'client' });
    for (const bytes of [packet('10.8.0.2', '198.51.100.1'), packet('fe80::1', 'ff02::2')]) {
      expect(fateOf(mux, bytes)).toEqual([FATE_SEAL, 0]);
      expect(fateOf(mux, bytes, 0)).toEqual([FATE_TO_DEVICE, 0]);
    }
  });
});

describe('InternalMux: routes', () => {
  it('gives a route to the newest', () => {
    const mux = makeMux();
    expect(mux.addRoute(5, prefix('10.8.0.2'))).toBe('replaced');
    expect(mux.addRoute(5, prefix('10.8.0.2'))).toBe('added');
    expect(fateOf(mux, packet('10.8.0.1', '10.8.0.2'))).toEqual([FATE_SEAL, 5]);
    expect(fateOf(mux, packet('10.8.0.2', '10.8.0.1'), 1)).toBe('source');
    expect(mux.removeRoutes(1)).toBe(2);
    expect(mux.lookup(Uint8Array.of(10, 8, 0, 2))).toBe(5);
  });

  it('forgets all routes of a peer, and only its own', () => {
    const mux = makeMux();
    expect(mux.routeCount).toBe(5);
    expect(mux.removeRoutes(1)).toBe(3);
    expect(mux.removeRoutes(1)).toBe(0);
    expect(mux.routeCount).toBe(2);
    expect(fateOf(mux, packet('10.8.0.1', '192.168.1.7'))).toBe('no-route');
    expect(fateOf(mux, packet('10.8.0.1', '10.8.0.3'))).toEqual([FATE_SEAL, 5]);
    const tx = vectorOf([packet('10.8.0.1', '224.0.0.1')], NO_SLOT, 4);
    mux.routeBatch(tx);
    expect([...tx.slot.subarray(0, tx.count)]).toEqual([5]);
  });

  it('takes one route away, from its owner alone', () => {
    const mux = makeMux();
    expect(mux.removeRoute(5, prefix('10.8.0.2'))).toBe(false);
    expect(mux.removeRoute(5, prefix('10.8.0.3'))).toBe(true);
    expect(mux.removeRoute(5, prefix('fd00::3'))).toBe(true);
    expect(mux.routesOf(5)).toEqual([]);
    expect(mux.routesOf(1)).toHaveLength(3);
  });

  it('holds each peer and all together to their number', () => {
    const mux = new InternalMux({ role: 'server', maxRoutesPerPeer: 3, maxRoutes: 5 });
    const results = Array.from({ length: 4 }, (_, index) => mux.addRoute(1, prefix(`10.1.${index}.0/24`)));
    expect(results).toEqual(['added', 'added', 'added', 'quota']);
    const others = Array.from({ length: 3 }, (_, index) => mux.addRoute(2, prefix(`10.2.${index}.0/24`)));
    expect(others).toEqual(['added', 'added', 'full']);
    expect(mux.addRoute(2, prefix('10.1.0.0/24'))).toBe('replaced');
    expect(mux.routesOf(1)).toHaveLength(2);
  });

  it('holds a peer to 256 by itself', () => {
    const mux = new InternalMux({ role: 'server' });
    let added = 0;
    for (let index = 0; index < 300; index += 1)
      if (mux.addRoute(1, prefix(`10.${index >> 8}.${index & 0xff}.0/24`)) === 'added') added += 1;
    expect(added).toBe(256);
  });

  it('ignores bits behind the length, and copies', () => {
    const mux = new InternalMux({ role: 'server' });
    const address = Uint8Array.of(10, 1, 2, 3);
    mux.addRoute(1, { address, length: 16 });
    address.fill(0);
    expect(mux.lookup(Uint8Array.of(10, 1, 9, 9))).toBe(1);
    expect(mux.removeRoute(1, prefix('10.1.0.0/16'))).toBe(true);
  });
});

describe('InternalMux: cost', () => {
  it('allocates nothing for a packet', () => {
    const mux = makeMux({ clientToClient: true });
    const packets = Array.from({ length: 64 }, (_, index) =>
      packet(index % 2 ? '10.8.0.2' : '192.168.1.9', index % 3 ? '10.8.0.3' : '10.8.0.1'),
    );
    const vector = vectorOf(packets, 1);
    const turn = () => {
      vector.slot.fill(1);
      vector.fate.fill(FATE_INNER);
      mux.checkBatch(vector);
      vector.fate.fill(FATE_INNER);
      mux.routeBatch(vector);
    };
    const growth: number[] = [];
    for (let round = 0; round < 12; round += 1) {
      const before = process.memoryUsage().heapUsed;
      for (let i = 0; i < 160; i += 1) turn();
      growth.push(process.memoryUsage().heapUsed - before);
    }
    // 10 240 packets a round; a small object for each would be 200 kB. The least: compilers and test runners allocate too.
    expect(Math.min(...growth.map(Math.abs))).toBeLessThan(32 * 1024);
  });
});

describe('InternalMux: changes of decisions', () => {
  const guarded = new OuterTransport({ address: Uint8Array.of(192, 0, 2, 1), protocol: 'udp', port: 1194 });
  it.for<[string, (mux: InternalMux) => void]>([
    ['a new route', (mux) => mux.addRoute(1, prefix('10.9.0.0/24'))],
    ['a route that another peer gets', (mux) => mux.addRoute(5, prefix('192.168.1.0/24'))],
    ['a route that is taken away', (mux) => mux.removeRoute(1, prefix('192.168.1.0/24'))],
    ['a peer that loses its routes', (mux) => mux.removeRoutes(5)],
    ['a transport to be kept out', (mux) => mux.guard(guarded)],
  ])('%s is one', ([, change]) => {
    const changes = new ChangeCount();
    const mux = makeMux({ changes });
    const before = changes.word[0];
    change(mux);
    expect(changes.word[0]).toBeGreaterThan(before);
  });

  it('packets, questions and what was so before are none', () => {
    const changes = new ChangeCount();
    const mux = makeMux({ changes });
    const before = changes.word[0];
    fateOf(mux, packet('10.8.0.1', '10.8.0.2'));
    fateOf(mux, packet('10.8.0.2', '10.8.0.1'), 1);
    mux.addRoute(1, prefix('10.8.0.2'));
    mux.removeRoute(5, prefix('10.8.0.2'));
    mux.removeRoutes(7);
    mux.routesOf(1);
    expect(changes.word[0]).toBe(before);
  });

  it('the addresses decide, but for packets to where the tunnel itself goes', () => {
    const mux = new InternalMux({ role: 'client' });
    const decides = (destination: string): boolean =>
      mux.decidesByAddresses(
        vectorOf([packet(destination.includes(':') ? 'fd00::2' : '10.8.0.2', destination)], NO_SLOT),
        0,
      );
    expect(decides('192.0.2.1')).toBe(true);
    mux.guard(guarded);
    expect(decides('192.0.2.1')).toBe(false);
    expect(decides('192.0.2.2')).toBe(true);
    expect(decides('2001:db8::1')).toBe(true);
    expect(mux.decidesByAddresses(vectorOf([Uint8Array.of(1, 2, 3)], NO_SLOT), 0)).toBe(false);
  });
});
