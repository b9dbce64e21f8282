import { emitOccMessage } from '@openvpnd/wire';
import { describe, expect, test } from 'vitest';
import { keysFor, makeVector, open, payload, seal, twoEnds } from './two-ends.js';

describe('what the data channel tells', () => {
  test('the first packet under a key, once for each key', () => {
    const { client, server } = twoEnds();
    const [first, second] = seal(client, 1, [payload(), payload()]);
    open(server, 2, [first as Uint8Array]);
    expect(server.takeSignals()).toEqual([{ type: 'key-in-use', slot: 3, keyId: 0 }]);
    open(server, 3, [second as Uint8Array]);
    expect(server.takeSignals()).toEqual([]);
    for (const [end, role] of [
      [client, 'client'],
      [server, 'server'],
    ] as const) {
      end.installKeys(3, 1, keysFor(role, 2), { peerId: 5 });
    }
    client.sendWith(3, 1);
    open(server, 4, seal(client, 4, [payload()]) as Uint8Array[]);
    expect(server.takeSignals()).toEqual([{ type: 'key-in-use', slot: 3, keyId: 1 }]);
  });

  test('a packet that is refused shows no key in use', () => {
    const { client, server } = twoEnds();
    const [forged] = seal(client, 1, [payload()]) as Uint8Array[];
    forged[9] ^= 1;
    open(server, 2, [forged]);
    expect(server.takeSignals().filter((signal) => signal.type === 'key-in-use')).toEqual([]);
  });

  test('refused packets: the first at once, then one a second with the number of all', () => {
    const { client, server } = twoEnds();
    const [packet] = seal(client, 1, [payload()]) as Uint8Array[];
    open(server, 2, [packet]);
    server.takeSignals();
    for (let i = 0; i < 5; i++) open(server, 3 + i, [packet]);
    const told = { type: 'refused', slot: 3, reason: 'replay', aead: true, packetId: 1, packetTime: 0 };
    expect(server.takeSignals()).toEqual([{ ...told, packets: 1 }]);
    open(server, 1100, [packet]);
    expect(server.takeSignals()).toEqual([{ ...told, packets: 5 }]);
    const forged = packet.slice();
    forged[9] ^= 1;
    open(server, 2200, [forged]);
    expect(server.takeSignals()).toEqual([{ ...told, reason: 'not-authentic', packetId: 0, packets: 1 }]);
  });

  test('many peers together are told of 16 times a second at most', () => {
    const { server } = twoEnds();
    let told = 0;
    for (let slot = 0; slot < 3; slot++) {
      server.addPeer(slot, {}, 0);
      server.installKeys(slot, 0, keysFor('server'));
    }
    for (let now = 0; now < 8000; now += 10) {
      for (let slot = 0; slot < 3; slot++) open(server, now, [Uint8Array.of(0x30, ...payload(60))], slot);
      told += server.takeSignals().length;
    }
    // One a second of each of three peers.
    expect(told).toBe(24);
  });

  test('the largest packets of each direction', () => {
    const { client, server } = twoEnds();
    const packets = seal(client, 1, [payload(100), payload(900), payload(300)]) as Uint8Array[];
    open(server, 2, packets);
    expect(client.counters(3).largestSent).toBe(packets[1].length);
    expect(server.counters(3).largestReceived).toBe(packets[1].length);
    expect(server.counters(3).largestSent).toBe(0);
  });
});

describe('messages of our own', () => {
  const question = emitOccMessage({ type: 'REQUEST' });

  test('go with the next timeout, and are heard', () => {
    const { client, server } = twoEnds();
    expect(client.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
    client.sendMessage(3, question, 7);
    expect(client.nextTimeout()).toBe(7);
    const out = makeVector();
    client.handleTimeout(8, out);
    expect(client.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
    expect(out.count).toBe(1);
    open(server, 9, [Uint8Array.from(out.packet(0))]);
    expect(server.takeSignals()).toContainEqual({ type: 'occ', slot: 3, message: { type: 'REQUEST' } });
  });

  test('wait while there is no room, and at most 64 do', () => {
    const { client } = twoEnds();
    for (let i = 0; i < 100; i++) client.sendMessage(3, question, 7);
    const out = makeVector(40);
    client.handleTimeout(8, out);
    expect(out.count).toBe(40);
    expect(client.nextTimeout()).toBe(7);
    out.reset();
    client.handleTimeout(9, out);
    expect(out.count).toBe(24);
  });

  test('without a key, for a peer that is gone or too long they are forgotten', () => {
    const { client } = twoEnds();
    const out = makeVector();
    client.sendMessage(4, question, 7);
    client.sendMessage(3, new Uint8Array(5000), 7);
    client.handleTimeout(8, out);
    client.sendMessage(3, question, 9);
    client.removePeer(3);
    expect(client.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
    client.handleTimeout(10, out);
    expect(out.count).toBe(0);
  });
});
