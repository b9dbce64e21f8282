import { readFileSync } from 'node:fs';
import { FATE_TO_LINK } from '@openvpnd/memory';
import { describe, expect, it } from 'vitest';
import { DataChannel } from '../src/index.js';
import { ClearBackend } from './clear-backend.js';
import { keysFor, makeVector, open, openOne, payload, rareSignals, sealOne, twoEnds } from './two-ends.js';

const PING = JSON.parse(readFileSync(new URL('./vectors/framing_reliable.json', import.meta.url), 'utf8')).vectors.find(
  (vector: { id: string }) => vector.id === 'ping',
).expected.payload;

/** The pings that are due, as packets. */
function pings(channel: DataChannel, now: number): Uint8Array[] {
  const out = makeVector();
  channel.handleTimeout(now, out);
  return Array.from({ length: out.count }, (_, row) => {
    expect(out.fate[row]).toBe(FATE_TO_LINK);
    return Uint8Array.from(out.packet(row));
  });
}

describe('ping', () => {
  it('is sent when nothing was sent for its interval, and not before', () => {
    const { client } = twoEnds({ pingMs: 10_000 });
    expect(client.nextTimeout()).toBe(10_000);
    expect(pings(client, 9_999)).toEqual([]);
    expect(pings(client, 10_000).length).toBe(1);
    expect(client.nextTimeout()).toBe(20_000);
    expect(client.counters(3).pingsOut).toBe(1);
  });

  it('is put off by any packet that is sent, control or data, and by none that is received', () => {
    const { client, server } = twoEnds({ pingMs: 10_000 });
    sealOne(client, 4_000, payload());
    openOne(client, 5_000, sealOne(server, 5_000, payload()));
    expect(pings(client, 10_000)).toEqual([]);
    expect(client.nextTimeout()).toBe(14_000);
    client.noteControlSent(3, 6_000);
    expect(pings(client, 14_000)).toEqual([]);
    expect(client.nextTimeout()).toBe(16_000);
    expect(pings(client, 16_000).length).toBe(1);
  });

  it('is swallowed and counted by the other end, and is payload when a byte is off', () => {
    const { client, server } = twoEnds({ pingMs: 1_000 });
    const ping = pings(client, 1_000)[0];
    expect(Buffer.from(ping.subarray(24)).toString('hex')).toBe(PING);
    expect(openOne(server, 1_000, ping)).toBeUndefined();
    expect(server.counters(3)).toMatchObject({ pingsIn: 1, receivedPackets: 1, payloadBytesIn: 0 });
    expect(server.drops()).toEqual({});
    const almost = Uint8Array.from(Buffer.from(PING, 'hex'));
    almost[15] ^= 1;
    expect(openOne(server, 1_000, sealOne(client, 1_000, almost))).toEqual(almost);
  });

  it('waits for a key', () => {
    const channel = new DataChannel({ backend: new ClearBackend(), maxPeers: 4 });
    channel.addPeer(0, { pingMs: 1_000 }, 0);
    expect(pings(channel, 1_000)).toEqual([]);
    channel.installKeys(0, 0, keysFor('client'), {});
    channel.sendWith(0, 0);
    expect(pings(channel, 1_999)).toEqual([]);
    expect(pings(channel, 2_000).length).toBe(1);
  });

  it('comes with the next call where the vector is full', () => {
    const channel = new DataChannel({ backend: new ClearBackend(), maxPeers: 10 });
    for (let slot = 0; slot < 10; slot++) {
      channel.addPeer(slot, { pingMs: 1_000 }, 0);
      channel.installKeys(slot, 0, keysFor('client'), { peerId: slot });
      channel.sendWith(slot, 0);
    }
    const out = makeVector(6);
    channel.handleTimeout(1_000, out);
    expect(out.count).toBe(6);
    expect(channel.nextTimeout()).toBe(1_000);
    out.reset();
    channel.handleTimeout(1_000, out);
    expect(out.count).toBe(4);
    expect(channel.nextTimeout()).toBe(2_000);
    expect(Array.from({ length: 10 }, (_, slot) => channel.counters(slot).pingsOut)).toEqual(new Array(10).fill(1));
  });
});

