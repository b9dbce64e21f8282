import './native-build.js';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { ADDRESS_LINK, ADDRESS_PORT, ADDRESS_WORDS, FATE_TO_LINK, PacketVector } from '@openvpnd/memory';
import { afterEach, describe, expect, it } from 'vitest';
import { MULTIHOME_IDS, type NativeUdpLink, type NativeUdpLinkOptions, openUdpLink } from '../src/index.js';

/** The whole of 127.0.0.0/8 is local. */
const FIRST = '127.0.0.1';
const SECOND = '127.0.0.2';

describe('a link with multihome', () => {
  const open: { close(): void }[] = [];
  afterEach(() => {
    for (const one of open.splice(0)) one.close();
  });

  function link(options: Partial<NativeUdpLinkOptions>): NativeUdpLink {
    const opened = openUdpLink({ id: 1000, multihome: 'any-interface', ...options });
    open.push(opened);
    return opened;
  }

  async function client(): Promise<Socket> {
    const socket = createSocket('udp4');
    open.push(socket);
    socket.bind(0, FIRST);
    await once(socket, 'listening');
    return socket;
  }

  /** Sends to an address of the link and waits until it has received: the words of the row. */
  async function ask(server: NativeUdpLink, from: Socket, address: string, rx: PacketVector): Promise<Uint32Array> {
    const row = rx.count;
    from.send('question', server.localAddress()[ADDRESS_PORT], address);
    while (rx.count === row) {
      await new Promise((resolve) => setImmediate(resolve));
      server.receiveBatch(rx);
    }
    return rx.addresses.slice(row * ADDRESS_WORDS, (row + 1) * ADDRESS_WORDS);
  }

  function vector(): PacketVector {
    return new PacketVector({ capacity: 16, headroom: 64, packetBytes: 1500, tailroom: 0 });
  }

  for (const [name, options] of Object.entries<Partial<NativeUdpLinkOptions>>({
    'of IPv4': { family: 4 },
    'of both families': {},
    'with offloads': { family: 4, offload: { gso: true, gro: true } },
    'on the same interface': { family: 4, multihome: 'same-interface' },
  })) {
    it(`answers from the address that was asked, ${name}`, async () => {
      const server = link(options);
      expect(server.idCount).toBe(MULTIHOME_IDS);
      const peer = await client();
      const rx = vector();
      const links: number[] = [];
      for (const address of [SECOND, FIRST, SECOND]) {
        const words = await ask(server, peer, address, rx);
        links.push(words[ADDRESS_LINK]);
        // One by one, and in a vector.
        const answer = once(peer, 'message') as Promise<[Buffer, RemoteInfo]>;
        server.send(Buffer.from('one'), words);
        expect((await answer)[1].address).toBe(address);
        const tx = vector();
        const answers: RemoteInfo[] = [];
        const all = new Promise<void>((resolve) => {
          const take = (_bytes: Buffer, from: RemoteInfo): void => {
            if (answers.push(from) < 3) return;
            peer.off('message', take);
            resolve();
          };
          peer.on('message', take);
        });
        for (let i = 0; i < 3; i += 1) {
          const row = tx.appendCopy(Buffer.from('a vector'));
          tx.fate[row] = FATE_TO_LINK;
          tx.addresses.set(words, row * ADDRESS_WORDS);
        }
        expect(server.sendBatch(tx)).toBe(true);
        await all;
        expect(answers.map((from) => from.address)).toEqual([address, address, address]);
      }
      expect(links[0]).toBe(links[2]);
      expect(links[0]).not.toBe(links[1]);
      for (const id of links) {
        expect(id).toBeGreaterThan(1000);
        expect(id).toBeLessThan(1000 + MULTIHOME_IDS);
      }
    });
  }

  it('and one without answers from where the system likes', async () => {
    const server = openUdpLink({ id: 7, family: 4 });
    open.push(server);
    expect(server.idCount ?? 1).toBe(1);
    const peer = await client();
    const words = await ask(server, peer, SECOND, vector());
    expect(words[ADDRESS_LINK]).toBe(7);
    const answer = once(peer, 'message') as Promise<[Buffer, RemoteInfo]>;
    server.send(Buffer.from('one'), words);
    expect((await answer)[1].address).toBe(FIRST);
  });

  it('has ids for a limited number of local addresses; for those beyond the system chooses', async () => {
    const server = link({ family: 4 });
    const peer = await client();
    const links = new Set<number>();
    for (let host = 2; host < MULTIHOME_IDS + 1; host += 1) {
      links.add((await ask(server, peer, `127.0.${host >> 8}.${host & 255}`, vector()))[ADDRESS_LINK]);
    }
    expect(links.size).toBe(MULTIHOME_IDS - 1);
    for (const address of ['127.9.9.9', '127.9.9.10']) {
      const words = await ask(server, peer, address, vector());
      expect(words[ADDRESS_LINK]).toBe(1000);
      const answer = once(peer, 'message') as Promise<[Buffer, RemoteInfo]>;
      server.send(Buffer.from('one'), words);
      expect((await answer)[1].address).toBe(FIRST);
    }
    const known = await ask(server, peer, '127.0.0.2', vector());
    expect(links.has(known[ADDRESS_LINK])).toBe(true);
  });

  it('leaves rows of other links alone, also of those with near ids', () => {
    const server = link({ family: 4 });
    const tx = vector();
    for (const id of [999, 1000 + MULTIHOME_IDS, 1000, 1001]) {
      const row = tx.appendCopy(Buffer.from('x'));
      tx.fate[row] = FATE_TO_LINK;
      // Family 4, port 9, 127.0.0.1.
      tx.addresses.set([4, 9, 0x7f00_0001, 0, 0, 0, 0, id], row * ADDRESS_WORDS);
    }
    expect(server.sendBatch(tx)).toBe(true);
    expect([...tx.fate.slice(0, 4)].map((fate) => fate === FATE_TO_LINK)).toEqual([true, true, false, false]);
  });
});
