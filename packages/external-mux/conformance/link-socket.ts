import type { LinkSocket } from '@openvpnd/external-mux';
import {
  ADDRESS_FAMILY,
  ADDRESS_LINK,
  ADDRESS_PORT,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_PUNT,
  FATE_RAW,
  FATE_TO_LINK,
  type LinkAddress,
  NO_SLOT,
  PacketVector,
} from '@openvpnd/memory';
import { afterEach, describe, expect, it } from 'vitest';

/** Two links that can reach each other, and the world around them. */
export interface LinkSocketPair {
  readonly a: LinkSocket;
  readonly b: LinkSocket;
  /** Where `b` is reached from `a`, on `a`'s link id; by default `b.localAddress()` with it. */
  readonly addressOfB?: LinkAddress;
  /** Lets the world make some progress; the suite calls it at most {@link MAX_TURNS} times for each thing that it waits for. */
  turn(): Promise<void> | void;
  /** Closes both links and whatever carries them. */
  close(): Promise<void> | void;
}

export const MAX_TURNS = 2000;
/** Packets that every link takes while nobody reads. */
const BACKLOG = 16;

/**
 * What every {@link LinkSocket} for datagrams must do. Run it with each implementation:
 *
 * ```ts
 * describeLinkSocket('dgram', async () => { … });
 * ```
 */
