import { describeTunDevice } from '@openvpnd/internal-mux/conformance';
import { FATE_TO_DEVICE, PacketVector } from '@openvpnd/memory';
import { innerUdp, innerUdpPayload, SIM_DEVICE_QUEUE_PACKETS, SimTun, VirtualClock } from '@openvpnd/testkit';
import { describe, expect, it } from 'vitest';

function packet(index: number, bytes: number): Uint8Array {
  return innerUdp({
    source: [10, 8, 0, 1],
    destination: [10, 8, 0, 2],
    payload: new Uint8Array(bytes - 28).fill(index),
  });
}

function smallVector(): PacketVector {
  return new PacketVector({ capacity: 4, headroom: 0, packetBytes: 100, tailroom: 0 });
}

describeTunDevice('SimTun', () => {
  const clock = new VirtualClock();
  const device = new SimTun({ clock });
  return {
    device,
    packetOut: packet,
    inject: (bytes) => device.inject(bytes),
    packetIn: packet,
    // A system drops what is no IP packet.
    takeDelivered: () => device.takeWritten().filter((bytes) => bytes.length >= 20),
    delivered: (bytes) => bytes,
    turn: () => clock.advanceBy(1),
    close: () => device.close(),
  };
});

describe('SimTun', () => {
  it('drops and counts beyond its queue', () => {
    const device = new SimTun({ clock: new VirtualClock() });
    for (let i = 0; i < SIM_DEVICE_QUEUE_PACKETS + 3; i += 1) device.inject(new Uint8Array(20));
    expect(device.counters.overflowed).toBe(3);
  });

  it('drops and counts what no row holds', () => {
    const device = new SimTun({ clock: new VirtualClock() });
    device.inject(new Uint8Array(200));
    device.inject(new Uint8Array(100));
    expect(device.readBatch(smallVector())).toBe(1);
    expect(device.counters).toMatchObject({ read: 1, oversized: 1 });
  });

  it('hands written packets to the host behind it', () => {
    const written: Uint8Array[] = [];
    const device = new SimTun({ clock: new VirtualClock(), onWrite: (bytes) => void written.push(bytes) });
    const rx = smallVector();
    rx.fate[rx.appendCopy(new Uint8Array(3).fill(1))] = FATE_TO_DEVICE;
    device.writeBatch(rx);
    rx.bytes.fill(0xdd);
    expect(written).toEqual([new Uint8Array(3).fill(1)]);
    expect(device.takeWritten()).toEqual([]);
  });

  it('tells when it vanishes', () => {
    const clock = new VirtualClock();
    const device = new SimTun({ clock });
    const failures: Error[] = [];
    device.watch({ readable() {}, failed: (error) => void failures.push(error) });
    device.fail(new Error('gone'));
    clock.advanceBy(1);
    expect(failures).toHaveLength(1);
  });
});

describe('innerUdp', () => {
  const onesSum = (bytes: Uint8Array): number => {
    let sum = 0;
    for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    return sum;
  };

  it.each([
    [4, [10, 8, 0, 6], [10, 8, 0, 1]],
    [6, [0xfd, ...new Array<number>(14).fill(0), 1], [0xfd, ...new Array<number>(14).fill(0), 2]],
  ])('has right checksums in IPv%i', (family, source, destination) => {
    for (const length of [0, 1, 7, 1000]) {
      const payload = new Uint8Array(length).fill(0xa5);
      const bytes = innerUdp({ source, destination, payload });
      if (family === 4) expect(onesSum(bytes.subarray(0, 20))).toBe(0xffff);
      const udp = bytes.subarray(family === 4 ? 20 : 40);
      const pseudo = Uint8Array.from([...source, ...destination, 0, 17, udp.length >> 8, udp.length & 0xff, ...udp]);
      expect(onesSum(pseudo)).toBe(0xffff);
      expect(innerUdpPayload(bytes)).toEqual(payload);
    }
    expect(innerUdpPayload(new Uint8Array(20))).toBeUndefined();
  });
});
