import {
  EXTERNAL_DROP_CODES,
  type ExternalDropCode,
  ExternalMux,
  type ExternalMuxOptions,
  parseLinkAddress,
} from '@openvpnd/external-mux';
import {
  ADDRESS_WORDS,
  ChangeCount,
  FATE_CONSUMED,
  FATE_DROPPED,
  FATE_INNER,
  FATE_OPEN,
  FATE_PUNT,
  FATE_TO_LINK,
  type LinkAddress,
  NO_SLOT,
  PacketVector,
} from '@openvpnd/memory';
import { SeededRandom } from '@openvpnd/testkit';
import {
  firstByte,
  P_ACK_V1,
  P_CONTROL_HARD_RESET_CLIENT_V1,
  P_CONTROL_HARD_RESET_CLIENT_V2,
  P_CONTROL_HARD_RESET_CLIENT_V3,
  P_CONTROL_HARD_RESET_SERVER_V2,
  P_CONTROL_SOFT_RESET_V1,
  P_CONTROL_V1,
  P_CONTROL_WKC_V1,
  P_DATA_V1,
  P_DATA_V2,
} from '@openvpnd/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const UDP = 1;
const TCP = 2;

function at(text: string, link = UDP): LinkAddress {
  const address = parseLinkAddress(text, link);
  if (address === undefined) throw new Error(text);
  return address;
}

const ALICE = at('192.0.2.1:1000');
const BOB = at('[AF_INET6]2001:db8::2:1000');
const MALLORY = at('203.0.113.66:666');

function makeMux(options: Partial<ExternalMuxOptions> = {}): ExternalMux {
  const mux = new ExternalMux({ random: new SeededRandom(1), maxPeers: 8, role: 'server', ...options });
  mux.addPeer(0, ALICE);
  if (options.role !== 'client') mux.addPeer(3, BOB);
  return mux;
}

function dataV2(peerId: number, keyId = 0, bytes = 60): Uint8Array {
  const packet = new Uint8Array(bytes);
  packet.set([firstByte(P_DATA_V2, keyId), peerId >> 16, peerId >> 8, peerId]);
  return packet;
}

function packet(opcode: number, keyId = 0, bytes = 60): Uint8Array {
  const result = new Uint8Array(bytes);
  result[0] = firstByte(opcode, keyId);
  return result;
}

function vectorOf(...rows: readonly (readonly [LinkAddress, Uint8Array])[]): PacketVector {
  const rx = new PacketVector({ capacity: Math.max(1, rows.length), headroom: 32, packetBytes: 2000, tailroom: 0 });
  for (const [address, bytes] of rows) rx.addresses.set(address, rx.appendCopy(bytes) * ADDRESS_WORDS);
  return rx;
}

/** What becomes of one packet: fate and slot, or the code under which it was dropped. */
function classify(mux: ExternalMux, address: LinkAddress, bytes: Uint8Array): [number, number] | ExternalDropCode {
  const before = mux.dropCounts();
  const rx = vectorOf([address, bytes]);
  mux.classifyBatch(0, rx);
  const after = mux.dropCounts();
  const counted = EXTERNAL_DROP_CODES.filter((code) => after[code] !== before[code]);
  if (rx.fate[0] === FATE_DROPPED) {
    expect(counted).toHaveLength(1);
    return counted[0];
  }
  expect(counted).toEqual([]);
  return [rx.fate[0], rx.slot[0]];
}

