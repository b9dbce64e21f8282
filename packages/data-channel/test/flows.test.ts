import { FATE_INNER, FATE_OPEN, FATE_SEAL, NO_SLOT } from '@openvpnd/memory';
import { describe, expect, it } from 'vitest';
import { type DataChannel, FLOW_RECEIVES, FLOW_SENDS } from '../src/index.js';
import { makeEnd, RECEIVES, receiveTurn, SENDS, SLOT, sendTurn, sentId, vectorOf } from './flow-ends.js';
import { idOf, StandInFlows } from './stand-in-flows.js';
import { keysFor, makeVector, openOne, payload, rareSignals, seal, sealOne } from './two-ends.js';

/** A grant is for so many. */
const PACKETS = 32;

describe('what a flow is granted for', () => {
  it('a packet that comes alone, in either direction, after a while', () => {
    const flows = new StandInFlows();
    const server = makeEnd('server', flows);
    const client = makeEnd('client');
    sendTurn(server, 5, [payload()]);
    expect(flows.grants.get(SENDS)).toMatchObject({ next: 2n, packets: PACKETS });
    receiveTurn(server, 5, [sealOne(client, 0, payload())]);
    expect(flows.grants.get(RECEIVES)).toMatchObject({ next: 1n, packets: PACKETS });
  });

  const refusals: readonly [string, (flows: StandInFlows) => void][] = [
    ['several at once', (flows) => void sendTurn(makeEnd('server', flows), 5, [payload(), payload()])],
    ['one right behind another', (flows) => void sendTurn(makeEnd('server', flows), 0.9, [payload()])],
    ['one that ports decide about', (flows) => void sendTurn(makeEnd('server', flows), 5, [payload()], false)],
    [
      'several that are received at once',
      (flows) =>
        void receiveTurn(
          makeEnd('server', flows),
          5,
          seal(makeEnd('client'), 0, [payload(), payload()]) as Uint8Array[],
        ),
    ],
    [
      'one that is received right behind another',
      (flows) => void receiveTurn(makeEnd('server', flows), 0.9, [sealOne(makeEnd('client'), 0, payload())]),
    ],
    [
      'a keep-alive',
      (flows) => {
        const client = makeEnd('client', undefined, { pingMs: 10 });
        const out = makeVector();
        client.handleTimeout(10, out);
        expect(receiveTurn(makeEnd('server', flows), 50, [Uint8Array.from(out.packet(0))])).toBe(0);
      },
    ],
    [
      'a replay',
      (flows) => {
        const server = makeEnd('server', flows);
        const packet = sealOne(makeEnd('client'), 0, payload());
        openOne(server, 0, packet);
        expect(receiveTurn(server, 50, [packet])).toBe(0);
      },
    ],
    [
      'packets in a framing',
      (flows) => void sendTurn(makeEnd('server', flows, { fragment: { partBytes: 1000 } }), 5, [payload()]),
    ],
    [
      'a late packet, above which others have come',
      (flows) => {
        const server = makeEnd('server', flows);
        const [late, newest] = seal(makeEnd('client'), 0, [payload(), payload()]) as Uint8Array[];
        openOne(server, 0, newest);
        expect(receiveTurn(server, 50, [late])).toBe(1);
      },
    ],
    [
      'packets none of which may be missing',
      (flows) => {
        const server = makeEnd('server', flows, { replayWindow: { packets: 0, seconds: 0 } });
        expect(receiveTurn(server, 50, [sealOne(makeEnd('client'), 0, payload())])).toBe(1);
      },
    ],
    [
      'what is received in a framing',
      (flows) => {
        const settings = { fragment: { partBytes: 1000 } };
        const packet = sealOne(makeEnd('client', undefined, settings), 0, payload());
        expect(receiveTurn(makeEnd('server', flows, settings), 50, [packet])).toBe(1);
      },
    ],
    [
      'packets without a peer id',
      (flows) => {
        const client = makeEnd('client');
        client.installKeys(SLOT, 0, keysFor('client'), {});
        client.sendWith(SLOT, 0);
        expect(receiveTurn(makeEnd('server', flows), 50, [sealOne(client, 0, payload())])).toBe(1);
      },
    ],
    [
      'packets under a key that the backend does not serve',
      (flows) => {
        const server = makeEnd('server', flows);
        server.installKeys(SLOT, 0, keysFor('server', 1, 'AES-256-CBC'), { peerId: 5 });
        server.sendWith(SLOT, 0);
        sendTurn(server, 5, [payload()]);
      },
    ],
    [
      'a packet of several segments',
      (flows) => {
        const vector = vectorOf([payload()], FATE_SEAL);
        vector.segments[0] = 2;
        const server = makeEnd('server', flows);
        server.sealBatch(5, vector, true);
        server.offerSent(vector);
      },
    ],
    [
      'packets that the multiplexers have dropped',
      (flows) => {
        const server = makeEnd('server', flows);
        const received = vectorOf([sealOne(makeEnd('client'), 0, payload())], FATE_OPEN);
        server.openBatch(50, received);
        expect(received.fate[0]).toBe(FATE_INNER);
        received.drop(0);
        server.offerReceived(received);
        const sent = vectorOf([payload()], FATE_SEAL);
        server.sealBatch(50, sent, true);
        sent.drop(0);
        server.offerSent(sent);
      },
    ],
    [
      'packets when the ids come to their end',
      (flows) => {
        const server = makeEnd('server', flows);
        const vector = vectorOf([payload()], FATE_SEAL);
        vector.segments[0] = 2 ** 32 - 1 - PACKETS;
        server.sealBatch(0, vector);
        sendTurn(server, 5, [payload()]);
      },
    ],
    [
      'what it says that it does not take',
      (flows) => {
        flows.takes = false;
        sendTurn(makeEnd('server', flows), 5, [payload()]);
      },
    ],
  ];
  for (const [title, act] of refusals) {
    it(`not for ${title}`, () => {
      const flows = new StandInFlows();
      act(flows);
      expect(flows.grantsMade).toBe(0);
    });
  }

  it('a refused grant takes no packet ids', () => {
    const flows = new StandInFlows();
    const server = makeEnd('server', flows);
    const real = flows.send.bind(flows);
    flows.send = () => -1;
    sendTurn(server, 5, [payload()]);
    flows.send = real;
    expect(sentId(sendTurn(server, 6, [payload()])[0], false)).toBe(2n);
  });
});

