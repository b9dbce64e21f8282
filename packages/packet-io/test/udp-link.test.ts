import './native-build.js';
import { UDP_RECEIVE_BUFFER_BYTES, UDP_SEND_BUFFER_BYTES } from '@openvpnd/external-mux';
import { describeLinkFactory, describeLinkSocket } from '@openvpnd/external-mux/conformance';
import { datagramLinks } from '@openvpnd/external-mux/node';
import {
  ADDRESS_FAMILY,
  ADDRESS_HOST,
  ADDRESS_LINK,
  ADDRESS_PORT,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_TO_LINK,
  PacketVector,
} from '@openvpnd/memory';
import { afterEach, describe, expect, it } from 'vitest';
import { type NativeUdpLink, type NativeUdpLinkOptions, openUdpLink, PacketIoError } from '../src/index.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const LOOPBACK_4 = { family: 4, address: '127.0.0.1', port: 0 } as const;
const LOOPBACK_6 = { family: 6, address: '::1', port: 0 } as const;

for (const local of [LOOPBACK_4, LOOPBACK_6]) {
  describeLinkSocket(`packet-io, IPv${local.family}`, () => {
    const a = openUdpLink({ id: 11, local });
    const b = openUdpLink({ id: 12, local });
    return {
      a,
      b,
      turn,
      close() {
        a.close();
        b.close();
      },
    };
  });
  describeLinkSocket(`packet-io with offloads, IPv${local.family}`, () => {
    const a = openUdpLink({ id: 11, local, offload: { gso: true, gro: true } });
    const b = openUdpLink({ id: 12, local, offload: { gso: true, gro: true } });
    return {
      a,
      b,
      turn,
      close() {
        a.close();
        b.close();
      },
    };
  });
}

describeLinkSocket('packet-io, dual stack to IPv4', () => {
  const a = openUdpLink({ id: 11 });
  const b = openUdpLink({ id: 12, local: LOOPBACK_4 });
  return {
    a,
    b,
    turn,
    close() {
      a.close();
      b.close();
    },
  };
});

let ids = 100;
for (const host of [LOOPBACK_4, LOOPBACK_6]) {
  describeLinkFactory(`packet-io, IPv${host.family}`, () => ({
    factory: datagramLinks({ nextId: () => ++ids, open: openUdpLink }),
    host,
    turn,
  }));
}

