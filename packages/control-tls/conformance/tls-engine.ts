import type { TlsEngine, TlsEngineFactory, TlsEvent } from '@openvpnd/control-tls';
import { describe, expect, it } from 'vitest';

/** Two sides that trust each other, and two that they refuse. */
export interface TlsEngineWorld {
  readonly client: TlsEngineFactory;
  readonly server: TlsEngineFactory;
  /** A client whose certificate `server` must refuse; it trusts `server`. */
  readonly strangeClient: TlsEngineFactory;
  /** A server whose certificate `client` must refuse; it trusts `client`. */
  readonly strangeServer: TlsEngineFactory;
  /** A client without a certificate, which `server` must refuse; it trusts `server`. */
  readonly namelessClient: TlsEngineFactory;
  /** Lets asynchronous engines make some progress. */
  turn(): Promise<void> | void;
}

/** Turns after which a party that still waits has failed. */
export const MAX_TURNS = 20_000;

/** One engine and everything it has told. */
export class TlsParty {
  readonly engine: TlsEngine;
  readonly events: TlsEvent[] = [];
  wakes = 0;
  #inCall = false;

  constructor(factory: TlsEngineFactory, role: 'client' | 'server') {
    const wake = (): void => {
      if (this.#inCall) throw new Error('wake was called from inside a call');
      this.wakes += 1;
    };
    this.engine = this.#call(() => factory.create({ role, wake }));
    this.#call(() => this.engine.start());
  }

  /** Takes what is new; gives the ciphertext of it. */
  takeCiphertext(): Uint8Array[] {
    const events = this.#call(() => this.engine.takeEvents());
    this.events.push(...events);
    return events.flatMap((event) => (event.type === 'ciphertext' ? [event.bytes] : []));
  }

  receive(bytes: Uint8Array): void {
    this.#call(() => this.engine.writeCiphertext(bytes));
  }

  send(bytes: Uint8Array): void {
    this.#call(() => this.engine.writePlaintext(bytes));
  }

  all<T extends TlsEvent['type']>(type: T): Extract<TlsEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<TlsEvent, { type: T }> => event.type === type);
  }

  get over(): boolean {
    return this.all('failed').length + this.all('closed').length > 0;
  }

  #call<T>(body: () => T): T {
    this.#inCall = true;
    try {
      return body();
    } finally {
      this.#inCall = false;
    }
  }
}

/** Carries ciphertext both ways until `done`, in pieces of `pieceBytes` at most. */
export async function pump(
  world: Pick<TlsEngineWorld, 'turn'>,
  [a, b]: readonly [TlsParty, TlsParty],
  done: () => boolean,
  pieceBytes = 1200,
): Promise<void> {
  for (let turn = 0; turn < MAX_TURNS; turn += 1) {
    let moved = false;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      for (const bytes of from.takeCiphertext()) {
        moved = true;
        for (let at = 0; at < bytes.length; at += pieceBytes) to.receive(bytes.subarray(at, at + pieceBytes));
      }
    }
    if (done()) return;
    if (!moved) await world.turn();
  }
  throw new Error(`not done after ${MAX_TURNS} turns: ${JSON.stringify([a, b].map(({ events }) => events.at(-1)))}`);
}