describe('ExternalMux: data', () => {
  it('finds the peer by the id of P_DATA_V2', () => {
    const mux = makeMux();
    expect(classify(mux, ALICE, dataV2(0))).toEqual([FATE_OPEN, 0]);
    expect(classify(mux, BOB, dataV2(3, 5))).toEqual([FATE_OPEN, 3]);
  });

  it('drops ids that nobody has', () => {
    const mux = makeMux();
    for (const id of [1, 7, 8, 0xfffffe]) expect(classify(mux, ALICE, dataV2(id))).toBe('unknown-peer');
  });

  it('finds the peer by address when the id means none, and in P_DATA_V1', () => {
    const mux = makeMux();
    expect(classify(mux, BOB, dataV2(0xffffff))).toEqual([FATE_OPEN, 3]);
    expect(classify(mux, BOB, packet(P_DATA_V1))).toEqual([FATE_OPEN, 3]);
    expect(classify(mux, MALLORY, dataV2(0xffffff))).toBe('unknown-source');
    expect(classify(mux, MALLORY, packet(P_DATA_V1))).toBe('unknown-source');
  });

  it('tells links apart: the same host and port elsewhere is another source', () => {
    const mux = makeMux();
    expect(classify(mux, at('192.0.2.1:1000', 9), packet(P_DATA_V1))).toBe('unknown-source');
  });

  it('opens a packet of a known id from elsewhere, without moving the peer', () => {
    const mux = makeMux();
    expect(classify(mux, MALLORY, dataV2(0))).toEqual([FATE_OPEN, 0]);
    expect(mux.addressOf(0)).toEqual(ALICE);
    expect(classify(makeMux({ float: false }), MALLORY, dataV2(0))).toBe('other-address');
  });

  it('does not give the data of a UDP client to the TCP client that has its id now', () => {
    const mux = makeMux();
    mux.addStreamLink(TCP);
    expect(mux.addPeer(4, at('192.0.2.9:4000', TCP))).toBe(true);
    expect(classify(mux, MALLORY, dataV2(4))).toBe('other-protocol');
    expect(classify(mux, at('192.0.2.9:4000'), dataV2(4))).toBe('other-protocol');
    expect(classify(mux, at('192.0.2.9:4000', TCP), dataV2(4))).toEqual([FATE_OPEN, 4]);
  });

  it('gives what comes on a stream to the peer of the stream, whatever its id says', () => {
    const mux = makeMux();
    mux.addStreamLink(TCP);
    mux.addPeer(4, at('192.0.2.9:4000', TCP));
    expect(classify(mux, at('192.0.2.9:4000', TCP), dataV2(0))).toEqual([FATE_OPEN, 4]);
    expect(classify(mux, at('192.0.2.10:4000', TCP), dataV2(0))).toBe('unknown-source');
    mux.removeStreamLink(TCP);
    expect(classify(mux, at('192.0.2.9:4000', TCP), dataV2(0))).toEqual([FATE_OPEN, 0]);
  });

  it('leaves rows alone that are not raw', () => {
    const mux = makeMux();
    const rx = vectorOf([MALLORY, packet(P_DATA_V1)]);
    rx.fate[0] = FATE_INNER;
    mux.classifyBatch(0, rx);
    expect(rx.fate[0]).toBe(FATE_INNER);
  });
});

describe('ExternalMux: control', () => {
  it.each([
    P_CONTROL_SOFT_RESET_V1,
    P_CONTROL_V1,
    P_ACK_V1,
    P_CONTROL_HARD_RESET_CLIENT_V2,
    P_CONTROL_HARD_RESET_SERVER_V2,
    P_CONTROL_WKC_V1,
  ])('punts opcode %i of a peer by its address', (opcode) => {
    expect(classify(makeMux(), BOB, packet(opcode, 3))).toEqual([FATE_PUNT, 3]);
  });

  it.each([P_CONTROL_HARD_RESET_CLIENT_V2, P_CONTROL_HARD_RESET_CLIENT_V3, P_CONTROL_V1, P_CONTROL_WKC_V1, P_ACK_V1])(
    'punts opcode %i of a stranger without a slot, as an opening',
    (opcode) => {
      const mux = makeMux();
      expect(classify(mux, MALLORY, packet(opcode, 0, 14))).toEqual([FATE_PUNT, NO_SLOT]);
      expect(classify(mux, MALLORY, packet(opcode, 1))).toBe('no-opening');
      expect(classify(mux, MALLORY, packet(opcode, 0, 13))).toBe('no-opening');
    },
  );

  it.each([P_CONTROL_SOFT_RESET_V1, P_CONTROL_HARD_RESET_SERVER_V2])('drops opcode %i of a stranger', (opcode) => {
    expect(classify(makeMux(), MALLORY, packet(opcode))).toBe('no-opening');
  });

  it('does not let control packets float', () => {
    const mux = makeMux();
    expect(classify(mux, at('192.0.2.1:1001'), packet(P_CONTROL_V1))).toEqual([FATE_PUNT, NO_SLOT]);
  });

  it('limits the openings of a batch and never those of peers', () => {
    const mux = makeMux({ openingsPerBatch: 2 });
    const opening = packet(P_CONTROL_HARD_RESET_CLIENT_V2, 0, 14);
    const rx = vectorOf([MALLORY, opening], [MALLORY, opening], [MALLORY, opening], [ALICE, opening]);
    for (let batch = 1; batch <= 2; batch += 1) {
      rx.fate.fill(1);
      mux.classifyBatch(0, rx);
      expect([...rx.fate]).toEqual([FATE_PUNT, FATE_PUNT, FATE_DROPPED, FATE_PUNT]);
      expect(mux.dropCounts()['opening-limit']).toBe(batch);
    }
  });

  it('has quotas of its own: most of a full vector of control packets is left to be repeated', () => {
    const mux = makeMux();
    const punted = (address: LinkAddress, bytes: Uint8Array): number => {
      const rx = vectorOf(...Array.from({ length: 512 }, () => [address, bytes] as const));
      mux.classifyBatch(0, rx);
      return rx.fate.subarray(0, rx.count).filter((fate) => fate === FATE_PUNT).length;
    };
    for (const count of [
      punted(MALLORY, packet(P_CONTROL_HARD_RESET_CLIENT_V2, 0, 14)),
      punted(ALICE, packet(P_ACK_V1)),
    ]) {
      expect(count).toBeGreaterThan(16);
      expect(count).toBeLessThanOrEqual(64);
    }
  });

  it('limits the control packets of one peer in a batch, and not those of another', () => {
    const mux = makeMux({ controlsPerPeerPerBatch: 2 });
    const ack = packet(P_ACK_V1);
    const rx = vectorOf([ALICE, ack], [ALICE, ack], [ALICE, ack], [BOB, ack], [ALICE, dataV2(0)]);
    for (let batch = 1; batch <= 2; batch += 1) {
      rx.fate.fill(1);
      mux.classifyBatch(0, rx);
      expect([...rx.fate]).toEqual([FATE_PUNT, FATE_PUNT, FATE_DROPPED, FATE_PUNT, FATE_OPEN]);
      expect(mux.dropCounts()['control-limit']).toBe(batch);
    }
  });
});

