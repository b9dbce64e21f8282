import { ExternalMux } from '@openvpnd/external-mux';
import {
  ADDRESS_LINK,
  FATE_DROPPED,
  FATE_INNER,
  FATE_OPEN,
  FATE_TO_LINK,
  NO_SLOT,
  PacketVector,
} from '@openvpnd/memory';
import { type LinkConditions, SeededRandom, type SimLink, SimNetwork, VirtualClock } from '@openvpnd/testkit';
import { firstByte, P_DATA_V2 } from '@openvpnd/wire';
import { describe, expect, it } from 'vitest';

const CLIENTS = 5;
const HEADER_BYTES = 4;

/** A sealed packet of these simulations: header, then the sender's secret (its tag), then a serial number (its packet id). */
function sealed(peerId: number, secret: number, serial: number): Uint8Array {
  const packet = new Uint8Array(12);
  packet.set([firstByte(P_DATA_V2, 0), 0, 0, peerId, secret]);
  new DataView(packet.buffer).setUint32(8, serial);
  return packet;
}

/** A server whose clients send 50 packets a second, and which answers each. */
class World {
  readonly clock: VirtualClock = new VirtualClock(0);
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  readonly server: SimLink;
  readonly clients: SimLink[] = [];
  readonly mux: ExternalMux;
  readonly answered: number[] = new Array<number>(CLIENTS).fill(0);
  /** Packets that reached a client and were another's. */
  misdirected = 0;
  floats = 0;
  #serial = 0;

  constructor(seed: number, conditions: Partial<LinkConditions>) {
    this.random = new SeededRandom(seed);
    this.network = new SimNetwork({ clock: this.clock, random: this.random.fork('network'), conditions });
    this.server = this.network.openLink('192.0.2.1', 1194);
    this.mux = new ExternalMux({ random: this.random.fork('mux'), maxPeers: CLIENTS, role: 'server' });
    this.server.watch({ readable: () => this.#serve(), writable() {}, failed() {} });
    for (let slot = 0; slot < CLIENTS; slot += 1) {
      const client = this.network.openLink(`198.51.100.${slot + 1}`, 5000);
      this.clients.push(client);
      const address = this.network.publicAddress(client);
      address[ADDRESS_LINK] = this.server.id;
      expect(this.mux.addPeer(slot, address)).toBe(true);
      client.watch({ readable: () => this.#receive(client, slot), writable() {}, failed() {} });
    }
  }

  run(milliseconds: number, everyMs: number, happen: () => void): void {
    const to = this.server.localAddress();
    for (let at = 0; at < milliseconds; at += 20) {
      if (at % everyMs === 0) happen();
      for (const [slot, client] of this.clients.entries()) {
        this.#serial += 1;
        client.send(sealed(slot, 100 + slot, this.#serial), to);
      }
      this.clock.advanceBy(20);
    }
    this.clock.advanceBy(5000);
  }

  #serve(): void {
    const rx = new PacketVector({ capacity: 64, headroom: 0, packetBytes: 100, tailroom: 0 });
    this.server.receiveBatch(rx);
    this.mux.classifyBatch(this.clock.now(), rx);
    for (let row = 0; row < rx.count; row += 1) {
      if (rx.fate[row] !== FATE_OPEN) continue;
      const authentic = rx.bytes[rx.offset[row] + HEADER_BYTES] === 100 + rx.slot[row];
      rx.fate[row] = authentic ? FATE_INNER : FATE_DROPPED;
    }
    for (const { slot, address } of this.mux.floated(rx)) if (this.mux.commitFloat(slot, address)) this.floats += 1;
    for (let row = 0; row < rx.count; row += 1) if (rx.fate[row] === FATE_INNER) rx.fate[row] = FATE_TO_LINK;
    this.mux.addressBatch(rx);
    this.server.sendBatch(rx);
  }

  #receive(client: SimLink, slot: number): void {
    const rx = new PacketVector({ capacity: 64, headroom: 0, packetBytes: 100, tailroom: 0 });
    client.receiveBatch(rx);
    for (let row = 0; row < rx.count; row += 1) {
      if (rx.bytes[rx.offset[row] + HEADER_BYTES] === 100 + slot) this.answered[slot] += 1;
      else this.misdirected += 1;
    }
  }
}

describe('floating, simulated', () => {
  it('loses nothing but what is under way when NATs forget every second', () => {
    const world = new World(1, { delayMs: 10 });
    world.run(60_000, 1000, () => world.network.rebind(world.clients[0]));
    // 3000 packets each; at a rebinding one answer may be under way.
    expect(world.answered[0]).toBeGreaterThanOrEqual(3000 - 60);
    expect(world.answered.slice(1)).toEqual([3000, 3000, 3000, 3000]);
    expect(world.floats).toBeGreaterThanOrEqual(59);
    expect(world.misdirected).toBe(0);
  });

  it('ends at the right addresses though packets are lost, doubled and overtaken', () => {
    const world = new World(2, { delayMs: 10, jitterMs: 30, loss: 0.1, duplicate: 0.1 });
    world.run(20_000, 5000, () => world.network.rebind(world.clients[1 + world.random.below(2)]));
    for (const [slot, client] of world.clients.entries()) {
      const address = world.network.publicAddress(client);
      address[ADDRESS_LINK] = world.server.id;
      expect(world.mux.lookup(address)).toBe(slot);
    }
    expect(world.misdirected).toBe(0);
  });

  it('does not let an attacker move anybody, nor take an address that is held', () => {
    const world = new World(3, { delayMs: 10 });
    const attacker = world.network.openLink('203.0.113.66', 666);
    let guesses = 0;
    world.run(10_000, 20, () => {
      guesses += 1;
      // From its own address, and from those of others: never with the right tag.
      attacker.send(sealed(guesses % CLIENTS, 7, guesses), world.server.localAddress());
      world.network.spoof(sealed(0, 7, guesses), world.network.publicAddress(world.clients[1]), world.server);
      // Client 2's own packet, replayed from client 3's address: authentic here, but the address is held.
      world.network.spoof(sealed(2, 102, guesses), world.network.publicAddress(world.clients[3]), world.server);
    });
    expect(world.floats).toBe(0);
    const address = world.network.publicAddress(attacker);
    address[ADDRESS_LINK] = world.server.id;
    expect(world.mux.lookup(address)).toBe(NO_SLOT);
    expect(attacker.counters.received).toBe(0);
    expect(world.misdirected).toBe(0);
  });

  it('gives the same run for the same seed', () => {
    const run = () => {
      const world = new World(4, { delayMs: 10, jitterMs: 30, loss: 0.2, duplicate: 0.1, corrupt: 0.05 });
      world.run(5000, 1000, () => world.network.rebind(world.clients[world.random.below(CLIENTS)]));
      return [world.answered, world.floats, world.mux.dropCounts()];
    };
    expect(run()).toEqual(run());
  });
});
