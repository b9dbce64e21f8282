import type { TunDevice } from '@openvpnd/internal-mux';
import { FATE_DROPPED, FATE_INNER, FATE_SEAL, FATE_TO_DEVICE, NO_SLOT, PacketVector } from '@openvpnd/memory';
import { afterEach, describe, expect, it } from 'vitest';

/** A device and the system on its other side. */
export interface TunDeviceWorld {
  readonly device: TunDevice;
  /** An IP packet that the system routes into the device; calls with different `index` give different ones. `bytes` is its whole length. */
  packetOut(index: number, bytes: number): Uint8Array;
  /** Makes the system send exactly this packet (made by `packetOut`) into the device. */
  inject(packet: Uint8Array): Promise<void> | void;
  /** An IP packet that the system accepts from the device. */
  packetIn(index: number, bytes: number): Uint8Array;
  /** Removes and returns what came out on the system's side, in the form of `delivered`. */
  takeDelivered(): Uint8Array[];
  /** What `takeDelivered` gives for such a packet: the packet itself, or its payload where the system shows no more. */
  delivered(packet: Uint8Array): Uint8Array;
  /** Lets the world make some progress. */
  turn(): Promise<void> | void;
  close(): Promise<void> | void;
}

export const MAX_TURNS = 2000;

/** What every {@link TunDevice} must do, tun or simulated. */
export function describeTunDevice(name: string, makeWorld: () => Promise<TunDeviceWorld> | TunDeviceWorld): void {
  describe(`${name}: TunDevice`, () => {
    let world: TunDeviceWorld | undefined;

    afterEach(async () => {
      await world?.close();
      world = undefined;
    });

    async function open(): Promise<TunDeviceWorld> {
      world = await makeWorld();
      return world;
    }

    it('has a name', async () => {
      expect((await open()).device.name).toMatch(/^[^\s/]{1,15}$/);
    });

    it('reads what the system sends as inner rows without a slot', async () => {
      const opened = await open();
      const read = collect(opened);
      const packets = [1, 2, 3].map((index) => opened.packetOut(index, 60 + 100 * index));
      for (const packet of packets) await opened.inject(packet);
      await until(opened, () => packets.every((packet) => read.packets.some((other) => equal(packet, other.bytes))));
      for (const { fate, slot, offset } of read.packets) {
        expect(fate).toBe(FATE_INNER);
        expect(slot).toBe(NO_SLOT);
        expect(offset).toBeGreaterThanOrEqual(64);
      }
    });

    it('fills a small vector and calls again for the rest', async () => {
      const opened = await open();
      const read = collect(opened, vector(1));
      const packets = [1, 2, 3, 4].map((index) => opened.packetOut(index, 100));
      for (const packet of packets) await opened.inject(packet);
      await until(opened, () => packets.every((packet) => read.packets.some((other) => equal(packet, other.bytes))));
      expect(read.largest).toBe(1);
    });

    it('answers 0 when nothing waits', async () => {
      const opened = await open();
      await drain(opened);
      const tx = vector();
      // A system may send packets of its own at any time, one for each address that it has just got.
      for (let reads = 0; reads < 10 && opened.device.readBatch(tx) > 0; reads += 1) tx.reset();
      expect(opened.device.readBatch(tx)).toBe(0);
      expect(tx.count).toBe(0);
    });

    it('writes rows for the device, whole and in order, and no others', async () => {
      const opened = await open();
      opened.takeDelivered();
      const rx = vector();
      const packets = [1, 2, 3, 4].map((index) => opened.packetIn(index, 60 + 50 * index));
      for (const packet of packets) rx.fate[rx.appendCopy(packet)] = FATE_TO_DEVICE;
      rx.fate[2] = FATE_SEAL;
      opened.device.writeBatch(rx);
      expect([...rx.fate.subarray(0, 4)]).toEqual([FATE_DROPPED, FATE_DROPPED, FATE_SEAL, FATE_DROPPED]);
      rx.bytes.fill(0xdd);
      const delivered: Uint8Array[] = [];
      await until(opened, () => {
        delivered.push(...opened.takeDelivered());
        return delivered.length >= 3;
      });
      expect(delivered).toEqual([packets[0], packets[1], packets[3]].map((packet) => opened.delivered(packet)));
    });

    it('loses what the system refuses, and goes on', async () => {
      const opened = await open();
      opened.takeDelivered();
      const rx = vector();
      rx.fate[rx.appendCopy(new Uint8Array([0xff]))] = FATE_TO_DEVICE;
      rx.fate[rx.append()] = FATE_TO_DEVICE;
      rx.fate[rx.appendCopy(opened.packetIn(1, 100))] = FATE_TO_DEVICE;
      opened.device.writeBatch(rx);
      expect([...rx.fate.subarray(0, 3)]).toEqual([FATE_DROPPED, FATE_DROPPED, FATE_DROPPED]);
      const delivered: Uint8Array[] = [];
      const wanted = opened.delivered(opened.packetIn(1, 100));
      await until(opened, () => {
        delivered.push(...opened.takeDelivered());
        return delivered.some((packet) => equal(packet, wanted));
      });
    });

    it('keeps what waits while paused, and tells of it on resume', async () => {
      const opened = await open();
      await drain(opened);
      const read = collect(opened);
      opened.device.pause();
      const packets = [1, 2, 3].map((index) => opened.packetOut(index, 100));
      for (const packet of packets) await opened.inject(packet);
      await settle(opened);
      expect(read.packets).toHaveLength(0);
      opened.device.resume();
      await until(opened, () => packets.every((packet) => read.packets.some((other) => equal(packet, other.bytes))));
    });

    it('closes twice, and is silent then', async () => {
      const opened = await open();
      const read = collect(opened);
      await opened.inject(opened.packetOut(1, 100));
      opened.device.close();
      opened.device.close();
      const before = read.packets.length;
      await settle(opened);
      expect(read.packets).toHaveLength(before);
      expect(read.failures).toEqual([]);
      expect(opened.device.readBatch(vector())).toBe(0);
      const rx = vector();
      rx.fate[rx.appendCopy(opened.packetIn(1, 100))] = FATE_TO_DEVICE;
      opened.device.writeBatch(rx);
      expect(rx.fate[0]).toBe(FATE_DROPPED);
      opened.device.pause();
      opened.device.resume();
    });
  });
}