describe('ExternalMux: nonsense', () => {
  it('drops what is too short', () => {
    const mux = makeMux();
    expect(classify(mux, ALICE, new Uint8Array(0))).toBe('empty');
    for (let length = 1; length < 4; length += 1)
      expect(classify(mux, ALICE, dataV2(0).subarray(0, length))).toBe('short');
    for (let length = 1; length < 9; length += 1)
      expect(classify(mux, ALICE, packet(P_CONTROL_V1, 0, length))).toBe('short');
    expect(classify(mux, ALICE, packet(P_CONTROL_V1, 0, 9))).toEqual([FATE_PUNT, 0]);
  });

  it('drops opcodes that are none', () => {
    const mux = makeMux();
    for (const opcode of [0, P_CONTROL_HARD_RESET_CLIENT_V1, 2, 12, 31]) {
      expect(classify(mux, ALICE, packet(opcode))).toBe('opcode');
      expect(classify(mux, MALLORY, packet(opcode))).toBe('opcode');
    }
  });

  it('gives every packet exactly one fate', () => {
    const mux = makeMux();
    mux.addStreamLink(TCP);
    const sources = [ALICE, BOB, MALLORY, at('192.0.2.1:1000', TCP)];
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(3), fc.uint8Array({ maxLength: 40 })), { minLength: 1, maxLength: 20 }),
        (rows) => {
          const sum = () => Object.values(mux.dropCounts()).reduce((a, b) => a + b);
          const before = sum();
          const rx = vectorOf(...rows.map(([source, bytes]) => [sources[source], bytes] as const));
          mux.classifyBatch(0, rx);
          let dropped = 0;
          for (let row = 0; row < rx.count; row += 1) {
            expect([FATE_OPEN, FATE_PUNT, FATE_DROPPED]).toContain(rx.fate[row]);
            if (rx.fate[row] === FATE_DROPPED) dropped += 1;
            else if (rx.slot[row] !== NO_SLOT) expect(mux.addressOf(rx.slot[row])).toBeDefined();
            else expect(rx.fate[row]).toBe(FATE_PUNT);
          }
          expect(sum() - before).toBe(dropped);
        },
      ),
      { seed: 1, numRuns: 500 },
    );
  });
});

