import './native-build.js';
import {
  ADDRESS_WORDS,
  FATE_INNER,
  FATE_OPEN,
  FATE_SEAL,
  FATE_TO_LINK,
  type LinkAddress,
  PacketVector,
} from '@openvpnd/memory';
import { afterEach, describe, expect, it } from 'vitest';
import { DEVICE_VECTOR, LINK_VECTOR, type NativeUdpLink, nativeBackend, openUdpLink } from '../src/index.js';
import { type NativeAddon, nativeAddon } from '../src/native-addon.js';
import { innerPacket, pattern } from './inner-packets.js';

const KEY = {
  cipher: 'AES-256-GCM',
  key: new Uint8Array(32),
  implicitIv: new Uint8Array(8),
  prefix: Uint8Array.of(0x48, 0, 0, 1),
} as const;
const SHAPE = { headroom: 98, packetBytes: 2048, tailroom: 17 };
const LOOPBACK = { family: 4, address: '127.0.0.1', port: 0 } as const;
const ALL = { gso: true, gro: true };

const restore: (() => void)[] = [];
const links: NativeUdpLink[] = [];

/** Counts every call into the addon of links and backends that are made from here on. */
function countCalls(): Record<string, number> {
  const addon = nativeAddon() as unknown as Record<string, unknown>;
  const calls: Record<string, number> = {};
  for (const [name, value] of Object.entries(addon)) {
    if (typeof value !== 'function') continue;
    addon[name] = (...args: unknown[]): unknown => {
      calls[name] = (calls[name] ?? 0) + 1;
      return value(...args);
    };
    restore.push(() => {
      addon[name] = value;
    });
  }
  return calls;
}

function link(id: number): NativeUdpLink {
  const opened = openUdpLink({ id, local: LOOPBACK, offload: ALL });
  links.push(opened);
  return opened;
}

function aim(vector: PacketVector, row: number, to: LinkAddress, from: NativeUdpLink): void {
  vector.addresses.set(to, row * ADDRESS_WORDS);
  vector.addresses[row * ADDRESS_WORDS + 7] = from.id;
}

describe('calls into the addon', () => {
  afterEach(() => {
    for (const undo of restore.splice(0)) undo();
    for (const one of links.splice(0)) one.close();
  });

  for (const rows of [1, 64, 250]) {
    it(`a batch is sealed, sent, received and opened with one call each, be it ${rows} packets`, () => {
      const calls = countCalls();
      const backend = nativeBackend('best');
      const seal = backend.installKey({ ...KEY, direction: 'seal' });
      const open = backend.installKey({ ...KEY, direction: 'open' });
      const [a, b] = [link(1), link(2)];
      const to = b.localAddress();
      const tx = new PacketVector({ ...SHAPE, ...DEVICE_VECTOR });
      const rx = new PacketVector({ ...SHAPE, ...LINK_VECTOR });
      for (let row = 0; row < rows; row += 1) {
        tx.appendCopy(pattern(200, row));
        tx.fate[row] = FATE_SEAL;
        tx.key[row] = seal;
        tx.packetIdLow[row] = row + 1;
        aim(tx, row, to, a);
      }
      // Vectors are registered at their first use, once.
      backend.openBatch(tx);
      b.receiveBatch(rx);
      for (const name of Object.keys(calls)) delete calls[name];
      backend.sealBatch(tx);
      expect(a.sendBatch(tx)).toBe(true);
      expect(b.receiveBatch(rx)).toBe(rows);
      for (let row = 0; row < rows; row += 1) {
        rx.fate[row] = FATE_OPEN;
        rx.key[row] = open;
      }
      backend.openBatch(rx);
      expect(calls).toEqual({ sealBatch: 1, udpSend: 1, udpReceive: 1, openBatch: 1 } satisfies Partial<
        Record<keyof NativeAddon, number>
      >);
      for (let row = 0; row < rows; row += 1) expect(rx.fate[row]).toBe(FATE_INNER);
    });
  }

  it('super-packets cost no more: 200 segments in four rows', () => {
    const calls = countCalls();
    const backend = nativeBackend('best');
    const seal = backend.installKey({ ...KEY, direction: 'seal' });
    const [a, b] = [link(1), link(2)];
    const tx = new PacketVector({ ...SHAPE, ...DEVICE_VECTOR });
    const rx = new PacketVector({ ...SHAPE, ...LINK_VECTOR });
    let place = tx.capacity * tx.strideBytes;
    for (let row = 0; row < 4; row += 1) {
      const packet = innerPacket({ version: 4, protocol: 'tcp', payload: pattern(50 * 1000, row) });
      tx.append();
      tx.bytes.set(packet, place);
      tx.offset[row] = place;
      tx.length[row] = packet.length;
      place += packet.length;
      tx.segments[row] = 50;
      tx.segmentBytes[row] = 1000;
      tx.fate[row] = FATE_SEAL;
      tx.key[row] = seal;
      tx.packetIdLow[row] = 1 + row * 50;
      aim(tx, row, b.localAddress(), a);
    }
    backend.openBatch(tx);
    b.receiveBatch(rx);
    for (const name of Object.keys(calls)) delete calls[name];
    backend.sealBatch(tx);
    expect([...tx.fate.subarray(0, 4)]).toEqual(new Array(4).fill(FATE_TO_LINK));
    expect(a.sendBatch(tx)).toBe(true);
    expect(b.receiveBatch(rx)).toBe(200);
    expect(calls).toEqual({ sealBatch: 1, udpSend: 1, udpReceive: 1 });
  });
});