interface Read {
  readonly bytes: Uint8Array;
  readonly fate: number;
  readonly slot: number;
  readonly offset: number;
}

function vector(capacity = 64): PacketVector {
  return new PacketVector({ capacity, headroom: 64, packetBytes: 2048, tailroom: 32 });
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function collect(world: TunDeviceWorld, tx = vector()): { packets: Read[]; largest: number; failures: Error[] } {
  const result: { packets: Read[]; largest: number; failures: Error[] } = { packets: [], largest: 0, failures: [] };
  world.device.watch({
    readable() {
      tx.reset();
      const added = world.device.readBatch(tx);
      expect(added).toBe(tx.count);
      result.largest = Math.max(result.largest, added);
      for (let row = 0; row < tx.count; row += 1) {
        result.packets.push({
          bytes: tx.packet(row).slice(),
          fate: tx.fate[row],
          slot: tx.slot[row],
          offset: tx.offset[row] - row * tx.strideBytes,
        });
      }
    },
    failed(error) {
      result.failures.push(error);
    },
  });
  return result;
}

/** Takes out what the system itself sent meanwhile (router solicitations). */
async function drain(world: TunDeviceWorld): Promise<void> {
  await settle(world);
  const tx = vector();
  while (world.device.readBatch(tx) > 0) tx.reset();
}

async function until(world: TunDeviceWorld, condition: () => boolean): Promise<void> {
  let holds = condition();
  for (let turns = 0; turns < MAX_TURNS && !holds; turns += 1) {
    await world.turn();
    holds = condition();
  }
  expect(holds, 'nothing more happened').toBe(true);
}

async function settle(world: TunDeviceWorld): Promise<void> {
  for (let turns = 0; turns < 20; turns += 1) await world.turn();
}
