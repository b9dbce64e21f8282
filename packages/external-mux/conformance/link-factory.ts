import type { LinkFactory, LinkListener, LinkSocket, ListenWatcher, OpenedLink } from '@openvpnd/external-mux';
import { type Endpoint, endpointOf } from '@openvpnd/external-mux';
import {
  ADDRESS_LINK,
  ADDRESS_PORT,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_RAW,
  FATE_TO_LINK,
  type LinkAddress,
  PacketVector,
} from '@openvpnd/memory';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_TURNS } from './link-socket.js';

/** A factory and the world around it. */
export interface LinkFactoryWorld {
  readonly factory: LinkFactory;
  /** Where its listeners can be reached; the port is 0. */
  readonly host: Endpoint;
  /** Lets the world make some progress; the suite calls it at most {@link MAX_TURNS} times for each thing that it waits for. */
  turn(): Promise<void> | void;
}

/** What every {@link LinkFactory} must do. Run it with each implementation. */
export function describeLinkFactory(name: string, makeWorld: () => LinkFactoryWorld): void {
  describe(`${name}: LinkFactory`, () => {
    const opened: { close(): void }[] = [];
    let world: LinkFactoryWorld;

    afterEach(() => {
      for (const one of opened.splice(0)) one.close();
    });

    async function until(condition: () => boolean): Promise<void> {
      for (let turns = 0; turns < MAX_TURNS && !condition(); turns += 1) await world.turn();
      expect(condition(), 'nothing more happened').toBe(true);
    }

    async function listen(): Promise<Listening> {
      const listening = new Listening();
      listening.listener = world.factory.listen({ local: world.host }, listening);
      opened.push(listening);
      expect(listening.at, 'nothing is told before listen has returned').toBeUndefined();
      await until(() => listening.at !== undefined);
      return listening;
    }

    async function connect(to: LinkAddress): Promise<OpenedLink> {
      const remote = endpointOf(to);
      if (remote === undefined) throw new Error('not an address');
      let result: OpenedLink | undefined;
      world.factory.connect({ remote }, (outcome) => {
        if (!outcome.ok) throw outcome.error;
        result = outcome;
        opened.push(outcome.link);
      });
      expect(result, 'nothing is told before connect has returned').toBeUndefined();
      await until(() => result !== undefined);
      if (result === undefined) throw new Error('not connected');
      return result;
    }

    /** A client and what the server has for it, once the client has said something. */
    async function pair(): Promise<{ client: OpenedLink; server: OpenedLink; atServer: Received[] }> {
      world = makeWorld();
      const listening = await listen();
      const client = await connect(listening.at as LinkAddress);
      client.link.send(pattern(3, 1), client.remote);
      await until(() => listening.links.length > 0);
      const [{ link }] = listening.links;
      const atServer = collect(link);
      await until(() => atServer.length === 1);
      return { client, server: { link, remote: atServer[0].source }, atServer };
    }

    it('links both ways, under addresses that name the links', async () => {
      const { client, server, atServer } = await pair();
      expect(client.link.id).not.toBe(server.link.id);
      expect(atServer[0].bytes).toEqual(pattern(3, 1));
      for (const { link, remote } of [client, server]) {
        expect(link.protocol).toBe(world.factory.protocol);
        expect(remote).toHaveLength(ADDRESS_WORDS);
        expect(remote[ADDRESS_LINK]).toBe(link.id);
        expect(link.localAddress()[ADDRESS_LINK]).toBe(link.id);
      }
      expect(server.remote[ADDRESS_PORT]).toBe(client.link.localAddress()[ADDRESS_PORT]);
      const atClient = collect(client.link);
      server.link.send(pattern(5, 2), server.remote);
      await until(() => atClient.length === 1);
      expect(atClient[0].bytes).toEqual(pattern(5, 2));
      expect(atClient[0].source).toEqual(client.remote);
    });

    it('carries batches of all sizes in order, as rows of fate RAW', async () => {
      const { client, atServer } = await pair();
      const sizes = [1, 2, 14, 255, 256, 1400, 1472, 3];
      const tx = vector();
      for (const [index, size] of sizes.entries()) addRow(tx, pattern(size, index), client.remote);
      expect(client.link.sendBatch(tx)).toBe(true);
      for (let row = 0; row < tx.count; row += 1) expect(tx.fate[row]).toBe(FATE_DROPPED);
      await until(() => atServer.length === 1 + sizes.length);
      expect(atServer.slice(1).map(({ bytes }) => bytes)).toEqual(sizes.map((size, index) => pattern(size, index)));
      expect(atServer.every(({ fate }) => fate === FATE_RAW)).toBe(true);
    });

    it('copies what it is given before it returns', async () => {
      const { client, atServer } = await pair();
      const packet = pattern(40, 9);
      client.link.send(packet, client.remote);
      packet.fill(0);
      const tx = vector();
      addRow(tx, pattern(41, 9), client.remote);
      client.link.sendBatch(tx);
      tx.bytes.fill(0);
      await until(() => atServer.length === 3);
      expect(atServer.slice(1).map(({ bytes }) => bytes)).toEqual([pattern(40, 9), pattern(41, 9)]);
    });

    it('leaves alone rows of other links', async () => {
      const { client, atServer } = await pair();
      const tx = vector();
      const foreign = client.remote.slice();
      foreign[ADDRESS_LINK] += 1000;
      const row = addRow(tx, pattern(10, 1), foreign);
      addRow(tx, pattern(11, 1), client.remote);
      expect(client.link.sendBatch(tx)).toBe(true);
      expect(tx.fate[row]).toBe(FATE_TO_LINK);
      await until(() => atServer.length === 2);
      expect(atServer[1].bytes).toHaveLength(11);
    });

    it('keeps what comes while paused', async () => {
      const { client, server, atServer } = await pair();
      server.link.pause();
      for (let index = 0; index < 20; index += 1) client.link.send(pattern(10, index), client.remote);
      for (let turn = 0; turn < 20; turn += 1) await world.turn();
      expect(atServer).toHaveLength(1);
      server.link.resume();
      await until(() => atServer.length === 21);
      expect(atServer.slice(1).map(({ bytes }) => bytes)).toEqual(
        Array.from({ length: 20 }, (_, index) => pattern(10, index)),
      );
    });

    it('closes a listener and not its links', async () => {
      world = makeWorld();
      const listening = await listen();
      const client = await connect(listening.at as LinkAddress);
      client.link.send(pattern(3, 1), client.remote);
      await until(() => listening.links.length > 0);
      listening.listener?.close();
      listening.listener?.close();
      const atServer = collect(listening.links[0].link);
      client.link.send(pattern(4, 1), client.remote);
      await until(() => atServer.length === 2);
    });

    it('tells of an address that cannot be bound', async () => {
      world = makeWorld();
      const listening = await listen();
      const port = (listening.at as LinkAddress)[ADDRESS_PORT];
      const second = new Listening();
      opened.push(second);
      second.listener = world.factory.listen({ local: { ...world.host, port } }, second);
      await until(() => second.failures.length > 0);
      expect(second.failures[0].message).toContain('Address already in use');
      expect(second.at).toBeUndefined();
    });

    it('a cancelled connect calls nobody', async () => {
      world = makeWorld();
      const listening = await listen();
      const remote = endpointOf(listening.at as LinkAddress) as Endpoint;
      let calls = 0;
      const pending = world.factory.connect({ remote }, () => {
        calls += 1;
      });
      pending.cancel();
      pending.cancel();
      for (let turn = 0; turn < 50; turn += 1) await world.turn();
      expect(calls).toBe(0);
    });
  });
}

