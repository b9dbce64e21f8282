import { once } from 'node:events';
import { type AddressInfo, createServer, connect as netConnect, type Server, Socket } from 'node:net';
import { type Endpoint, LinkError, type LinkFactory, type LinkOpening, type LinkSocket } from '@openvpnd/external-mux';
import { describeLinkFactory } from '@openvpnd/external-mux/conformance';
import { TCP_CONTROL_PACKETS, type TcpLink, type TcpLinkOptions, tcpLinks } from '@openvpnd/external-mux/node';
import { ADDRESS_PORT, ADDRESS_WORDS, FATE_TO_LINK, type LinkAddress, PacketVector } from '@openvpnd/memory';
import { framePacket, StreamDeframer } from '@openvpnd/wire';
import { afterEach, describe, expect, it } from 'vitest';

const IPV4: Endpoint = { family: 4, address: '127.0.0.1', port: 0 };
const IPV6: Endpoint = { family: 6, address: '::1', port: 0 };
const LARGEST = 2048;

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

let ids = 0;
function links(options: Partial<TcpLinkOptions> = {}): LinkFactory {
  return tcpLinks({
    nextId: () => ++ids,
    maxPacketBytes: LARGEST,
    queuePackets: 64,
    whenFull: 'drop',
    noDelay: true,
    ...options,
  });
}

describeLinkFactory('TCP over IPv4', () => ({ factory: links(), host: IPV4, turn }));
describeLinkFactory('TCP over IPv6', () => ({ factory: links(), host: IPV6, turn }));

