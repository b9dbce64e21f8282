import { formatLinkAddress, linkAddress } from '@openvpnd/external-mux';
import { describeLinkSocket } from '@openvpnd/external-mux/conformance';
import { ADDRESS_LINK, ADDRESS_WORDS, FATE_TO_LINK, type LinkAddress, PacketVector } from '@openvpnd/memory';
import {
  BLACKHOLE,
  type LinkConditions,
  SeededRandom,
  type SimLink,
  SimNetwork,
  VirtualClock,
} from '@openvpnd/testkit';
import { describe, expect, it } from 'vitest';

interface World {
  readonly clock: VirtualClock;
  readonly network: SimNetwork;
  readonly a: SimLink;
  readonly b: SimLink;
}

function makeWorld(conditions?: Partial<LinkConditions>, seed = 1): World {
  const clock = new VirtualClock(0);
  const network = new SimNetwork({ clock, random: new SeededRandom(seed), conditions });
  return { clock, network, a: network.openLink('192.0.2.1', 5000), b: network.openLink('192.0.2.2', 1194) };
}

describeLinkSocket('SimLink', () => {
  const { clock, a, b } = makeWorld();
  return { a, b, turn: () => clock.advanceBy(1), close: () => {} };
});

function to(link: SimLink, address: LinkAddress): LinkAddress {
  const words = address.slice();
  words[ADDRESS_LINK] = link.id;
  return words;
}

function vector(): PacketVector {
  return new PacketVector({ capacity: 16, headroom: 0, packetBytes: 2000, tailroom: 0 });
}

/** Receives all that comes, with the instant of arrival. */
function collect({ clock }: World, link: SimLink): { text: string; at: number; from: string }[] {
  const rx = vector();
  const received: { text: string; at: number; from: string }[] = [];
  link.watch({
    readable() {
      rx.reset();
      link.receiveBatch(rx);
      for (let row = 0; row < rx.count; row += 1) {
        const from = rx.addresses.subarray(row * ADDRESS_WORDS, (row + 1) * ADDRESS_WORDS);
        const text = Buffer.from(rx.packet(row)).toString('latin1');
        received.push({ text, at: clock.now(), from: formatLinkAddress(from) });
      }
    },
    writable() {},
    failed() {},
  });
  return received;
}

function send(world: World, count: number, everyMs = 1): void {
  for (let index = 0; index < count; index += 1) {
    world.clock.schedule(world.clock.now() + index * everyMs, () => {
      world.a.send(Buffer.from(`packet ${index}`), to(world.a, world.network.publicAddress(world.b)));
    });
  }
  world.clock.advanceBy(count * everyMs + 60_000);
}