describe('when a flow ends', () => {
  const changes: readonly [string, (server: DataChannel) => void][] = [
    ['the data channel seals for the peer itself', (server) => void seal(server, 6, [payload()])],
    ['a new key is installed', (server) => server.installKeys(SLOT, 1, keysFor('server', 7), { peerId: 5 })],
    ['another key is sent with', (server) => server.sendWith(SLOT, 0)],
    ['a key is retired', (server) => server.retireKeys(SLOT, 0)],
    ['settings change', (server) => server.configurePeer(SLOT, { pingMs: 5 }, 6)],
    ['fragments become shorter', (server) => server.setFragmentPart(SLOT, 600)],
    ['the peer is gone', (server) => server.removePeer(SLOT)],
  ];
  for (const [title, change] of changes) {
    it(title, () => {
      const flows = new StandInFlows();
      const server = makeEnd('server', flows);
      sendTurn(server, 5, [payload()]);
      expect(flows.grants.has(SENDS)).toBe(true);
      change(server);
      expect(flows.grants.has(SENDS)).toBe(false);
    });
  }

  for (const [title, change] of changes.slice(1)) {
    it(`${title}: in the other direction too`, () => {
      const flows = new StandInFlows();
      const server = makeEnd('server', flows);
      receiveTurn(server, 5, [sealOne(makeEnd('client'), 0, payload())]);
      expect(flows.grants.has(RECEIVES)).toBe(true);
      change(server);
      expect(flows.grants.has(RECEIVES)).toBe(false);
    });
  }

  it('what it has carried until then is its peer’s, and not the next one’s', () => {
    const flows = new StandInFlows();
    const server = makeEnd('server', flows);
    receiveTurn(server, 5, [sealOne(makeEnd('client'), 0, payload())]);
    flows.carryIn(RECEIVES, 2n, 100, 124, 6);
    server.removePeer(SLOT);
    server.addPeer(SLOT, {}, 7);
    expect(server.counters(SLOT).receivedPackets).toBe(0);
  });

  it('no ids come back from one that receives', () => {
    const flows = new StandInFlows();
    const server = makeEnd('server', flows);
    const client = makeEnd('client');
    expect(sentId(sealOne(server, 0, payload()), false)).toBe(1n);
    receiveTurn(server, 5, [sealOne(client, 0, payload())]);
    receiveTurn(server, 6, [sealOne(client, 0, payload())]);
    expect(sentId(sealOne(server, 7, payload()), false)).toBe(2n);
  });

  it('rows of no peer end none', () => {
    const flows = new StandInFlows();
    const server = makeEnd('server', flows);
    receiveTurn(server, 5, [sealOne(makeEnd('client'), 0, payload())]);
    const vector = vectorOf([payload()], FATE_OPEN);
    vector.slot[0] = NO_SLOT;
    server.openBatch(6, vector);
    expect(flows.grants.has(RECEIVES)).toBe(true);
  });

  it('the data channel opens a packet of the peer itself', () => {
    const flows = new StandInFlows();
    const server = makeEnd('server', flows);
    const client = makeEnd('client');
    receiveTurn(server, 5, [sealOne(client, 0, payload())]);
    expect(flows.grants.has(RECEIVES)).toBe(true);
    receiveTurn(server, 6, seal(client, 0, [payload(), payload()]) as Uint8Array[]);
    expect(flows.grants.has(RECEIVES)).toBe(false);
  });

  it('not when another peer is served, and not the other direction', () => {
    const flows = new StandInFlows();
    const server = makeEnd('server', flows);
    server.addPeer(4, {}, 0);
    server.installKeys(4, 0, keysFor('server', 9), { peerId: 6 });
    server.sendWith(4, 0);
    sendTurn(server, 5, [payload()]);
    sealOne(server, 6, payload(), 4);
    receiveTurn(server, 6, [sealOne(makeEnd('client'), 0, payload())]);
    expect(flows.grants.has(SENDS)).toBe(true);
  });

  it('ids that were not used are used next, and those of a flow that ended by itself never', () => {
    const flows = new StandInFlows();
    const server = makeEnd('server', flows);
    sendTurn(server, 5, [payload()]);
    expect(flows.carryOut(SENDS, 100, 124, 6)).toBe(2n);
    expect(sentId(sealOne(server, 7, payload()), false)).toBe(3n);
    sendTurn(server, 9, [payload()]);
    flows.grants.clear();
    expect(sentId(sealOne(server, 10, payload()), false)).toBe(5n + BigInt(PACKETS));
  });
});

