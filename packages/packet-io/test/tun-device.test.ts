import './native-build.js';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { describeTunDevice, type TunDeviceWorld } from '@openvpnd/internal-mux/conformance';
import { FATE_TO_DEVICE, PacketVector } from '@openvpnd/memory';
import { afterEach, describe, expect, it } from 'vitest';
import { type NativeTunDevice, openTun, PacketIoError, type TunOffload, type TunOptions } from '../src/index.js';
import { type NativeAddon, nativeAddon } from '../src/native-addon.js';
import { describeInNamespace } from './namespace.js';

const { EINVAL, EPERM } = constants.errno;

/** Runs `work` on a system whose answers are these; undefined: the real one's. */
function pretending<T>(
  answers: {
    readonly [name in 'tunOffload' | 'tunAttach']?: (
      ...args: Parameters<NativeAddon[name]>
    ) => ReturnType<NativeAddon[name]> | undefined;
  },
  work: () => T,
): T {
  const addon = nativeAddon() as unknown as Record<string, (...args: unknown[]) => unknown>;
  const before = Object.keys(answers).map((name) => [name, addon[name]] as const);
  for (const [name, answer] of Object.entries(answers)) {
    const real = addon[name];
    addon[name] = (...args) => (answer as (...args: unknown[]) => unknown)(...args) ?? real(...args);
  }
  try {
    return work();
  } finally {
    for (const [name, real] of before) addon[name] = real;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8' });

describe('holding off', () => {
  it('blocks for as long as it is told, or longer', () => {
    for (const microseconds of [0, 1, 100, 5000]) {
      const start = process.hrtime.bigint();
      nativeAddon().tunHoldOff(microseconds);
      expect(Number(process.hrtime.bigint() - start)).toBeGreaterThanOrEqual(microseconds * 1000);
    }
  });

  it('refuses what is no time, or too long', () => {
    for (const microseconds of [-1, 1_000_000, '1' as unknown as number]) {
      expect(() => nativeAddon().tunHoldOff(microseconds)).toThrow(/not/);
    }
  });
});

describe('openTun without a device', () => {
  it("says in OpenVPN's words what is missing", () => {
    const open = (): void => void openTun({ devNode: '/dev/net/no-such-tun' });
    expect(open).toThrow(PacketIoError);
    expect(open).toThrow(
      expect.objectContaining({
        code: 'ERR_TUN_OPEN',
        systemCode: 'ENOENT',
        message: 'Cannot open TUN/TAP dev /dev/net/no-such-tun: No such file or directory (errno=2)',
      }),
    );
  });

  it('refuses a node that is no tun device', () => {
    expect(() => openTun({ devNode: '/dev/null' })).toThrow(
      expect.objectContaining({ code: 'ERR_TUN_OPEN', systemCode: 'EPERM' }),
    );
  });

  it('refuses names that no interface can have', () => {
    for (const name of ['', 'tun%d', 'a-name-of-16-byte']) expect(() => openTun({ name })).toThrow(RangeError);
  });
});

describeInNamespace(import.meta.url, () => {
  for (const family of [4, 6] as const) {
    describeTunDevice(`packet-io, IPv${family}`, () => forwardingWorld(family));
    describeTunDevice(`packet-io with offloads, IPv${family}`, () => forwardingWorld(family, 'tso+uso'));
    describeTunDevice(`packet-io with offloads of TCP, IPv${family}`, () => forwardingWorld(family, 'tso'));
    describeTunDevice(`packet-io where the kernel has no offloads, IPv${family}`, () =>
      pretending({ tunOffload: (_port, level) => (level === 0 ? undefined : -EINVAL) }, () =>
        forwardingWorld(family, 'tso+uso'),
      ),
    );
    describeTunDevice(`packet-io where devices refuse the header, IPv${family}`, () =>
      pretending({ tunAttach: (_port, _name, vnet) => (vnet ? -EINVAL : undefined) }, () =>
        forwardingWorld(family, 'tso+uso'),
      ),
    );
  }

  describe('native tun', () => {
    const devices: NativeTunDevice[] = [];
    const tun = (options: TunOptions = {}): NativeTunDevice => {
      const device = openTun(options);
      devices.push(device);
      return device;
    };
    afterEach(() => {
      for (const device of devices.splice(0)) device.close();
    });

    it('takes of the offloads what the kernel gives', () => {
      expect(tun().offload).toBe('none');
      expect(tun({ offload: 'tso' }).offload).toBe('tso');
      // Before Linux 6.2.
      const noUso = pretending({ tunOffload: (_port, level) => (level === 2 ? -EINVAL : undefined) }, () =>
        tun({ offload: 'tso+uso' }),
      );
      expect(noUso.offload).toBe('tso');
      const none = pretending({ tunOffload: (_port, level) => (level === 0 ? undefined : -EINVAL) }, () =>
        tun({ offload: 'tso+uso' }),
      );
      expect(none.offload).toBe('none');
      const noHeader = pretending({ tunAttach: (_port, _name, vnet) => (vnet ? -EINVAL : undefined) }, () =>
        tun({ offload: 'tso+uso' }),
      );
      expect(noHeader.offload).toBe('none');
      // Whatever else is wrong is told.
      expect(() => pretending({ tunAttach: () => -EPERM }, () => tun({ offload: 'tso' }))).toThrow(
        expect.objectContaining({ code: 'ERR_TUN_OPEN', systemCode: 'EPERM' }),
      );
    });

    it('takes the next free name, or the one that is asked for', () => {
      expect([tun().name, tun({ name: 'tun' }).name, tun({ name: 'pio-x' }).name]).toEqual(['tun0', 'tun1', 'pio-x']);
      expect(ip('-o', 'link')).toContain('pio-x');
    });

    it('is gone from the system when it is closed, unless it is persistent', () => {
      tun({ name: 'pio-x' }).close();
      expect(ip('-o', 'link')).not.toContain('pio-x');
      tun({ name: 'pio-x', persist: true }).close();
      expect(ip('-o', 'link')).toContain('pio-x');
      tun({ name: 'pio-x', persist: false }).close();
      expect(ip('-o', 'link')).not.toContain('pio-x');
    });

    it("says in OpenVPN's words that a device is taken", () => {
      tun({ name: 'pio-x' });
      expect(() => openTun({ name: 'pio-x' })).toThrow(
        'Cannot ioctl TUNSETIFF pio-x: Device or resource busy (errno=16)',
      );
    });

    it('reports a device that was deleted, once', async () => {
      const device = tun({ name: 'pio-x' });
      const failures: Error[] = [];
      device.watch({ readable: () => void device.readBatch(vector()), failed: (error) => failures.push(error) });
      await turn();
      ip('link', 'del', 'pio-x');
      for (let turns = 0; turns < 10_000 && failures.length === 0; turns += 1) await turn();
      for (let turns = 0; turns < 50; turns += 1) await turn();
      expect(failures).toHaveLength(1);
      expect(failures[0]).toMatchObject({ code: 'ERR_TUN_LOST' });
      expect(device.readBatch(vector())).toBe(0);
      device.pause();
      device.resume();
    });

    it('drops what is larger than a row, and counts it', async () => {
      const world = forwardingWorld(4);
      try {
        ip('link', 'set', 'pio-a', 'mtu', '3000');
        ip('link', 'set', 'pio-b', 'mtu', '3000');
        await world.inject(world.packetOut(1, 2049));
        await world.inject(world.packetOut(2, 2048));
        const lengths: number[] = [];
        for (let turns = 0; turns < 10_000 && lengths.length === 0; turns += 1) {
          await turn();
          const tx = vector();
          world.device.readBatch(tx);
          for (let row = 0; row < tx.count; row += 1) if (isOurs(tx.packet(row))) lengths.push(tx.length[row]);
        }
        expect(lengths).toEqual([2048]);
        expect((world.device as NativeTunDevice).counters().receiveDropped).toBe(1);
      } finally {
        await world.close();
      }
    });

    // The header that offloads bring has its place in the headroom, where that is large enough.
    it.each([0, 9, 10, 11])(
      'reads a packet with %i bytes in front of it, and writes over nothing but those',
      async (headroom) => {
        const world = forwardingWorld(4, 'tso+uso');
        try {
          const sent = [1, 2, 3].map((index) => world.packetOut(index, 100 + index));
          for (const packet of sent) await world.inject(packet);
          const tx = new PacketVector({ capacity: 4, headroom, packetBytes: 2048, tailroom: 0 });
          const read: Uint8Array[] = [];
          for (let turns = 0; turns < 100 && read.length < sent.length; turns += 1) {
            await turn();
            tx.reset();
            tx.bytes.fill(0xee);
            world.device.readBatch(tx);
            for (let row = 0; row < tx.count; row += 1) {
              if (isOurs(tx.packet(row))) read.push(tx.packet(row).slice());
              const end = tx.offset[row] + tx.length[row];
              const behind = tx.bytes.subarray(end, (row + 1) * tx.strideBytes);
              expect(behind.every((byte) => byte === 0xee)).toBe(true);
            }
          }
          expect(read).toEqual(sent);
        } finally {
          await world.close();
        }
      },
    );

    it('counts rows that lie outside the slab, and what the system refuses', () => {
      const device = tun();
      ip('link', 'set', device.name, 'up');
      const rx = vector(4);
      for (const [offset, length] of [
        [0xffffffff, 20],
        [0, 0xffffffff],
        [rx.bytes.length, 1],
        [64, 20],
      ]) {
        const row = rx.append();
        rx.offset[row] = offset;
        rx.length[row] = length;
        rx.fate[row] = FATE_TO_DEVICE;
      }
      device.writeBatch(rx);
      expect(device.counters().sendErrors).toBe(4);
      device.close();
      expect(device.counters().sendErrors).toBe(4);
    });
  });
});

function vector(capacity = 64): PacketVector {
  return new PacketVector({ capacity, headroom: 64, packetBytes: 2048, tailroom: 32 });
}

/** Two devices and the system as a router between them: what is written to one comes out of the other, a hop later. */
function forwardingWorld(family: 4 | 6, offload: TunOffload = 'none'): TunDeviceWorld {
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1');
  const near = openTun({ name: 'pio-a', offload });
  const far = openTun({ name: 'pio-b', offload });
  const network = (side: number): string => (family === 4 ? `10.9.${side}.1/24` : `fd09:${side}::1/64`);
  for (const [side, device] of [near, far].entries()) {
    ip('addr', 'add', network(side), 'dev', device.name, ...(family === 6 ? ['nodad'] : []));
    // Without multicast the system does not tell routers of its groups, at a time of its own.
    ip('link', 'set', device.name, 'multicast', 'off', 'up');
  }
  const scratch = vector();
  const write = (device: NativeTunDevice, packet: Uint8Array): void => {
    scratch.reset();
    // The packet that is too large for a row to be read lies in the tailroom here.
    const row = scratch.append();
    scratch.bytes.set(packet, scratch.offset[row]);
    scratch.length[row] = packet.length;
    scratch.fate[row] = FATE_TO_DEVICE;
    device.writeBatch(scratch);
  };
  return {
    device: near,
    packetOut: (index, bytes) => innerPacket(family, 1, 0, index, bytes, HOPS - 1),
    inject: (packet) => write(far, withHops(packet, HOPS)),
    packetIn: (index, bytes) => innerPacket(family, 0, 1, index, bytes, HOPS),
    takeDelivered() {
      const packets: Uint8Array[] = [];
      const rx = vector();
      while (far.readBatch(rx) > 0) {
        for (let row = 0; row < rx.count; row += 1) if (isOurs(rx.packet(row))) packets.push(rx.packet(row).slice());
        rx.reset();
      }
      return packets;
    },
    delivered: (packet) => withHops(packet, HOPS - 1),
    turn,
    close() {
      near.close();
      far.close();
    },
  };
}

const HOPS = 64;
const MARK = 0xa5;

/** A packet of host 2 in network `from` to host 2 in network `to`, of an experimental protocol. */
function innerPacket(family: 4 | 6, from: number, to: number, index: number, bytes: number, hops: number): Uint8Array {
  const packet = Uint8Array.from({ length: bytes }, (_, at) => (at * 13 + index) & 0xff);
  const view = new DataView(packet.buffer);
  if (family === 4) {
    packet.set([0x45, 0, bytes >> 8, bytes & 0xff, 0, index, 0x40, 0, hops, 253, 0, 0, 10, 9, from, 2, 10, 9, to, 2]);
    packet[20] = MARK;
    return withHops(packet, hops);
  }
  packet.fill(0, 0, 40);
  view.setUint32(0, 0x60000000);
  view.setUint16(4, bytes - 40);
  packet.set([253, hops], 6);
  packet.set([0xfd, 0x09, 0, from], 8);
  packet[23] = 2;
  packet.set([0xfd, 0x09, 0, to], 24);
  packet[39] = 2;
  packet[40] = MARK;
  return packet;
}

function isOurs(packet: Uint8Array): boolean {
  return packet[0] >> 4 === 4 ? packet[9] === 253 && packet[20] === MARK : packet[6] === 253 && packet[40] === MARK;
}

function withHops(packet: Uint8Array, hops: number): Uint8Array {
  const copy = packet.slice();
  if (copy[0] >> 4 === 6) {
    copy[7] = hops;
    return copy;
  }
  copy[8] = hops;
  copy[10] = copy[11] = 0;
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += (copy[at] << 8) | copy[at + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  copy[10] = (~sum >> 8) & 0xff;
  copy[11] = ~sum & 0xff;
  return copy;
}