/** Every {@link TlsEngine} passes this. */
export function describeTlsEngine(name: string, makeWorld: () => Promise<TlsEngineWorld> | TlsEngineWorld): void {
  describe(`${name}: TlsEngine`, () => {
    type Choice = (world: TlsEngineWorld) => readonly [client: TlsEngineFactory, server: TlsEngineFactory];
    interface Meeting {
      readonly world: TlsEngineWorld;
      readonly client: TlsParty;
      readonly server: TlsParty;
      readonly both: readonly [TlsParty, TlsParty];
    }

    async function meet(
      choose: Choice = (world) => [world.client, world.server],
      given?: TlsEngineWorld,
    ): Promise<Meeting> {
      const world = given ?? (await makeWorld());
      const [clientFactory, serverFactory] = choose(world);
      const client = new TlsParty(clientFactory, 'client');
      const server = new TlsParty(serverFactory, 'server');
      return { world, client, server, both: [client, server] };
    }

    async function connect(given?: TlsEngineWorld): Promise<Meeting> {
      const met = await meet(undefined, given);
      await pump(met.world, met.both, () => met.both.every((party) => party.all('secure').length > 0));
      return met;
    }

    async function idle(world: TlsEngineWorld): Promise<void> {
      for (let turn = 0; turn < 20; turn += 1) await world.turn();
    }

    function close(...parties: readonly TlsParty[]): void {
      for (const { engine } of parties) engine.close();
    }

    it('makes a handshake, tells of it once, and shows the chain from the peer upwards', async () => {
      const { world, both } = await connect();
      await idle(world);
      for (const party of both) {
        party.takeCiphertext();
        expect(party.all('secure')).toHaveLength(1);
        expect(party.over).toBe(false);
        const [secure] = party.all('secure');
        expect(secure!.version).toMatch(/^TLSv1\.\d$/);
        expect(secure!.cipher).not.toBe('');
        expect(secure!.certificates.map(({ depth }) => depth)).toEqual(secure!.certificates.map((_, index) => index));
        expect(secure!.certificates[0]?.sha256).toHaveLength(32);
        expect(secure!.certificates[0]?.subject).toMatch(/CN=/);
      }
      close(...both);
    });

    it('makes a handshake byte by byte', async () => {
      const { world, both } = await meet();
      await pump(world, both, () => both.every((party) => party.all('secure').length > 0), 1);
      close(...both);
    });

    it('keeps record boundaries and order, both ways', async () => {
      const { world, client, server, both } = await connect();
      const sizes = [1, 2, 1000, 16_384, 3, 5000];
      for (const [index, size] of sizes.entries()) {
        client.send(new Uint8Array(size).fill(index));
        server.send(new Uint8Array(size + (size < 16_384 ? 1 : 0)).fill(index));
      }
      await pump(world, both, () => both.every((party) => party.all('plaintext').length >= sizes.length));
      expect(server.all('plaintext').map(({ bytes }) => [bytes.length, bytes[0]])).toEqual(
        sizes.map((size, index) => [size, index]),
      );
      expect(client.all('plaintext').map(({ bytes }) => bytes.length)).toEqual(
        sizes.map((size) => size + (size < 16_384 ? 1 : 0)),
      );
      close(...both);
    });

    it('copies what it is given', async () => {
      const { world, client, server, both } = await connect();
      const message = Uint8Array.of(1, 2, 3);
      client.send(message);
      message.fill(0);
      for (let turn = 0; server.all('plaintext').length === 0 && turn < MAX_TURNS; turn += 1) {
        for (const bytes of client.takeCiphertext()) {
          const borrowed = bytes.slice();
          server.receive(borrowed);
          borrowed.fill(0);
        }
        server.takeCiphertext();
        await world.turn();
      }
      expect(server.all('plaintext').map(({ bytes }) => [...bytes])).toEqual([[1, 2, 3]]);
      close(...both);
    });

    it('tells that plaintext is pending until its ciphertext was taken', async () => {
      const { world, client, both } = await connect();
      expect(client.engine.plaintextPending()).toBe(false);
      client.send(new Uint8Array(100));
      client.send(new Uint8Array(100));
      expect(client.engine.plaintextPending()).toBe(true);
      let taken = 0;
      for (let turn = 0; client.engine.plaintextPending() && turn < MAX_TURNS; turn += 1) {
        await world.turn();
        taken += client.takeCiphertext().reduce((sum, bytes) => sum + bytes.length, 0);
      }
      expect(client.engine.plaintextPending()).toBe(false);
      expect(taken).toBeGreaterThan(200);
      close(...both);
    });

    it('exports the same keying material at both ends, by label and length', async () => {
      const { world, client, server, both } = await connect();
      const key = client.engine.exportKeyingMaterial('EXPORTER-OpenVPN-datakeys', 256);
      expect(key).toHaveLength(256);
      expect(server.engine.exportKeyingMaterial('EXPORTER-OpenVPN-datakeys', 256)).toEqual(key);
      expect(client.engine.exportKeyingMaterial('EXPORTER-OpenVPN-other', 256)).not.toEqual(key);
      expect(client.engine.exportKeyingMaterial('EXPORTER-OpenVPN-p2p-peerid', 3)).toHaveLength(3);
      const next = await connect(world);
      expect(next.client.engine.exportKeyingMaterial('EXPORTER-OpenVPN-datakeys', 256)).not.toEqual(key);
      close(...both, ...next.both);
    });

    it('refuses plaintext and export before the handshake is done', async () => {
      const { client, server, both } = await meet();
      expect(() => client.engine.writePlaintext(Uint8Array.of(1))).toThrow(TypeError);
      expect(() => server.engine.exportKeyingMaterial('EXPORTER-OpenVPN-datakeys', 256)).toThrow(TypeError);
      close(...both);
    });

    it('refuses records that TLS does not have', async () => {
      const { client, both } = await connect();
      expect(() => client.engine.writePlaintext(new Uint8Array(0))).toThrow(RangeError);
      expect(() => client.engine.writePlaintext(new Uint8Array(16_385))).toThrow(RangeError);
      close(...both);
    });

    it('a server refuses a client that it does not trust', async () => {
      const { world, client, server } = await meet(({ strangeClient, server }) => [strangeClient, server]);
      await pump(world, [client, server], () => server.over);
      await idle(world);
      server.takeCiphertext();
      expect(server.all('secure')).toEqual([]);
      expect(server.all('failed')).toHaveLength(1);
      expect(server.all('failed')[0]!.certificate).toMatchObject({ depth: 0, subject: expect.stringMatching(/CN=/) });
      expect(server.all('failed')[0]!.certificate!.error).toMatch(/^[ -~]+$/);
      expect(() => server.engine.exportKeyingMaterial('x', 1)).toThrow(TypeError);
      close(client, server);
    });

    it('a client refuses a server that it does not trust, and tells it nothing', async () => {
      const { world, client, server } = await meet(({ client, strangeServer }) => [client, strangeServer]);
      await pump(world, [client, server], () => client.over);
      await idle(world);
      client.takeCiphertext();
      expect(client.all('secure')).toEqual([]);
      expect(client.all('failed')).toHaveLength(1);
      expect(client.all('failed')[0]!.certificate).toMatchObject({ depth: 0, subject: expect.stringMatching(/CN=/) });
      // Up to TLS 1.2 the client's certificate is out before the verdict is known; later it is kept back.
      for (const { version } of server.all('secure')) expect(version).not.toBe('TLSv1.3');
      expect(() => client.engine.exportKeyingMaterial('x', 1)).toThrow(TypeError);
      close(client, server);
    });

    it('a server refuses a client without certificate', async () => {
      const { world, client, server } = await meet(({ namelessClient, server }) => [namelessClient, server]);
      await pump(world, [client, server], () => server.over);
      expect(server.all('secure')).toEqual([]);
      expect(server.all('failed')).toHaveLength(1);
      close(client, server);
    });

    it.each(['client', 'server'] as const)('a %s fails on garbage, once and with a reason', async (role) => {
      const { world, client, server } = await meet();
      const party = role === 'client' ? client : server;
      for (let n = 0; n < 50; n += 1) party.receive(new Uint8Array(1000).fill(0x47 + n));
      for (let turn = 0; !party.over && turn < MAX_TURNS; turn += 1) {
        await world.turn();
        party.takeCiphertext();
      }
      party.receive(new Uint8Array(1000));
      await idle(world);
      party.takeCiphertext();
      expect(party.all('failed')).toHaveLength(1);
      expect(party.all('failed')[0]!.reason).toMatch(/^[ -~]+$/);
      expect(party.engine.plaintextPending()).toBe(false);
      close(client, server);
    });

    it('fails on a changed record, and gives nothing of it', async () => {
      const { world, client, server, both } = await connect();
      await idle(world);
      for (const party of both) party.takeCiphertext();
      client.send(new Uint8Array(500));
      for (let turn = 0; !server.over && turn < MAX_TURNS; turn += 1) {
        for (const bytes of client.takeCiphertext()) {
          bytes[200]! ^= 1;
          server.receive(bytes);
        }
        await world.turn();
        server.takeCiphertext();
      }
      expect(server.all('failed')).toHaveLength(1);
      expect(server.all('plaintext')).toEqual([]);
      // Whoever failed takes what still comes and does nothing.
      server.send(Uint8Array.of(1));
      close(...both);
    });

    it('says nothing any more once it is closed', async () => {
      const { world, client, server, both } = await meet();
      for (let turn = 0; client.events.length === 0 && turn < MAX_TURNS; turn += 1) {
        await world.turn();
        for (const bytes of client.takeCiphertext()) server.receive(bytes);
      }
      close(...both);
      close(...both);
      const wakes = both.map((party) => party.wakes);
      server.receive(new Uint8Array(100));
      client.send(new Uint8Array(100));
      await idle(world);
      expect(both.map((party) => party.wakes)).toEqual(wakes);
      for (const { engine } of both) expect(engine.takeEvents()).toEqual([]);
    });
  });
}