describe('SimNetwork', () => {
  it('delivers after the delay', () => {
    const world = makeWorld({ delayMs: 25 });
    const received = collect(world, world.b);
    send(world, 2, 10);
    expect(received).toEqual([
      { text: 'packet 0', at: 25, from: '[AF_INET]192.0.2.1:5000' },
      { text: 'packet 1', at: 35, from: '[AF_INET]192.0.2.1:5000' },
    ]);
  });

  it.each(['loss', 'duplicate', 'corrupt', 'reorder'] as const)('does %s at its rate, reproducibly', (fault) => {
    const run = (seed: number) => {
      const world = makeWorld({ [fault]: 0.25, reorderMs: 10, jitterMs: 0.5 }, seed);
      const received = collect(world, world.b);
      send(world, 1000);
      return { received, counters: world.network.counters };
    };
    const first = run(1);
    expect(run(1)).toEqual(first);
    expect(run(2).received).not.toEqual(first.received);
    const { lost, duplicated, corrupted, reordered } = first.counters;
    const done = { loss: lost, duplicate: duplicated, corrupt: corrupted, reorder: reordered };
    expect(Math.abs(done[fault] - 250)).toBeLessThan(60);
    expect(first.received).toHaveLength(1000 - lost + duplicated);
    if (fault === 'corrupt') return;
    const overtaken = first.received.some((packet, index) => {
      const before = first.received[index - 1];
      return before !== undefined && Number(packet.text.slice(7)) < Number(before.text.slice(7));
    });
    expect(overtaken).toBe(fault === 'reorder');
  });

  it('loses in bursts', () => {
    const world = makeWorld({ burst: 0.01, burstMs: 50 });
    const received = collect(world, world.b);
    send(world, 2000);
    expect(2000 - received.length).toBeGreaterThan(300);
    const gaps = received.slice(1).map((packet, index) => packet.at - received[index].at);
    expect(Math.min(...gaps.filter((gap) => gap > 1.5))).toBeGreaterThan(49);
  });

  it('drops above the path MTU and only there', () => {
    const world = makeWorld({ mtuBytes: 100 });
    const received = collect(world, world.b);
    world.a.send(new Uint8Array(101), to(world.a, world.b.localAddress()));
    world.a.send(new Uint8Array(100), to(world.a, world.b.localAddress()));
    world.clock.advanceBy(10);
    expect(received.map(({ text }) => text.length)).toEqual([100]);
  });

  it('blackholes one direction only', () => {
    const world = makeWorld();
    const [atA, atB] = [collect(world, world.a), collect(world, world.b)];
    world.network.setConditions(world.a, world.b, BLACKHOLE);
    send(world, 1);
    world.b.send(new Uint8Array(1), to(world.b, world.a.localAddress()));
    world.clock.advanceBy(10);
    expect([atA.length, atB.length]).toEqual([1, 0]);
    world.network.setConditions(world.a, world.b, undefined);
    send(world, 1);
    expect(atB).toHaveLength(1);
  });

  it('does not let one path disturb another', () => {
    const run = (noise: boolean) => {
      const world = makeWorld({ loss: 0.5 });
      const received = collect(world, world.b);
      const other = world.network.openLink('192.0.2.3');
      if (noise) for (let i = 0; i < 10; i += 1) other.send(new Uint8Array(1), to(other, world.a.localAddress()));
      send(world, 100);
      return received.map(({ text }) => text);
    };
    expect(run(true)).toEqual(run(false));
  });

  it('rebinds: a new source, and the old address is dead', () => {
    const world = makeWorld();
    const [atA, atB] = [collect(world, world.a), collect(world, world.b)];
    const old = world.network.publicAddress(world.a);
    world.network.rebind(world.a, 6000);
    send(world, 1);
    expect(atB[0].from).toBe('[AF_INET]192.0.2.1:6000');
    world.b.send(Buffer.from('old'), to(world.b, old));
    world.b.send(Buffer.from('new'), to(world.b, world.network.publicAddress(world.a)));
    world.clock.advanceBy(10);
    expect(atA.map(({ text }) => text)).toEqual(['new']);
    expect(formatLinkAddress(world.a.localAddress())).toBe('[AF_INET]192.0.2.1:5000');
    world.network.rebind(world.a, 7000, '198.51.100.9');
    send(world, 1);
    expect(atB[1].from).toBe('[AF_INET]198.51.100.9:7000');
    expect(() => world.network.rebind(world.a, 1194, '192.0.2.2')).toThrow(RangeError);
  });

  it('swaps the addresses of two links', () => {
    const world = makeWorld();
    const third = world.network.openLink('192.0.2.3', 1);
    world.network.swapAddresses(world.b, third);
    const [atB, atThird] = [collect(world, world.b), collect(world, third)];
    world.a.send(Buffer.from('x'), to(world.a, linkAddress({ family: 4, address: '192.0.2.3', port: 1 })));
    world.clock.advanceBy(10);
    expect([atB.length, atThird.length]).toEqual([1, 0]);
  });

  it('refuses a second link on an address, and frees it on close', () => {
    const world = makeWorld();
    expect(() => world.network.openLink('192.0.2.2', 1194)).toThrow(/in use/);
    world.b.close();
    expect(world.network.openLink('192.0.2.2', 1194).id).not.toBe(world.b.id);
    expect(() => world.network.openLink('nowhere', 1)).toThrow(RangeError);
  });

  it('bounds what waits in a socket', () => {
    const world = makeWorld();
    const small = world.network.openLink('192.0.2.9', 9, { queuePackets: 3 });
    for (let i = 0; i < 5; i += 1) world.a.send(new Uint8Array(1), to(world.a, small.localAddress()));
    world.clock.advanceBy(10);
    expect(small.counters.overflowed).toBe(2);
    expect(small.receiveBatch(vector())).toBe(3);
  });

  it('refuses while stalled, and says when there is room', () => {
    const world = makeWorld();
    const received = collect(world, world.b);
    let writable = 0;
    world.a.watch({
      readable() {},
      writable: () => {
        writable += 1;
      },
      failed() {},
    });
    const tx = vector();
    const row = tx.appendCopy(new Uint8Array(5));
    tx.fate[row] = FATE_TO_LINK;
    tx.addresses.set(to(world.a, world.b.localAddress()), 0);
    world.a.stall();
    expect(world.a.sendBatch(tx)).toBe(false);
    expect(tx.fate[row]).toBe(FATE_TO_LINK);
    world.a.send(new Uint8Array(1), to(world.a, world.b.localAddress()));
    world.a.unstall();
    world.clock.advanceBy(10);
    expect([writable, received.length]).toEqual([1, 0]);
    expect(world.a.sendBatch(tx)).toBe(true);
    world.clock.advanceBy(10);
    expect([writable, received.length]).toEqual([1, 1]);
  });

  it('carries streams without loss, and breaks the other end', () => {
    const world = makeWorld({ loss: 1, delayMs: 5, jitterMs: 5 });
    const [client, server] = world.network.openStream(['192.0.2.1', 7000], ['192.0.2.2', 1194]);
    const received = collect(world, server);
    for (let index = 0; index < 20; index += 1) client.send(Buffer.from(`${index}`), to(client, server.localAddress()));
    world.clock.advanceBy(20);
    expect(received.map(({ text }) => text)).toEqual(Array.from({ length: 20 }, (_, index) => `${index}`));
    let failure: Error | undefined;
    server.watch({
      readable() {},
      writable() {},
      failed: (error) => {
        failure = error;
      },
    });
    client.close();
    world.clock.advanceBy(20);
    expect(failure).toMatchObject({ code: 'ECONNRESET' });
  });

  it('lets an attacker speak from any address', () => {
    const world = makeWorld();
    const received = collect(world, world.b);
    world.network.spoof(Buffer.from('evil'), linkAddress({ family: 4, address: '203.0.113.7', port: 53 }), world.b);
    world.clock.advanceBy(1);
    expect(received).toEqual([{ text: 'evil', at: 0, from: '[AF_INET]203.0.113.7:53' }]);
  });

  it('shows packets to a tap before their fate', () => {
    const world = makeWorld(BLACKHOLE);
    const seen: string[] = [];
    world.network.tap((packet, from, target) => {
      seen.push(`${packet.length} ${formatLinkAddress(from)} ${formatLinkAddress(target)}`);
    });
    send(world, 1);
    world.network.tap(undefined);
    send(world, 1);
    expect(seen).toEqual(['8 [AF_INET]192.0.2.1:5000 [AF_INET]192.0.2.2:1194']);
  });
});
