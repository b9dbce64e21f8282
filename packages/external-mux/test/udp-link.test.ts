import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type Endpoint, formatLinkAddress, LinkError, linkAddress, type UdpLinkOptions } from '@openvpnd/external-mux';
import { describeLinkFactory, describeLinkSocket } from '@openvpnd/external-mux/conformance';
import {
  datagramLinks,
  openUdpLink,
  RECEIVE_QUEUE_PACKETS,
  SEND_QUEUE_PACKETS,
  type UdpLink,
} from '@openvpnd/external-mux/node';
import {
  ADDRESS_FAMILY,
  ADDRESS_PORT,
  ADDRESS_WORDS,
  FATE_TO_LINK,
  type LinkAddress,
  PacketVector,
} from '@openvpnd/memory';
import { afterEach, describe, expect, it } from 'vitest';

const IPV4: Endpoint = { family: 4, address: '127.0.0.1', port: 0 };
const IPV6: Endpoint = { family: 6, address: '::1', port: 0 };

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

for (const [name, local] of [
  ['dgram over IPv4', IPV4],
  ['dgram over IPv6', IPV6],
] as const) {
  describeLinkSocket(name, async () => {
    const a = await openUdpLink({ id: 1, local });
    const b = await openUdpLink({ id: 2, local });
    const close = () => [a, b].forEach((link) => void link.close());
    return { a, b, turn, close };
  });
}

describeLinkSocket('dgram, IPv4 through a socket of both families', async () => {
  const a = await openUdpLink({ id: 1 });
  const b = await openUdpLink({ id: 2 });
  const close = () => [a, b].forEach((link) => void link.close());
  return { a, b, addressOfB: linkAddress({ ...IPV4, port: b.localAddress()[ADDRESS_PORT] }, 1), turn, close };
});

let ids = 100;
for (const host of [IPV4, IPV6]) {
  describeLinkFactory(`dgram over IPv${host.family}`, () => ({
    factory: datagramLinks({ nextId: () => ++ids, open: openUdpLink }),
    host,
    turn,
  }));
}

describe('openUdpLink', () => {
  const open: UdpLink[] = [];

  afterEach(() => {
    for (const link of open.splice(0)) link.close();
  });

  async function link(options: UdpLinkOptions): Promise<UdpLink> {
    const result = await openUdpLink(options);
    open.push(result);
    return result;
  }

  async function receive(target: UdpLink, count: number): Promise<LinkAddress[]> {
    const rx = new PacketVector({ capacity: 64, headroom: 0, packetBytes: 2000, tailroom: 0 });
    for (let turns = 0; turns < 100_000 && rx.count < count; turns += 1) {
      target.receiveBatch(rx);
      await turn();
    }
    return Array.from({ length: rx.count }, (_, row) =>
      rx.addresses.slice(row * ADDRESS_WORDS, (row + 1) * ADDRESS_WORDS),
    );
  }

  it('tells in OpenVPN’s words that the address is taken', async () => {
    const first = await link({ id: 1, local: IPV4 });
    const port = first.localAddress()[ADDRESS_PORT];
    const error = await openUdpLink({ id: 2, local: { ...IPV4, port } }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LinkError);
    expect(error).toMatchObject({
      code: 'ERR_LINK_BIND',
      systemCode: 'EADDRINUSE',
      message: `TCP/UDP: Socket bind failed on local address [AF_INET]127.0.0.1:${port}: Address already in use (errno=98)`,
    });
  });

  it('tells that the address is not ours', async () => {
    const error = await openUdpLink({ id: 2, local: { family: 4, address: '192.0.2.77', port: 0 } }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ systemCode: 'EADDRNOTAVAIL' });
    expect(String(error)).toContain('[AF_INET]192.0.2.77:0: Cannot assign requested address (errno=99)');
  });

  it('shows a peer of IPv4 as IPv4, though the socket is of both families', async () => {
    const both = await link({ id: 5 });
    expect(formatLinkAddress(both.localAddress())).toMatch(/^\[AF_INET6\]\[undef\]:\d+$/);
    const peer = await link({ id: 6, local: IPV4 });
    peer.send(new Uint8Array(20), linkAddress({ ...IPV4, port: both.localAddress()[ADDRESS_PORT] }, 6));
    const [source] = await receive(both, 1);
    expect(formatLinkAddress(source)).toBe(formatLinkAddress(peer.localAddress()));
  });

  it('keeps IPv4 out of a socket of IPv6 alone', async () => {
    const only = await link({ id: 5, local: { family: 6, address: '::', port: 0 }, ipv6Only: true });
    const port = only.localAddress()[ADDRESS_PORT];
    await link({ id: 7, family: 4, port });
    const error = await openUdpLink({ id: 8, family: 6, port, ipv6Only: true }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ systemCode: 'EADDRINUSE' });
  });

  it('loses packets of a family that the socket has not', async () => {
    const v4 = await link({ id: 1, local: IPV4 });
    v4.send(new Uint8Array(20), linkAddress({ family: 6, address: '::1', port: 9 }, 1));
    v4.send(new Uint8Array(20), new Uint32Array(ADDRESS_WORDS));
    expect(v4.counters.unsent).toBe(2);
  });

  it('binds one family when told', async () => {
    expect((await link({ id: 1, family: 4 })).localAddress()[ADDRESS_FAMILY]).toBe(4);
    expect((await link({ id: 2, family: 6 })).localAddress()[ADDRESS_FAMILY]).toBe(6);
  });

  it('drops and counts beyond its queue', async () => {
    const target = await link({ id: 1, local: IPV4 });
    const sender = createSocket('udp4');
    sender.bind(0, '127.0.0.1');
    await once(sender, 'listening');
    const count = RECEIVE_QUEUE_PACKETS + 100;
    const port = target.localAddress()[ADDRESS_PORT];
    for (let i = 0; i < count; i += 1) {
      sender.send(new Uint8Array(10), port, '127.0.0.1');
      // Fewer than node reads in a turn: the socket's own buffer is to lose nothing.
      if (i % 16 === 0) await turn();
    }
    for (let turns = 0; turns < 100_000 && target.counters.overflowed < 100; turns += 1) await turn();
    expect(target.counters.overflowed).toBe(100);
    sender.close();
  });

  it('is full when node holds too much, and says when there is room', async () => {
    const target = await link({ id: 1, local: IPV4 });
    const sender = await link({ id: 2, local: IPV4 });
    let writable = 0;
    sender.watch({
      readable() {},
      writable() {
        writable += 1;
      },
      failed() {},
    });
    const tx = new PacketVector({ capacity: SEND_QUEUE_PACKETS + 10, headroom: 0, packetBytes: 100, tailroom: 0 });
    const to = target.localAddress();
    to[7] = sender.id;
    while (tx.room > 0) {
      const row = tx.appendCopy(new Uint8Array(10));
      tx.fate[row] = FATE_TO_LINK;
      tx.addresses.set(to, row * ADDRESS_WORDS);
    }
    expect(sender.sendBatch(tx)).toBe(false);
    expect(tx.fate.subarray(SEND_QUEUE_PACKETS).every((fate) => fate === FATE_TO_LINK)).toBe(true);
    sender.send(new Uint8Array(10), to);
    expect(sender.counters.unsent).toBe(1);
    for (let turns = 0; turns < 100_000 && writable === 0; turns += 1) await turn();
    expect(writable).toBe(1);
    expect(sender.sendBatch(tx)).toBe(true);
  });
});