describe('what a flow has carried', () => {
  it('counts as if it had passed through the data channel', () => {
    const flows = new StandInFlows();
    const settings = {
      pingMs: 1000,
      silence: { ms: 3000, signal: 'ping-restart' },
      inactive: { ms: 5000, bytes: 0 },
    } as const;
    const [server, plain] = [makeEnd('server', flows, settings), makeEnd('server', undefined, settings)];
    const client = makeEnd('client');
    const first = sealOne(client, 0, payload(60));
    for (const end of [server, plain]) {
      receiveTurn(end, 5, [first]);
      sendTurn(end, 5, [payload(60)]);
    }
    for (let at = 10; at < 100; at += 10) {
      const packet = sealOne(client, at, payload(at));
      expect(flows.carryIn(RECEIVES, sentId(packet, false), at, packet.length, at)).toBe(true);
      expect(openOne(plain, at, packet)).toBeDefined();
      const answer = sealOne(plain, at, payload(2 * at));
      expect(flows.carryOut(SENDS, 2 * at, answer.length, at)).toBe(sentId(answer, false));
    }
    expect(server.counters(SLOT)).toEqual(plain.counters(SLOT));
    expect(server.lastActive(SLOT)).toBe(plain.lastActive(SLOT));
    // Its own ping, silence and inactivity count from then on.
    const deadlines = [server, plain].map((end) => {
      const out = makeVector();
      end.handleTimeout(1000, out);
      expect(out.count).toBe(0);
      return end.nextTimeout();
    });
    expect(deadlines[0]).toBe(deadlines[1]);
  });

  it('is known to whoever asks, whatever is asked first', () => {
    const settings = { pingMs: 1000, silence: { ms: 3000, signal: 'ping-restart' } } as const;
    const begin = (): { flows: StandInFlows; server: DataChannel } => {
      const flows = new StandInFlows();
      const server = makeEnd('server', flows, settings);
      receiveTurn(server, 5, [sealOne(makeEnd('client'), 0, payload())]);
      sendTurn(server, 5, [payload()]);
      flows.carryOut(SENDS, 100, 124, 900);
      return { flows, server };
    };
    expect(begin().server.lastActive(SLOT)).toBe(900);
    const out = makeVector();
    begin().server.handleTimeout(1010, out);
    expect(out.count).toBe(0);
    const { flows, server } = begin();
    sendTurn(server, 900.5, [payload()]);
    expect(flows.grants.has(SENDS)).toBe(false);
  });

  it('of the peer shows that it is not silent', () => {
    const flows = new StandInFlows();
    const server = makeEnd('server', flows, { silence: { ms: 3000, signal: 'ping-restart' } });
    receiveTurn(server, 5, [sealOne(makeEnd('client'), 0, payload())]);
    flows.carryIn(RECEIVES, 2n, 100, 124, 2000);
    server.handleTimeout(4990, makeVector());
    expect(rareSignals(server)).toEqual([]);
    server.handleTimeout(5000, makeVector());
    expect(rareSignals(server)).toMatchObject([{ type: 'ping-restart', slot: SLOT }]);
  });

  it('is not newer than the control packets that came after it', () => {
    const flows = new StandInFlows();
    const server = makeEnd('server', flows, { pingMs: 1000, silence: { ms: 3000, signal: 'ping-restart' } });
    receiveTurn(server, 5, [sealOne(makeEnd('client'), 0, payload())]);
    sendTurn(server, 5, [payload()]);
    flows.carryIn(RECEIVES, 2n, 100, 124, 100);
    flows.carryOut(SENDS, 100, 124, 100);
    server.noteControlReceived(SLOT, 2900);
    server.noteControlSent(SLOT, 2900);
    const out = makeVector();
    server.handleTimeout(3500, out);
    expect(out.count).toBe(0);
    expect(rareSignals(server)).toEqual([]);
    server.handleTimeout(3900, out);
    expect(out.count).toBe(1);
    server.handleTimeout(5900, out);
    expect(rareSignals(server)).toMatchObject([{ type: 'ping-restart', slot: SLOT }]);
  });

  it('is refused when it comes again', () => {
    const flows = new StandInFlows();
    const server = makeEnd('server', flows);
    const client = makeEnd('client');
    receiveTurn(server, 5, [sealOne(client, 0, payload())]);
    const carried = sealOne(client, 0, payload());
    flows.carryIn(RECEIVES, 2n, 100, carried.length, 8);
    expect(openOne(server, 9, carried)).toBeUndefined();
    expect(server.counters(SLOT).replayed).toBe(1);
    expect(openOne(server, 9, sealOne(client, 0, payload()))).toBeDefined();
  });

  it('wears its epoch out', () => {
    const flows = new StandInFlows();
    const server = makeEnd('server', flows, {}, true, { usage: 200, failures: 2 ** 36 });
    sendTurn(server, 5, [payload()]);
    for (let packet = 0; packet < PACKETS; packet++) flows.carryOut(SENDS, 100, 128, 6);
    expect(sentId(sealOne(server, 7, payload()), true) >> 48n).toBe(2n);
  });

  it('asks for a new key when it has worn the old one out', () => {
    const flows = new StandInFlows();
    const server = makeEnd('server', flows, { renegotiatePackets: 5 });
    sendTurn(server, 5, [payload()]);
    for (let packet = 0; packet < 3; packet++) flows.carryOut(SENDS, 100, 124, 6);
    server.counters(SLOT);
    expect(rareSignals(server)).toEqual([]);
    flows.carryOut(SENDS, 100, 124, 7);
    server.counters(SLOT);
    expect(rareSignals(server)).toMatchObject([{ type: 'renegotiate', slot: SLOT }]);
  });
});

it('names of flows are told apart', () => {
  expect(new Set([0, 1, 2].flatMap((slot) => [slot * 2 + FLOW_RECEIVES, slot * 2 + FLOW_SENDS])).size).toBe(6);
  expect(idOf(1, 2)).toBe(0x1_0000_0002n);
});