export function describeLinkSocket(name: string, makePair: () => Promise<LinkSocketPair> | LinkSocketPair): void {
  describe(`${name}: LinkSocket`, () => {
    let pair: LinkSocketPair | undefined;

    afterEach(async () => {
      await pair?.close();
      pair = undefined;
    });

    async function open(): Promise<LinkSocketPair> {
      pair = await makePair();
      return pair;
    }

    it('knows its id, protocol and address', async () => {
      const { a, b } = await open();
      expect(a.id).not.toBe(b.id);
      for (const link of [a, b]) {
        expect(link.protocol).toBe('udp');
        const address = link.localAddress();
        expect(address).toHaveLength(ADDRESS_WORDS);
        expect([4, 6]).toContain(address[ADDRESS_FAMILY]);
        expect(address[ADDRESS_PORT]).toBeGreaterThan(0);
        expect(address[ADDRESS_LINK]).toBe(link.id);
        address.fill(0);
        expect(link.localAddress()[ADDRESS_PORT]).toBeGreaterThan(0);
      }
    });

    it('delivers a batch as rows with their source, in order', async () => {
      const world = await open();
      const { a, b } = world;
      const received = collect(b);
      const sizes = [1, 14, 100, 1472, 2];
      const tx = vector();
      for (const [index, size] of sizes.entries()) addRow(tx, pattern(size, index), toB(world));
      await sendAll(world, a, tx);
      for (let row = 0; row < tx.count; row += 1) expect(tx.fate[row]).toBe(FATE_DROPPED);
      await until(world, () => received.packets.length === sizes.length);
      expect(received.packets.map((packet) => packet.bytes)).toEqual(sizes.map((size, index) => pattern(size, index)));
      for (const { source, fate, slot } of received.packets) {
        expect(source[ADDRESS_LINK]).toBe(b.id);
        expect(source[ADDRESS_PORT]).toBe(a.localAddress()[ADDRESS_PORT]);
        expect(fate).toBe(FATE_RAW);
        expect(slot).toBe(NO_SLOT);
      }
    });

    it('answers to the source address of a row, as it stands', async () => {
      const world = await open();
      const { a, b } = world;
      const atA = collect(a);
      const atB = collect(b);
      a.send(pattern(20, 1), toB(world));
      await until(world, () => atB.packets.length === 1);
      b.send(pattern(30, 2), atB.packets[0].source);
      await until(world, () => atA.packets.length === 1);
      expect(atA.packets[0].bytes).toEqual(pattern(30, 2));
    });

    it('leaves alone rows of other fates and of other links', async () => {
      const world = await open();
      const { a, b } = world;
      const received = collect(b);
      const tx = vector();
      const punted = addRow(tx, pattern(10, 1), toB(world));
      tx.fate[punted] = FATE_PUNT;
      const foreign = addRow(tx, pattern(10, 2), toB(world));
      tx.addresses[foreign * ADDRESS_WORDS + ADDRESS_LINK] = a.id + b.id + 1;
      addRow(tx, pattern(10, 3), toB(world));
      await sendAll(world, a, tx);
      expect(tx.fate[punted]).toBe(FATE_PUNT);
      expect(tx.fate[foreign]).toBe(FATE_TO_LINK);
      await until(world, () => received.packets.length > 0);
      expect(received.packets.map((packet) => packet.bytes)).toEqual([pattern(10, 3)]);
    });

    it('copies a single packet before it returns', async () => {
      const world = await open();
      const received = collect(world.b);
      const packet = pattern(40, 9);
      const to = toB(world);
      world.a.send(packet, to);
      packet.fill(0xdd);
      to.fill(0);
      await until(world, () => received.packets.length === 1);
      expect(received.packets[0].bytes).toEqual(pattern(40, 9));
    });

    it('does not use the vector after sendBatch returned', async () => {
      const world = await open();
      const received = collect(world.b);
      const tx = vector();
      addRow(tx, pattern(40, 9), toB(world));
      await sendAll(world, world.a, tx);
      tx.bytes.fill(0xdd);
      tx.addresses.fill(0);
      await until(world, () => received.packets.length === 1);
      expect(received.packets[0].bytes).toEqual(pattern(40, 9));
    });

    it('fills a small vector and calls again for the rest', async () => {
      const world = await open();
      const received = collect(world.b, vector(2));
      for (let index = 0; index < 7; index += 1) world.a.send(pattern(10 + index, index), toB(world));
      await until(world, () => received.packets.length === 7);
      expect(received.largest).toBeLessThanOrEqual(2);
      expect(received.packets.map((packet) => packet.bytes.length)).toEqual([10, 11, 12, 13, 14, 15, 16]);
    });

    it('appends behind the rows that stand already', async () => {
      const world = await open();
      const rx = vector(4);
      rx.appendCopy(pattern(5, 5));
      let readable = false;
      world.b.watch({
        ...deaf,
        readable: () => {
          readable = true;
        },
      });
      world.a.send(pattern(6, 6), toB(world));
      await until(world, () => readable);
      expect(world.b.receiveBatch(rx)).toBe(1);
      expect(rx.count).toBe(2);
      expect(rx.packet(0)).toEqual(pattern(5, 5));
      expect(rx.packet(1)).toEqual(pattern(6, 6));
      expect(world.b.receiveBatch(rx)).toBe(0);
    });

    it('drops a packet that is larger than a row, and delivers its neighbours', async () => {
      const world = await open();
      const received = collect(world.b, vector(8, 100));
      world.a.send(pattern(100, 1), toB(world));
      world.a.send(pattern(101, 2), toB(world));
      world.a.send(pattern(99, 3), toB(world));
      await until(world, () => received.packets.length === 2);
      await settle(world);
      expect(received.packets.map((packet) => packet.bytes)).toEqual([pattern(100, 1), pattern(99, 3)]);
    });

    it('keeps what it holds while paused, and tells of it on resume', async () => {
      const world = await open();
      const received = collect(world.b);
      world.b.pause();
      for (let index = 0; index < BACKLOG; index += 1) world.a.send(pattern(10, index), toB(world));
      await settle(world);
      expect(received.packets).toHaveLength(0);
      world.b.resume();
      await until(world, () => received.packets.length === BACKLOG);
      expect(received.packets.map((packet) => packet.bytes)).toEqual(
        Array.from({ length: BACKLOG }, (_, index) => pattern(10, index)),
      );
    });

    it('tells a watcher that comes late of what waits', async () => {
      const world = await open();
      world.a.send(pattern(10, 1), toB(world));
      await settle(world);
      const received = collect(world.b);
      await until(world, () => received.packets.length === 1);
    });

    it('replaces the watcher', async () => {
      const world = await open();
      const first = collect(world.b);
      const second = collect(world.b);
      world.a.send(pattern(10, 1), toB(world));
      await until(world, () => second.packets.length === 1);
      expect(first.packets).toHaveLength(0);
    });

    it('survives a send to nobody', async () => {
      const world = await open();
      const received = collect(world.b);
      const nobody = toB(world);
      nobody[ADDRESS_PORT] = nobody[ADDRESS_PORT] === 9 ? 10 : 9;
      for (let index = 0; index < 3; index += 1) world.a.send(pattern(10, index), nobody);
      await settle(world);
      world.a.send(pattern(11, 1), toB(world));
      await until(world, () => received.packets.length === 1);
      expect(received.packets[0].bytes).toEqual(pattern(11, 1));
    });

    it('loses a packet that no datagram holds, and goes on', async () => {
      const world = await open();
      const received = collect(world.b);
      const tx = vector(2, 65_520);
      addRow(tx, pattern(65_515, 1), toB(world));
      addRow(tx, pattern(12, 2), toB(world));
      await sendAll(world, world.a, tx);
      await until(world, () => received.packets.length === 1);
      expect(received.packets[0].bytes).toEqual(pattern(12, 2));
      world.a.send(pattern(65_515, 3), toB(world));
      world.a.send(pattern(13, 4), toB(world));
      await until(world, () => received.packets.length === 2);
    });

    it('knows no empty packet: none arrives, and one that is to be sent holds up nobody', async () => {
      const world = await open();
      const received = collect(world.b);
      const tx = vector(3, 100);
      for (const length of [0, 12, 0]) addRow(tx, pattern(length, 2), toB(world));
      await sendAll(world, world.a, tx);
      expect([...tx.fate.subarray(0, tx.count)]).toEqual([FATE_DROPPED, FATE_DROPPED, FATE_DROPPED]);
      world.a.send(new Uint8Array(0), toB(world));
      world.a.send(pattern(13, 3), toB(world));
      await until(world, () => received.packets.length === 2);
      await settle(world);
      expect(received.packets.map((packet) => packet.bytes)).toEqual([pattern(12, 2), pattern(13, 3)]);
    });

    it('closes twice, and is silent then', async () => {
      const world = await open();
      const received = collect(world.b);
      world.a.send(pattern(10, 1), toB(world));
      world.b.close();
      world.b.close();
      world.a.send(pattern(10, 2), toB(world));
      await settle(world);
      expect(received.packets).toHaveLength(0);
      expect(received.failures).toEqual([]);
      expect(world.b.receiveBatch(vector())).toBe(0);
      world.b.send(pattern(1, 1), toB(world));
      const tx = vector();
      const own = toB(world);
      own[ADDRESS_LINK] = world.b.id;
      const row = addRow(tx, pattern(1, 1), own);
      expect(world.b.sendBatch(tx)).toBe(true);
      expect(tx.fate[row]).toBe(FATE_DROPPED);
      world.b.pause();
      world.b.resume();
    });
  });
}