describe('ExternalMux: client', () => {
  it('accepts its one peer, whatever peer id it says', () => {
    const mux = makeMux({ role: 'client', maxPeers: 1 });
    expect(classify(mux, ALICE, dataV2(77))).toEqual([FATE_OPEN, 0]);
    expect(classify(mux, ALICE, packet(P_CONTROL_V1, 2))).toEqual([FATE_PUNT, 0]);
  });

  it('drops everything from elsewhere, unless it floats', () => {
    const mux = makeMux({ role: 'client', maxPeers: 1 });
    const open = makeMux({ role: 'client', maxPeers: 1, float: true });
    for (const bytes of [dataV2(0), dataV2(0xffffff), packet(P_DATA_V1)]) {
      expect(classify(mux, MALLORY, bytes)).toBe('other-address');
      expect(classify(open, MALLORY, bytes)).toEqual([FATE_OPEN, 0]);
    }
    expect(classify(mux, MALLORY, packet(P_CONTROL_V1))).toBe('other-address');
    expect(classify(open, MALLORY, packet(P_CONTROL_V1))).toEqual([FATE_PUNT, 0]);
    expect(open.addressOf(0)).toEqual(ALICE);
  });

  it('hands on openings while it has no peer: a point-to-point listener', () => {
    const mux = makeMux({ role: 'client', maxPeers: 1 });
    mux.removePeer(0);
    for (const opcode of [P_CONTROL_HARD_RESET_CLIENT_V2, P_CONTROL_HARD_RESET_SERVER_V2]) {
      expect(classify(mux, MALLORY, packet(opcode))).toEqual([FATE_PUNT, NO_SLOT]);
    }
    expect(classify(mux, MALLORY, dataV2(0))).toBe('unknown-source');
  });

  it('gives data of anybody to the peer that it awaits, and the address to the first whose data passes', () => {
    const mux = makeMux({ role: 'client', maxPeers: 1 });
    expect(() => mux.awaitPeer()).toThrow(TypeError);
    mux.removePeer(0);
    mux.awaitPeer();
    expect(classify(mux, MALLORY, dataV2(0))).toEqual([FATE_OPEN, 0]);
    expect(classify(mux, MALLORY, packet(P_CONTROL_HARD_RESET_SERVER_V2))).toEqual([FATE_PUNT, NO_SLOT]);
    expect(mux.addressOf(0)).toBeUndefined();
    expect(heard(mux, [[MALLORY, dataV2(0)]], FATE_DROPPED)).toEqual([]);
    const [{ slot, address }] = heard(mux, [[BOB, dataV2(0)]], FATE_INNER);
    expect(mux.commitFloat(slot, address)).toBe(true);
    expect(mux.addressOf(0)).toEqual(BOB);
    // It is found: nobody else takes its place.
    expect(classify(mux, MALLORY, dataV2(0))).toBe('other-address');
    expect(mux.commitFloat(0, ALICE)).toBe(true);
  });

  it('forgets that it waits: nobody gets in any more', () => {
    const mux = makeMux({ role: 'client', maxPeers: 1 });
    mux.removePeer(0);
    mux.awaitPeer();
    mux.removePeer(0);
    expect(classify(mux, MALLORY, dataV2(0))).toBe('unknown-source');
    expect(mux.commitFloat(0, MALLORY)).toBe(false);
  });

  it('takes its peer from the alternative too, and lets it move there and back', () => {
    const mux = makeMux({ role: 'client', maxPeers: 1 });
    const other = at('[AF_INET6]2001:db8::1:1000', TCP + 1);
    expect(mux.addAlternative(other)).toBe(true);
    expect(mux.addAlternative(BOB)).toBe(false);
    expect(classify(mux, other, dataV2(0))).toEqual([FATE_OPEN, 0]);
    expect(classify(mux, other, packet(P_CONTROL_V1))).toEqual([FATE_PUNT, 0]);
    expect(classify(mux, BOB, dataV2(0))).toBe('other-address');
    expect(heard(mux, [[ALICE, dataV2(0)]], FATE_INNER)).toEqual([]);
    expect(heard(mux, [[other, dataV2(0)]], FATE_DROPPED)).toEqual([]);
    for (const [from, to] of [
      [ALICE, other],
      [other, ALICE],
    ] as const) {
      expect(mux.addressOf(0)).toEqual(from);
      expect(heard(mux, [[to, dataV2(0)]], FATE_INNER)).toEqual([{ slot: 0, address: to, holder: 0 }]);
      expect(mux.commitFloat(0, to)).toBe(true);
      expect(mux.addressOf(0)).toEqual(to);
      expect(classify(mux, from, dataV2(0))).toEqual([FATE_OPEN, 0]);
    }
    mux.removePeer(0);
    expect([mux.lookup(ALICE), mux.lookup(other)]).toEqual([NO_SLOT, NO_SLOT]);
    expect(() => makeMux().addAlternative(other)).toThrow(TypeError);
  });
});

