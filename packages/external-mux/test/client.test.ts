import { FATE_DROPPED, FATE_INNER, FATE_OPEN, FATE_PUNT, NO_SLOT } from '@openvpnd/memory';
import {
  P_CONTROL_HARD_RESET_CLIENT_V2,
  P_CONTROL_HARD_RESET_SERVER_V2,
  P_CONTROL_V1,
  P_DATA_V1,
} from '@openvpnd/wire';
import { describe, expect, it } from 'vitest';
import { ALICE, at, BOB, classify, dataV2, heard, MALLORY, makeMux, packet, TCP } from './mux-world.js';

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
