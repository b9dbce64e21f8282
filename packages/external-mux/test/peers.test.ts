import {
  ADDRESS_WORDS,
  FATE_CONSUMED,
  FATE_DROPPED,
  FATE_INNER,
  FATE_OPEN,
  FATE_PUNT,
  FATE_TO_LINK,
  NO_SLOT,
} from '@openvpnd/memory';
import { P_CONTROL_V1 } from '@openvpnd/wire';
import { describe, expect, it } from 'vitest';
import { ALICE, at, BOB, classify, dataV2, heard, MALLORY, makeMux, packet, TCP, vectorOf } from './mux-world.js';

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