describe('ping-restart and ping-exit', () => {
  for (const signal of ['ping-restart', 'ping-exit'] as const) {
    it(`${signal}: nothing authentic came for its time`, () => {
      const { client } = twoEnds({ silence: { ms: 60_000, signal } });
      pings(client, 59_999);
      expect(rareSignals(client)).toEqual([]);
      pings(client, 60_000);
      expect(rareSignals(client)).toEqual([{ type: signal, slot: 3 }]);
      pings(client, 119_999);
      expect(rareSignals(client)).toEqual([]);
      pings(client, 120_000);
      expect(rareSignals(client)).toEqual([{ type: signal, slot: 3 }]);
    });
  }

  it('is put off by data, pings and control packets that are authentic', () => {
    const settings = { pingMs: 10_000, silence: { ms: 30_000, signal: 'ping-restart' as const } };
    const { client, server } = twoEnds(settings);
    openOne(client, 20_000, sealOne(server, 20_000, payload()));
    pings(client, 49_999);
    openOne(client, 49_999, pings(server, 49_999)[0]);
    pings(client, 79_998);
    client.noteControlReceived(3, 79_998);
    pings(client, 109_997);
    expect(rareSignals(client)).toEqual([]);
    pings(client, 109_998);
    expect(rareSignals(client)).toEqual([{ type: 'ping-restart', slot: 3 }]);
  });

  it('is not put off by forgeries, replays, or what we send', () => {
    const { client, server } = twoEnds({ silence: { ms: 30_000, signal: 'ping-restart' } });
    const packet = sealOne(server, 0, payload());
    openOne(client, 0, packet);
    const forged = Uint8Array.from(packet);
    forged[9] ^= 1;
    open(client, 20_000, [packet, forged]);
    sealOne(client, 20_000, payload());
    pings(client, 30_000);
    expect(rareSignals(client)).toEqual([{ type: 'ping-restart', slot: 3 }]);
  });

  it('follows what is pushed', () => {
    const { client } = twoEnds({ silence: { ms: 120_000, signal: 'ping-restart' } });
    client.configurePeer(3, { pingMs: 10_000, silence: { ms: 20_000, signal: 'ping-restart' } }, 5_000);
    expect(client.nextTimeout()).toBe(15_000);
    expect(pings(client, 15_000).length).toBe(1);
    pings(client, 25_000);
    expect(rareSignals(client)).toEqual([{ type: 'ping-restart', slot: 3 }]);
    client.configurePeer(3, { pingMs: 0, silence: { ms: 0, signal: 'ping-restart' } }, 25_000);
    expect(client.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('inactive', () => {
  it('means too little payload; pings and forgeries are none', () => {
    const { client, server } = twoEnds({ pingMs: 1_000, inactive: { ms: 10_000, bytes: 150 } });
    sealOne(client, 1_000, payload(100));
    openOne(client, 4_000, sealOne(server, 4_000, payload(50)));
    for (let now = 1_000; now < 14_000; now += 1_000) {
      pings(client, now);
      openOne(client, now, pings(server, now)[0] ?? payload());
    }
    sealOne(client, 8_000, payload(149));
    expect(rareSignals(client)).toEqual([]);
    pings(client, 14_000);
    expect(rareSignals(client)).toEqual([{ type: 'inactive', slot: 3 }]);
  });

  it('without a number of bytes any payload counts', () => {
    const { client } = twoEnds({ inactive: { ms: 10_000, bytes: 0 } });
    sealOne(client, 9_000, payload(1));
    pings(client, 18_999);
    expect(rareSignals(client)).toEqual([]);
    pings(client, 19_000);
    expect(rareSignals(client)).toEqual([{ type: 'inactive', slot: 3 }]);
  });
});

describe('many idle peers', () => {
  it('each pings in its time, and a turn looks at none that is not due', () => {
    const peers = 500;
    const channel = new DataChannel({ backend: new ClearBackend(), maxPeers: peers });
    for (let slot = 0; slot < peers; slot++) {
      channel.addPeer(slot, { pingMs: 10_000 }, slot);
      channel.installKeys(slot, 0, keysFor('client'), { peerId: slot });
      channel.sendWith(slot, 0);
    }
    let calls = 0;
    const out = makeVector(64);
    while (channel.nextTimeout() < 40_000) {
      calls += 1;
      out.reset();
      channel.handleTimeout(channel.nextTimeout(), out);
    }
    expect(Array.from({ length: peers }, (_, slot) => channel.counters(slot).pingsOut)).toEqual(
      new Array(peers).fill(3),
    );
    expect(calls).toBe(3 * peers);
  });
});