interface Received {
  readonly bytes: Uint8Array;
  readonly source: LinkAddress;
  readonly fate: number;
  readonly slot: number;
}

const deaf = { readable: () => {}, writable: () => {}, failed: () => {} };

function vector(capacity = 64, packetBytes = 2048): PacketVector {
  return new PacketVector({ capacity, headroom: 64, packetBytes, tailroom: 32 });
}

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + seed * 7) & 0xff);
}

function toB({ a, b, addressOfB }: LinkSocketPair): LinkAddress {
  const address = (addressOfB ?? b.localAddress()).slice();
  address[ADDRESS_LINK] = a.id;
  return address;
}

function addRow(tx: PacketVector, packet: Uint8Array, to: LinkAddress): number {
  const row = tx.appendCopy(packet);
  tx.addresses.set(to, row * ADDRESS_WORDS);
  tx.fate[row] = FATE_TO_LINK;
  return row;
}

/** Installs a watcher that reads as the event loop does, once for each call. */
function collect(link: LinkSocket, rx = vector()): { packets: Received[]; largest: number; failures: Error[] } {
  const result: { packets: Received[]; largest: number; failures: Error[] } = { packets: [], largest: 0, failures: [] };
  link.watch({
    readable() {
      rx.reset();
      const added = link.receiveBatch(rx);
      expect(added).toBe(rx.count);
      result.largest = Math.max(result.largest, added);
      for (let row = 0; row < rx.count; row += 1) {
        result.packets.push({
          bytes: rx.packet(row).slice(),
          source: rx.addresses.slice(row * ADDRESS_WORDS, (row + 1) * ADDRESS_WORDS),
          fate: rx.fate[row],
          slot: rx.slot[row],
        });
      }
    },
    writable() {},
    failed(error) {
      result.failures.push(error);
    },
  });
  return result;
}

/** Offers the vector until the link has taken all of it. */
async function sendAll(world: LinkSocketPair, link: LinkSocket, tx: PacketVector): Promise<void> {
  let turns = 0;
  while (!link.sendBatch(tx)) {
    turns += 1;
    if (turns > MAX_TURNS) throw new Error('the link stays full');
    await world.turn();
  }
}

async function until(world: LinkSocketPair, condition: () => boolean): Promise<void> {
  for (let turns = 0; turns < MAX_TURNS && !condition(); turns += 1) await world.turn();
  expect(condition(), 'nothing more happened').toBe(true);
}

/** Time enough for what ought not to happen. */
async function settle(world: LinkSocketPair): Promise<void> {
  for (let turns = 0; turns < 20; turns += 1) await world.turn();
}