/** Whom the mux finds floated when everything that it let through got this fate. */
function heard(mux: ExternalMux, rows: readonly (readonly [LinkAddress, Uint8Array])[], fate: number) {
  const rx = vectorOf(...rows);
  mux.classifyBatch(0, rx);
  for (let row = 0; row < rx.count; row += 1) if (rx.fate[row] === FATE_OPEN) rx.fate[row] = fate;
  return mux.floated(rx);
}

describe('ExternalMux: floating', () => {
  const there = at('198.51.100.7:2000');

  it.each([FATE_INNER, FATE_CONSUMED])(
    'names a peer whose packet from elsewhere passed (fate %i), and moves it',
    (fate) => {
      const mux = makeMux();
      const floated = heard(mux, [[there, dataV2(0)]], fate);
      expect(floated).toEqual([{ slot: 0, address: there, holder: NO_SLOT }]);
      expect(mux.addressOf(0)).toEqual(ALICE);
      expect(mux.commitFloat(0, floated[0].address)).toBe(true);
      expect(mux.addressOf(0)).toEqual(there);
      expect([mux.lookup(ALICE), mux.lookup(there)]).toEqual([NO_SLOT, 0]);
      expect(heard(mux, [[there, dataV2(0)]], fate)).toEqual([]);
      expect(classify(mux, there, packet(P_CONTROL_V1, 1))).toEqual([FATE_PUNT, 0]);
    },
  );

  it.each([FATE_DROPPED, FATE_OPEN])('names nobody whose packet did not pass (fate %i)', (fate) => {
    const mux = makeMux();
    expect(heard(mux, [[there, dataV2(0)]], fate)).toEqual([]);
  });

  it('names nobody who is at home', () => {
    expect(
      heard(
        makeMux(),
        [
          [ALICE, dataV2(0)],
          [BOB, dataV2(3)],
        ],
        FATE_INNER,
      ),
    ).toEqual([]);
  });

  it('names each peer once, with its last address; whoever was heard at home last stays', () => {
    const mux = makeMux();
    const further = at('198.51.100.8:2000');
    expect(
      heard(
        mux,
        [
          [there, dataV2(0)],
          [further, dataV2(0)],
          [there, dataV2(3)],
          [BOB, dataV2(3)],
        ],
        FATE_INNER,
      ),
    ).toEqual([{ slot: 0, address: further, holder: NO_SLOT }]);
  });

  it('refuses an address that another slot holds', () => {
    const mux = makeMux();
    const floated = heard(mux, [[BOB, dataV2(0)]], FATE_INNER);
    expect(floated).toEqual([{ slot: 0, address: BOB, holder: 3 }]);
    expect(mux.commitFloat(0, BOB)).toBe(false);
    expect([mux.lookup(ALICE), mux.lookup(BOB)]).toEqual([0, 3]);
    mux.removePeer(3);
    expect(mux.commitFloat(0, BOB)).toBe(true);
    expect(mux.lookup(BOB)).toBe(0);
  });

  it('refuses peers that are not there, and streams', () => {
    const mux = makeMux();
    mux.addStreamLink(TCP);
    expect(mux.commitFloat(5, there)).toBe(false);
    expect(mux.commitFloat(0, at('198.51.100.7:2000', TCP))).toBe(false);
    expect(mux.commitFloat(0, new Uint32Array(ADDRESS_WORDS))).toBe(false);
    mux.addPeer(4, at('192.0.2.9:4000', TCP));
    expect(mux.commitFloat(4, there)).toBe(false);
    expect(mux.commitFloat(0, ALICE)).toBe(true);
    expect(mux.addressOf(0)).toEqual(ALICE);
  });
});