describe('a TCP link', () => {
  const open: { close(): void }[] = [];
  afterEach(() => {
    for (const one of open.splice(0)) one.close();
  });

  /** A link whose peer is a bare socket. */
  async function withPeer(
    options: Partial<TcpLinkOptions> = {},
  ): Promise<{ link: TcpLink; to: LinkAddress; peer: Socket }> {
    const { promise, resolve } = deferred<{ link: LinkSocket; to: LinkAddress }>();
    const { promise: bound, resolve: setBound } = deferred<number>();
    open.push(
      links(options).listen(
        { local: IPV4 },
        {
          listening: (local) => setBound(local[ADDRESS_PORT]),
          link: (link, remote) => resolve({ link, to: remote as LinkAddress }),
          crowded: () => {},
          failed: () => {},
        },
      ),
    );
    const port = await bound;
    const peer = netConnect({ host: '127.0.0.1', port, noDelay: true });
    open.push({ close: () => peer.destroy() });
    const { link, to } = await promise;
    if (peer.connecting) await once(peer, 'connect');
    open.push(link);
    return { link: link as TcpLink, to, peer };
  }

  function watch(link: LinkSocket): { packets: Uint8Array[]; ends: Error[]; writable: number } {
    const seen: { packets: Uint8Array[]; ends: Error[]; writable: number } = { packets: [], ends: [], writable: 0 };
    const rx = vector();
    link.watch({
      readable: () => {
        rx.reset();
        link.receiveBatch(rx);
        for (let row = 0; row < rx.count; row += 1) seen.packets.push(rx.packet(row).slice());
      },
      writable: () => {
        seen.writable += 1;
      },
      failed: (error) => seen.ends.push(error),
    });
    return seen;
  }

  function vector(): PacketVector {
    return new PacketVector({ capacity: 64, headroom: 0, packetBytes: LARGEST, tailroom: 0 });
  }

  async function until(condition: () => boolean): Promise<void> {
    for (let turns = 0; turns < 20_000 && !condition(); turns += 1) await turn();
    expect(condition(), 'nothing more happened').toBe(true);
  }

  /** 64 data packets of 1400 bytes. */
  function batch(to: LinkAddress): PacketVector {
    const tx = vector();
    for (let row = 0; row < 64; row += 1) {
      tx.appendCopy(new Uint8Array(1400).fill(row + 1));
      tx.addresses.set(to, row * ADDRESS_WORDS);
      tx.fate[row] = FATE_TO_LINK;
    }
    return tx;
  }

  it.each([
    ['no bytes', Uint8Array.of(0, 0)],
    ['more than the largest', Uint8Array.of((LARGEST + 1) >> 8, (LARGEST + 1) & 0xff)],
    ['65535', Uint8Array.of(0xff, 0xff)],
    ['an HTTP request', new TextEncoder().encode('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['a TLS hello', Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc)],
  ])('closes when a length is %s', async (_name, bytes) => {
    const { link, peer } = await withPeer();
    const seen = watch(link);
    peer.write(bytes);
    await until(() => seen.ends.length > 0);
    const [error] = seen.ends;
    expect(error).toBeInstanceOf(LinkError);
    const length = (bytes[0] << 8) | bytes[1];
    expect(error.message).toContain(
      `WARNING: Bad encapsulated packet length from peer (${length}), which must be > 0 and <= ${LARGEST}`,
    );
    expect(error.message).toMatch(/\[Attempting restart\.\.\.\]$/);
    for (let i = 0; i < 10; i += 1) await turn();
    expect(seen.ends).toHaveLength(1);
    expect(seen.packets).toHaveLength(0);
  });

  it('a batch is one write, and what one read brings is one batch', async () => {
    const { link, to, peer } = await withPeer();
    let writes = 0;
    const { write } = Socket.prototype;
    Socket.prototype.write = function (this: Socket, ...words: unknown[]): boolean {
      if (this !== peer) writes += 1;
      return Reflect.apply(write, this, words);
    } as Socket['write'];
    try {
      expect(link.sendBatch(batch(to))).toBe(true);
    } finally {
      Socket.prototype.write = write;
    }
    expect(writes).toBe(1);
    let received = 0;
    peer.on('data', (chunk) => {
      received += chunk.length;
    });
    await until(() => received === 64 * 1402);

    const batches: number[] = [];
    const rx = vector();
    link.watch({
      readable: () => {
        rx.reset();
        batches.push(link.receiveBatch(rx));
      },
      writable: () => {},
      failed: () => {},
    });
    peer.write(Buffer.concat(Array.from({ length: 60 }, (_, index) => framePacket(new Uint8Array(100).fill(index)))));
    await until(() => batches.length > 0);
    expect(batches).toEqual([60]);
  });

  it('takes the largest, and packets cut at every byte', async () => {
    const { link, peer } = await withPeer();
    const seen = watch(link);
    const packets = [1, 13, 300].map((size) => new Uint8Array(size).fill(size));
    const stream = Buffer.concat([...packets, new Uint8Array(LARGEST).fill(7)].map(framePacket));
    for (let at = 0; at < 320; at += 1) {
      peer.write(stream.subarray(at, at + 1));
      if (at % 20 === 0) await turn();
    }
    peer.write(stream.subarray(320));
    await until(() => seen.packets.length === 4);
    expect(seen.packets).toEqual([...packets, new Uint8Array(LARGEST).fill(7)]);
  });

  it('hands over what came before the end, and then tells of the end once', async () => {
    const { link, peer } = await withPeer();
    peer.end(Buffer.concat([framePacket(Uint8Array.of(1)), framePacket(Uint8Array.of(2)), Uint8Array.of(0, 9, 1)]));
    for (let i = 0; i < 20; i += 1) await turn();
    const seen = watch(link);
    await until(() => seen.ends.length > 0);
    expect(seen.packets).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
    expect(seen.ends.map((error) => error.message)).toEqual(['Connection reset, restarting [0]']);
  });

  it('a reset in the middle of a packet is an end', async () => {
    const { link, peer } = await withPeer();
    const seen = watch(link);
    peer.write(Uint8Array.of(0, 1, 9, 0, 100, 1, 2, 3));
    await until(() => seen.packets.length === 1);
    peer.resetAndDestroy();
    await until(() => seen.ends.length > 0);
    expect(seen.ends.map((error) => error.message)).toEqual(['Connection reset, restarting [-1]']);
    expect(seen.packets).toHaveLength(1);
  });

  it('a reader that stalls: data is dropped beyond the limit and counted, control keeps its order, nothing is refused', async () => {
    const { link, to, peer } = await withPeer({ queuePackets: 10 });
    watch(link);
    peer.pause();
    for (let i = 0; i < 400 && link.counters.overflowed === 0; i += 1) expect(link.sendBatch(batch(to))).toBe(true);
    expect(link.counters.overflowed).toBeGreaterThan(0);
    const taken = link.counters.sent;
    expect(link.sendBatch(batch(to))).toBe(true);
    expect(link.counters.sent).toBe(taken);
    for (let i = 0; i < TCP_CONTROL_PACKETS + 5; i += 1) link.send(Uint8Array.of(0xcc, i), to);
    expect(link.counters.sent).toBe(taken + TCP_CONTROL_PACKETS);
    expect(link.counters.unsent).toBe(5);

    const control: number[] = [];
    let bytes = 0;
    const deframer = new StreamDeframer({ maxPacketBytes: LARGEST });
    peer.on('data', (chunk) => {
      bytes += chunk.length;
      const packets = deframer.handleBytes(chunk);
      if (!packets.ok) throw new Error(packets.reason);
      for (const packet of packets.value) if (packet.length === 2) control.push(packet[1]);
    });
    peer.resume();
    await until(() => control.length === TCP_CONTROL_PACKETS);
    expect(control).toEqual(Array.from({ length: TCP_CONTROL_PACKETS }, (_, i) => i));
    expect(bytes).toBe(taken * 1402 + TCP_CONTROL_PACKETS * 4);
    expect(link.sendBatch(batch(to))).toBe(true);
    await until(() => bytes === (taken + 64) * 1402 + TCP_CONTROL_PACKETS * 4);
  });

  it('a link that refuses when it is full loses nothing', async () => {
    const { link, to, peer } = await withPeer({ queuePackets: 10, whenFull: 'refuse' });
    const seen = watch(link);
    peer.pause();
    let batches = 0;
    let tx = batch(to);
    while (batches < 400 && link.sendBatch(tx)) {
      batches += 1;
      tx = batch(to);
    }
    expect(batches).toBeLessThan(400);
    let bytes = 0;
    peer.on('data', (chunk) => {
      bytes += chunk.length;
    });
    peer.resume();
    await until(() => seen.writable === 1);
    while (!link.sendBatch(tx)) await until(() => seen.writable > 0);
    await until(() => bytes === (batches + 1) * 64 * 1402);
    expect(link.counters.overflowed).toBe(0);
  });

  it('is silent after close, and takes what it is given', async () => {
    const { link, to } = await withPeer();
    const seen = watch(link);
    link.close();
    link.close();
    expect(link.sendBatch(batch(to))).toBe(true);
    link.send(Uint8Array.of(1), to);
    for (let i = 0; i < 10; i += 1) await turn();
    expect(seen.ends).toHaveLength(0);
    expect(link.counters.sent).toBe(0);
  });

  it('a connection that is refused is told in OpenVPN words', async () => {
    const server: Server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const result = await new Promise<LinkOpening>((resolve) => {
      links().connect({ remote: { ...IPV4, port } }, resolve);
    });
    expect(!result.ok && result.error.message).toBe(
      `TCP: connect to [AF_INET]127.0.0.1:${port} failed: Connection refused`,
    );
  });
});
