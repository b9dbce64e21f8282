import { TlsMulti } from '@openvpnd/control-processor';
import { ADDRESS_LINK, ADDRESS_WORDS, PacketVector } from '@openvpnd/memory';
import { P_CONTROL_V1 } from '@openvpnd/wire';
import { afterEach, expect, test, vi } from 'vitest';
import { CONTROL_STEPS_PER_BATCH } from '../../src/server/control-backlog.js';
import { Newcomers } from '../../src/server/newcomers.js';
import { SimWorld } from './sim-world.js';

const CLIENTS = 6;
const EACH = 10;

afterEach(() => {
  vi.restoreAllMocks();
});

test('one batch of control packets costs a few steps; the rest is done in later turns, in order, and none is lost', () => {
  const world = new SimWorld({ seed: 1 });
  /** A control packet of each client, by its address. */
  const heard = new Map<string, { readonly packet: Uint8Array; readonly from: Uint32Array }>();
  const server = world.server();
  world.network.tap((packet, from) => {
    if (packet[0] >> 3 === P_CONTROL_V1) heard.set(from.join(), { packet: packet.slice(), from: from.slice() });
  });
  const clients = world.clients(CLIENTS);
  world.until('connected', () => clients.every((client) => client.connected) && server.connected === CLIENTS, 30);
  const ofClients = clients.map((client) => heard.get(world.network.publicAddress(client.run.link).join()));
  const rx = new PacketVector({ capacity: CLIENTS * EACH, headroom: 0, packetBytes: 2048, tailroom: 0 });
  for (let round = 0; round < EACH; round += 1) {
    for (const one of ofClients) {
      if (one === undefined) throw new TypeError('each client has spoken');
      const row = rx.appendCopy(one.packet);
      rx.addresses.set(one.from, row * ADDRESS_WORDS);
      rx.addresses[row * ADDRESS_WORDS + ADDRESS_LINK] = server.run.link.id;
    }
  }
  const taken: TlsMulti[] = [];
  const { handlePacket } = TlsMulti.prototype;
  vi.spyOn(TlsMulti.prototype, 'handlePacket').mockImplementation(function (this: TlsMulti, now, packet) {
    taken.push(this);
    return handlePacket.call(this, now, packet);
  });
  const { tunnel } = server.modules;
  const out = new PacketVector({ capacity: 64, headroom: 128, packetBytes: 2048, tailroom: 32 });
  tunnel.handleLinkBatch(world.clock.now(), rx);
  expect(taken).toHaveLength(CONTROL_STEPS_PER_BATCH);
  expect(CONTROL_STEPS_PER_BATCH).toBeLessThanOrEqual(16);
  for (let turn = 2; taken.length < CLIENTS * EACH; turn += 1) {
    expect(tunnel.nextTimeout()).toBeLessThanOrEqual(world.clock.now());
    out.reset();
    tunnel.handleTimeout(world.clock.now(), out);
    expect(taken).toHaveLength(Math.min(turn * CONTROL_STEPS_PER_BATCH, CLIENTS * EACH));
  }
  const order = [...new Set(taken)];
  expect(order).toHaveLength(CLIENTS);
  expect(taken).toEqual(Array.from({ length: CLIENTS * EACH }, (_, index) => order[index % CLIENTS]));
});

test('of those who come at once a few become clients in a turn, the others in later ones', () => {
  const many = 20;
  const world = new SimWorld({ seed: 1 });
  const server = world.server();
  /** What strangers say who have shown a cookie; nobody hears it yet. */
  const said: { readonly packet: Uint8Array; readonly from: Uint32Array }[] = [];
  const { handlePacket } = Newcomers.prototype;
  const unheard = vi.spyOn(Newcomers.prototype, 'handlePacket').mockImplementation(function (
    this: Newcomers,
    now,
    packet,
    address,
    mayBegin,
    actions,
  ) {
    if (packet[0] >> 3 !== P_CONTROL_V1) return handlePacket.call(this, now, packet, address, mayBegin, actions);
    said.push({ packet, from: address });
    return false;
  });
  const clients = world.clients(many);
  world.until('all have come', () => new Set(said.map(({ from }) => from.join())).size === many, 30);
  unheard.mockRestore();
  const rx = new PacketVector({ capacity: said.length, headroom: 0, packetBytes: 2048, tailroom: 0 });
  for (const { packet, from } of said) rx.addresses.set(from, rx.appendCopy(packet) * ADDRESS_WORDS);
  const { tunnel } = server.modules;
  const out = new PacketVector({ capacity: 64, headroom: 128, packetBytes: 2048, tailroom: 32 });
  tunnel.handleLinkBatch(world.clock.now(), rx);
  expect(tunnel.population.all).toBe(CONTROL_STEPS_PER_BATCH);
  for (let turn = 2; tunnel.population.all < many; turn += 1) {
    expect(tunnel.nextTimeout()).toBeLessThanOrEqual(world.clock.now());
    const before = tunnel.population.all;
    out.reset();
    tunnel.handleTimeout(world.clock.now(), out);
    expect(tunnel.population.all - before).toBeLessThanOrEqual(CONTROL_STEPS_PER_BATCH);
    expect(turn).toBeLessThan(2 * said.length);
  }
  world.until('connected', () => clients.every((client) => client.connected) && server.connected === many, 30);
});