describe('ExternalMux: peers', () => {
  it('takes no slot and no address twice', () => {
    const mux = makeMux();
    expect(mux.addPeer(0, MALLORY)).toBe(false);
    expect(mux.addPeer(1, ALICE)).toBe(false);
    expect(mux.addPeer(1, new Uint32Array(ADDRESS_WORDS))).toBe(false);
    expect(mux.lookup(MALLORY)).toBe(NO_SLOT);
    expect(mux.addPeer(1, MALLORY)).toBe(true);
  });

  it('forgets a peer whole', () => {
    const mux = makeMux();
    expect(mux.removePeer(0)).toBe(true);
    expect(mux.removePeer(0)).toBe(false);
    expect(mux.addressOf(0)).toBeUndefined();
    expect(classify(mux, ALICE, dataV2(0))).toBe('unknown-peer');
    expect(mux.addPeer(1, ALICE)).toBe(true);
  });

  it('copies addresses in and out', () => {
    const mux = makeMux();
    const address = MALLORY.slice();
    mux.addPeer(1, address);
    address.fill(0);
    mux.addressOf(1)?.fill(0);
    expect(mux.addressOf(1)).toEqual(MALLORY);
  });

  it('throws at slots that we made up', () => {
    const mux = makeMux();
    for (const slot of [-1, 8, 1.5, NO_SLOT]) {
      expect(() => mux.addPeer(slot, MALLORY)).toThrow(RangeError);
      expect(() => mux.removePeer(slot)).toThrow(RangeError);
    }
    expect(() => makeMux({ maxPeers: 0x1000000 })).toThrow(RangeError);
    expect(() => makeMux({ maxPeers: 0 })).toThrow(RangeError);
  });

  it('addresses what leaves, and drops what has nowhere to go', () => {
    const mux = makeMux();
    const tx = vectorOf([MALLORY, dataV2(0)], [MALLORY, dataV2(0)], [MALLORY, dataV2(0)], [MALLORY, dataV2(0)]);
    tx.fate.fill(FATE_TO_LINK);
    tx.fate[3] = FATE_INNER;
    tx.slot.set([3, 1, NO_SLOT, 0]);
    mux.addressBatch(tx);
    expect(tx.addresses.subarray(0, ADDRESS_WORDS)).toEqual(BOB);
    expect([...tx.fate]).toEqual([FATE_TO_LINK, FATE_DROPPED, FATE_DROPPED, FATE_INNER]);
    expect(mux.dropCounts()['no-address']).toBe(2);
  });
});

describe('ExternalMux: cost', () => {
  it('allocates nothing for a packet', () => {
    const mux = makeMux({ maxPeers: 2000 });
    const rx = vectorOf(
      ...Array.from(
        { length: 64 },
        (_, index) => [index % 2 ? ALICE : MALLORY, index % 3 ? dataV2(0) : packet(P_DATA_V1)] as const,
      ),
    );
    const turn = () => {
      rx.fate.fill(1);
      mux.classifyBatch(0, rx);
      rx.fate.fill(FATE_TO_LINK);
      rx.slot.fill(3);
      mux.addressBatch(rx);
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

describe('ExternalMux: changes of decisions', () => {
  it.for<[string, Partial<ExternalMuxOptions>, (mux: ExternalMux) => void]>([
    ['a new peer', {}, (mux) => mux.addPeer(5, MALLORY)],
    ['a peer that goes', {}, (mux) => mux.removePeer(3)],
    ['a peer that moves', {}, (mux) => mux.commitFloat(3, MALLORY)],
    ['a stream', {}, (mux) => mux.addStreamLink(TCP)],
    ['the end of a stream', {}, (mux) => mux.removeStreamLink(TCP)],
    ['an alternative', { role: 'client', maxPeers: 1 }, (mux) => mux.addAlternative(MALLORY)],
    [
      'a peer that is awaited',
      { role: 'client', maxPeers: 1 },
      (mux) => {
        mux.removePeer(0);
        mux.awaitPeer();
      },
    ],
  ])('%s is one', ([, options, change]) => {
    const changes = new ChangeCount();
    const mux = makeMux({ ...options, changes });
    const before = changes.word[0];
    change(mux);
    expect(changes.word[0]).toBeGreaterThan(before);
  });

  it('packets and questions are none', () => {
    const changes = new ChangeCount();
    const mux = makeMux({ changes });
    const before = changes.word[0];
    const rx = vectorOf([ALICE, dataV2(0)], [MALLORY, dataV2(3)], [MALLORY, packet(P_CONTROL_V1)]);
    mux.classifyBatch(0, rx);
    mux.floated(rx);
    mux.lookup(ALICE);
    mux.addressOf(0);
    expect(changes.word[0]).toBe(before);
  });
});