interface Received {
  readonly bytes: Uint8Array;
  readonly source: LinkAddress;
  readonly fate: number;
}

class Listening implements ListenWatcher {
  listener: LinkListener | undefined;
  at: LinkAddress | undefined;
  readonly links: { readonly link: LinkSocket; readonly remote: LinkAddress | undefined }[] = [];
  readonly failures: Error[] = [];

  listening(local: LinkAddress): void {
    this.at = local;
  }

  link(link: LinkSocket, remote: LinkAddress | undefined): void {
    this.links.push({ link, remote });
  }

  crowded(): void {}

  failed(error: Error): void {
    this.failures.push(error);
  }

  close(): void {
    this.listener?.close();
    for (const { link } of this.links) link.close();
  }
}

function vector(): PacketVector {
  return new PacketVector({ capacity: 64, headroom: 0, packetBytes: 2048, tailroom: 0 });
}

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + seed * 7) & 0xff);
}

function addRow(tx: PacketVector, packet: Uint8Array, to: LinkAddress): number {
  const row = tx.appendCopy(packet);
  tx.addresses.set(to, row * ADDRESS_WORDS);
  tx.fate[row] = FATE_TO_LINK;
  return row;
}

function collect(link: LinkSocket): Received[] {
  const received: Received[] = [];
  const rx = vector();
  link.watch({
    readable() {
      rx.reset();
      link.receiveBatch(rx);
      for (let row = 0; row < rx.count; row += 1) {
        received.push({
          bytes: rx.packet(row).slice(),
          source: rx.addresses.slice(row * ADDRESS_WORDS, (row + 1) * ADDRESS_WORDS),
          fate: rx.fate[row],
        });
      }
    },
    writable() {},
    failed() {},
  });
  return received;
}
