import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { LinkSocket, Readiness } from '@openvpnd/external-mux';
import type { DeviceReadiness, TunDevice } from '@openvpnd/internal-mux';
import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_INNER,
  FATE_TO_DEVICE,
  FATE_TO_LINK,
  type PacketVector,
} from '@openvpnd/memory';
import { NEVER } from '@openvpnd/sans-io';
import { expect, it } from 'vitest';
import { EventLoop, type Tunnel } from '../src/index.js';

const PACKETS = 10_000;
/** Far below the smallest object for each packet (16 bytes), far above the noise of a measurement. */
const MAX_BYTES_A_PACKET = 4;
const ROUNDS = 8;
const NO_ACTIONS: readonly never[] = [];

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** Fills and empties vectors without an allocation of its own. */
class Source implements LinkSocket, TunDevice {
  readonly protocol = 'udp' as const;
  readonly name = 'tun0';
  readonly id = 1;
  waiting = 0;
  taken = 0;
  readiness: (Readiness & DeviceReadiness) | undefined;

  localAddress(): Uint32Array {
    return new Uint32Array(ADDRESS_WORDS);
  }

  receiveBatch(vector: PacketVector): number {
    let added = 0;
    for (; this.waiting > 0; this.waiting -= 1) {
      const row = vector.append();
      if (row < 0) break;
      vector.length[row] = 1400;
      added += 1;
    }
    return added;
  }

  readBatch(vector: PacketVector): number {
    const added = this.receiveBatch(vector);
    for (let row = 0; row < vector.count; row += 1) vector.fate[row] = FATE_INNER;
    return added;
  }

  sendBatch(vector: PacketVector): boolean {
    this.#take(vector, FATE_TO_LINK);
    return true;
  }

  writeBatch(vector: PacketVector): void {
    this.#take(vector, FATE_TO_DEVICE);
  }

  send(): void {}
  watch(readiness: Readiness | DeviceReadiness): void {
    this.readiness = readiness as Readiness & DeviceReadiness;
  }
  pause(): void {}
  resume(): void {}
  close(): void {}

  #take(vector: PacketVector, fate: number): void {
    for (let row = 0; row < vector.count; row += 1) {
      if (vector.fate[row] !== fate) continue;
      vector.fate[row] = FATE_DROPPED;
      this.taken += 1;
    }
  }
}

const tunnel: Tunnel<never> = {
  handleLinkBatch(_now, rx) {
    for (let row = 0; row < rx.count; row += 1) rx.fate[row] = FATE_TO_DEVICE;
    return NO_ACTIONS;
  },
  handleDeviceBatch(_now, tx) {
    for (let row = 0; row < tx.count; row += 1) {
      tx.fate[row] = FATE_TO_LINK;
      tx.addresses[row * ADDRESS_WORDS + ADDRESS_LINK] = 1;
    }
    return NO_ACTIONS;
  },
  handleTimeout: () => NO_ACTIONS,
  nextTimeout: () => 5000,
};

it('moves 10 000 packets each way without an allocation for a packet', () => {
  const link = new Source();
  const device = new Source();
  const loop = new EventLoop<never>({
    clock: { now: () => 1000, arm() {}, soon() {} },
    tunnel,
    device,
    vector: { headroom: 64, packetBytes: 1500, tailroom: 0 },
    execute() {},
    linkLost() {},
    deviceLost() {},
  });
  loop.addLink(link);
  const run = (packets: number): void => {
    link.waiting = packets;
    device.waiting = packets;
    while (link.waiting > 0) link.readiness?.readable();
    while (device.waiting > 0) device.readiness?.readable();
  };
  for (let warm = 0; warm < 20; warm += 1) run(PACKETS);
  // Other work of this process may allocate meanwhile: the least growth of several rounds is ours.
  let least = NEVER;
  for (let round = 0; round < ROUNDS; round += 1) {
    gc();
    const before = process.memoryUsage().heapUsed;
    run(PACKETS);
    least = Math.min(least, process.memoryUsage().heapUsed - before);
  }
  expect(least / (2 * PACKETS)).toBeLessThan(MAX_BYTES_A_PACKET);
  expect(link.taken).toBe(device.taken);
  expect(link.taken).toBe(PACKETS * (20 + ROUNDS));
});