describe('native UDP link', () => {
  const links: NativeUdpLink[] = [];
  const link = (options: NativeUdpLinkOptions): NativeUdpLink => {
    const opened = openUdpLink(options);
    links.push(opened);
    return opened;
  };
  afterEach(() => {
    for (const one of links.splice(0)) one.close();
  });

  it("says in OpenVPN's words that an address is taken", () => {
    const first = link({ id: 1, local: LOOPBACK_4 });
    const port = first.localAddress()[ADDRESS_PORT];
    const second = (): void => void openUdpLink({ id: 2, local: { ...LOOPBACK_4, port } });
    expect(second).toThrow(PacketIoError);
    expect(second).toThrow(
      expect.objectContaining({
        code: 'ERR_LINK_BIND',
        systemCode: 'EADDRINUSE',
        message: `TCP/UDP: Socket bind failed on local address [AF_INET]127.0.0.1:${port}: Address already in use (errno=98)`,
      }),
    );
    first.close();
    expect(second).not.toThrow();
  });

  it('refuses an address of the other family, and ids and ports that are none', () => {
    const wrong = (): void => void openUdpLink({ id: 1, local: { family: 4, address: '::1', port: 0 } });
    expect(wrong).toThrow(expect.objectContaining({ systemCode: 'EAFNOSUPPORT' }));
    expect(() => openUdpLink({ id: -1 })).toThrow(RangeError);
    expect(() => openUdpLink({ id: 1, port: 65536 })).toThrow(RangeError);
  });

  it('tells IPv4 peers of a dual-stack socket as IPv4, and answers them', async () => {
    const dual = link({ id: 1 });
    const four = link({ id: 2, local: LOOPBACK_4 });
    const to = four.localAddress();
    to[ADDRESS_PORT] = dual.localAddress()[ADDRESS_PORT];
    four.send(Uint8Array.of(1, 2, 3), to);
    const rx = new PacketVector({ capacity: 4, headroom: 0, packetBytes: 100, tailroom: 0 });
    await until(() => dual.receiveBatch(rx) > 0);
    const source = rx.addresses.slice(0, ADDRESS_WORDS);
    expect(source[ADDRESS_FAMILY]).toBe(4);
    expect(source[ADDRESS_HOST]).toBe(0x7f000001);
    expect(source[ADDRESS_LINK]).toBe(1);
    dual.send(Uint8Array.of(4), source);
    rx.reset();
    await until(() => four.receiveBatch(rx) > 0);
    expect([...rx.packet(0)]).toEqual([4]);
  });

  it('does not let a socket for IPv6 alone reach IPv4, nor one for IPv4 reach IPv6', () => {
    const six = link({ id: 1, family: 6, ipv6Only: true });
    const four = link({ id: 2, family: 4 });
    const toFour = four.localAddress();
    toFour[ADDRESS_HOST] = 0x7f000001;
    const toSix = link({ id: 3, local: LOOPBACK_6 }).localAddress();
    six.send(Uint8Array.of(1), toFour);
    four.send(Uint8Array.of(1), toSix);
    expect(six.counters().sendErrors).toBe(1);
    expect(four.counters().sendErrors).toBe(1);
    four.send(Uint8Array.of(1), toFour);
    expect(four.counters().sendErrors).toBe(1);
  });

  it('counts and drops rows with offsets outside the slab or without an address', () => {
    const a = link({ id: 1, local: LOOPBACK_4 });
    const tx = new PacketVector({ capacity: 4, headroom: 0, packetBytes: 64, tailroom: 0 });
    const own = a.localAddress();
    for (const [offset, length] of [
      [0xffffffff, 10],
      [10, 0xffffffff],
      [256, 1],
      [0, 10],
    ]) {
      const row = tx.append();
      tx.offset[row] = offset;
      tx.length[row] = length;
      tx.fate[row] = FATE_TO_LINK;
      tx.addresses.set(own, row * ADDRESS_WORDS);
    }
    tx.addresses[3 * ADDRESS_WORDS + ADDRESS_FAMILY] = 0;
    expect(a.sendBatch(tx)).toBe(true);
    expect([...tx.fate.subarray(0, 4)]).toEqual([FATE_DROPPED, FATE_DROPPED, FATE_DROPPED, FATE_DROPPED]);
    expect(a.counters().sendErrors).toBe(4);
  });

  it('lets packets of more than one system call through in order', async () => {
    const a = link({ id: 1, local: LOOPBACK_4 });
    const to = a.localAddress();
    const tx = new PacketVector({ capacity: 150, headroom: 4, packetBytes: 100, tailroom: 0 });
    for (let index = 0; index < 150; index += 1) {
      const row = tx.appendCopy(Uint8Array.of(index, 1));
      tx.fate[row] = FATE_TO_LINK;
      tx.addresses.set(to, row * ADDRESS_WORDS);
    }
    expect(a.sendBatch(tx)).toBe(true);
    const rx = new PacketVector({ capacity: 200, headroom: 4, packetBytes: 100, tailroom: 0 });
    await until(() => {
      a.receiveBatch(rx);
      return rx.count === 150;
    });
    for (let row = 0; row < 150; row += 1) expect([...rx.packet(row)]).toEqual([row, 1]);
  });

  it('drops empty and oversized datagrams in the middle of a batch without a gap', async () => {
    const a = link({ id: 1, local: LOOPBACK_4 });
    const to = a.localAddress();
    for (const size of [3, 0, 9, 101, 4, 100]) a.send(new Uint8Array(size).fill(size), to);
    const rx = new PacketVector({ capacity: 8, headroom: 4, packetBytes: 100, tailroom: 0 });
    await until(() => {
      a.receiveBatch(rx);
      return rx.count === 4;
    });
    expect([0, 1, 2, 3].map((row) => [rx.packet(row).length, rx.packet(row)[0]])).toEqual([
      [3, 3],
      [9, 9],
      [4, 4],
      [100, 100],
    ]);
    expect(a.counters().receiveDropped).toBe(2);
  });

  it('takes buffers of its own sizes by default where that is permitted, and of the size that was asked for', () => {
    const asked = link({ id: 1, local: LOOPBACK_4, receiveBufferBytes: 65536, sendBufferBytes: 65536 }).bufferBytes();
    expect(asked).toEqual({ receive: 131072, send: 131072 });
    const { receive, send } = link({ id: 2, local: LOOPBACK_4 }).bufferBytes();
    expect(receive).toBeGreaterThan(65536);
    if (process.getuid?.() === 0)
      expect([receive, send]).toEqual([2 * UDP_RECEIVE_BUFFER_BYTES, 2 * UDP_SEND_BUFFER_BYTES]);
  });
});

async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; turns < 100_000; turns += 1) {
    if (condition()) return;
    await turn();
  }
  throw new Error('nothing more happened');
}
