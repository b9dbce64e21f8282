import type { ExternalMux, ExternalMuxOptions } from '@openvpnd/external-mux';
import {
  ChangeCount,
  FATE_DROPPED,
  FATE_INNER,
  FATE_OPEN,
  FATE_PUNT,
  FATE_TO_LINK,
  type LinkAddress,
  NO_SLOT,
} from '@openvpnd/memory';
import {
  P_ACK_V1,
  P_CONTROL_HARD_RESET_CLIENT_V1,
  P_CONTROL_HARD_RESET_CLIENT_V2,
  P_CONTROL_HARD_RESET_CLIENT_V3,
  P_CONTROL_HARD_RESET_SERVER_V2,
  P_CONTROL_SOFT_RESET_V1,
  P_CONTROL_V1,
  P_CONTROL_WKC_V1,
  P_DATA_V1,
} from '@openvpnd/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ALICE, at, BOB, classify, dataV2, MALLORY, makeMux, packet, TCP, vectorOf } from './mux-world.js';

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
