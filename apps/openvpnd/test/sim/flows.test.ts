import { FLOW_RECEIVES, FLOW_SENDS, type FlowOffload } from '@openvpnd/data-channel';
import type { ChangeCount } from '@openvpnd/memory';
import { innerUdp } from '@openvpnd/testkit';
import { describe, expect, test } from 'vitest';
import { SERVER_HOST } from './sim-config.js';
import { SimWorld } from './sim-world.js';

/** Writes down what is granted, and carries nothing: the ends see all packets. */
class Grants implements FlowOffload {
  readonly names: number[] = [];
  readonly changes: ChangeCount;

  constructor(changes: ChangeCount) {
    this.changes = changes;
  }

  receive(_vector: unknown, _key: number, flow: number, packets: number): number {
    return this.#grant(flow, packets);
  }

  note(): boolean {
    return true;
  }

  send(_vector: unknown, _key: number, flow: number, _high: number, _low: number, packets: number): number {
    return this.#grant(flow, packets);
  }

  revoke(place: number): number {
    return place;
  }

  drain(): void {}

  #grant(flow: number, packets: number): number {
    this.names.push(flow);
    return packets;
  }
}

/** A server and a client that are connected, and what both grant from then on. */
function connected(config: { readonly server?: readonly string[]; readonly client?: readonly string[] } = {}) {
  const ends = new Map<string, Grants>();
  const world = new SimWorld({
    seed: 4,
    conditions: { delayMs: 5 },
    flows: (end, changes) => {
      const grants = new Grants(changes);
      ends.set(end, grants);
      return grants;
    },
  });
  const server = world.server({ config: config.server ?? [] });
  const [client] = world.clients(1, { config: config.client ?? [] });
  world.until('connected', () => server.connected === 1 && client.connected, 30);
  world.advanceSeconds(1);
  const grantsOf = (end: string): Grants => {
    const grants = ends.get(end);
    if (grants === undefined) throw new Error(end);
    return grants;
  };
  for (const grants of ends.values()) grants.names.length = 0;
  return { world, client, grantsOf };
}

describe('packets that come alone', () => {
  test('both ends grant flows for them, in both directions, and nothing is lost by it', () => {
    const { world, grantsOf } = connected();
    const flows = world.traffic.between('client0', 'server', { intervalMs: 100 });
    world.finishTraffic(5);
    for (const end of ['server', 'client0']) {
      const { names } = grantsOf(end);
      expect(new Set(names.map((name) => name % 2))).toEqual(new Set([FLOW_RECEIVES, FLOW_SENDS]));
    }
    expect(flows.map((flow) => flow.lost)).toEqual([0, 0]);
    expect(world.traffic.misdelivered + world.traffic.damaged).toBe(0);
  });

  test('with --passtos each has its own outer TOS: none is sent by a flow', () => {
    const { world, grantsOf } = connected({ server: ['passtos'], client: ['passtos'] });
    world.traffic.between('client0', 'server', { intervalMs: 100 });
    world.finishTraffic(5);
    for (const end of ['server', 'client0']) {
      expect(new Set(grantsOf(end).names.map((name) => name % 2))).toEqual(new Set([FLOW_RECEIVES]));
    }
  });

  test('a packet from where its peer was not before is granted nothing', () => {
    const { world, client, grantsOf } = connected();
    const flow = world.traffic.flow('client0', 'server', { intervalMs: 100 });
    world.advanceSeconds(2);
    world.network.rebind(client.link);
    world.finishTraffic(2);
    expect(flow.arrived.size).toBeGreaterThan(20);
    expect(grantsOf('server').names).toHaveLength(flow.arrived.size - 1);
  });

  test('a client sends nothing by a flow to where the tunnel itself goes, where ports decide', () => {
    const { world, client, grantsOf } = connected();
    const packetTo = (destination: readonly number[]): Uint8Array =>
      innerUdp({ source: [10, 8, 0, 2], destination, payload: Buffer.from('x'), destinationPort: 53 });
    const outer = SERVER_HOST.split('.').map(Number);
    client.device.inject(packetTo(outer));
    world.advanceSeconds(1);
    expect(grantsOf('client0').names).toEqual([]);
    client.device.inject(packetTo([10, 8, 0, 1]));
    world.advanceSeconds(1);
    expect(grantsOf('client0').names).toEqual([FLOW_SENDS]);
  });

  test('where the peer has moved is a change, and so is a client that goes', () => {
    const { world, client, grantsOf } = connected();
    const { changes } = grantsOf('server');
    let before = changes.word[0];
    world.traffic.between('client0', 'server', { intervalMs: 100 });
    world.advanceSeconds(2);
    expect(changes.word[0]).toBe(before);
    world.network.rebind(client.link);
    world.advanceSeconds(2);
    expect(changes.word[0]).toBeGreaterThan(before);
    before = changes.word[0];
    client.signal('SIGTERM');
    world.advanceSeconds(200);
    expect(changes.word[0]).toBeGreaterThan(before);
  });
});
