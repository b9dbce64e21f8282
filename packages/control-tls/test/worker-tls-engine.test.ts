import { spawnSync } from 'node:child_process';
import { describeTlsEngine, MAX_TURNS, pump, type TlsEngineWorld, TlsParty } from '@openvpnd/control-tls/conformance';
import {
  nodeTlsEngineFactory,
  TlsOptionsError,
  type WorkerTlsEngineFactory,
  workerTlsEngineFactory,
} from '@openvpnd/control-tls/node';
import { afterAll, describe, expect, it } from 'vitest';
import { identities } from './node-world.js';

const EXPORTERS = [
  { label: 'EXPORTER-OpenVPN-datakeys', length: 256 },
  { label: 'EXPORTER-OpenVPN-other', length: 256 },
  { label: 'EXPORTER-OpenVPN-p2p-peerid', length: 3 },
];

const open: WorkerTlsEngineFactory[] = [];
afterAll(() => Promise.all(open.map((factory) => factory.close())));

function threaded(options: Parameters<typeof workerTlsEngineFactory>[0]): WorkerTlsEngineFactory {
  const factory = workerTlsEngineFactory(options, { exporters: EXPORTERS, workers: 1 });
  open.push(factory);
  return factory;
}

/** A turn of the event loop in which threads have had their chance. */
function turn(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, 1));
}

let made: Promise<TlsEngineWorld> | undefined;

function world(): Promise<TlsEngineWorld> {
  made ??= (async () => {
    const { pki, server, client, strangeServer, strangeClient } = await identities();
    const ca = pki.ca;
    const side = ({ cert, key }: { cert: string; key: string }): WorkerTlsEngineFactory => threaded({ ca, cert, key });
    return {
      client: side(client),
      server: side(server),
      strangeClient: side(strangeClient),
      strangeServer: side(strangeServer),
      namelessClient: threaded({ ca }),
      turn,
    };
  })();
  return made;
}

describeTlsEngine('workerTlsEngineFactory', world);

describe('workerTlsEngineFactory', () => {
  it('refuses options that cannot work, at once', async () => {
    const { pki } = await identities();
    expect(() => threaded({ ca: pki.ca, cert: 'no certificate', key: 'no key' })).toThrow(TlsOptionsError);
  });

  it('exports nothing that it was not asked for beforehand', async () => {
    const { client, server } = await world();
    const both = [new TlsParty(client, 'client'), new TlsParty(server, 'server')] as const;
    await pump({ turn }, both, () => both.every((party) => party.all('secure').length > 0));
    expect(() => both[0].engine.exportKeyingMaterial('EXPORTER-OpenVPN-datakeys', 128)).toThrow(TypeError);
    for (const { engine } of both) engine.close();
  });

  it('uses other options for engines that come later', async () => {
    const { pki, otherPki, server, client, strangeClient } = await identities();
    const factory = threaded({ ca: pki.ca, cert: server.cert, key: server.key });
    factory.replaceOptions({ ca: otherPki.ca, cert: server.cert, key: server.key });
    expect(() => factory.replaceOptions({ ca: 'none' })).toThrow(TlsOptionsError);
    const verdict = async ({ cert, key }: { cert: string; key: string }): Promise<string | undefined> => {
      const one = new TlsParty(nodeTlsEngineFactory({ ca: pki.ca, cert, key }), 'client');
      const other = new TlsParty(factory, 'server');
      await pump({ turn }, [one, other], () => other.over || other.all('secure').length > 0);
      for (const { engine } of [one, other]) engine.close();
      return other.events.find(({ type }) => type === 'failed' || type === 'secure')?.type;
    };
    expect(await verdict(client)).toBe('failed');
    expect(await verdict(strangeClient)).toBe('secure');
  });

  it('fails its engines when it is closed, and makes none any more', async () => {
    const { pki, server } = await identities();
    const factory = threaded({ ca: pki.ca, cert: server.cert, key: server.key });
    const party = new TlsParty(factory, 'server');
    await factory.close();
    party.takeCiphertext();
    expect(party.all('failed')).toHaveLength(1);
    expect(() => factory.create({ role: 'server', wake() {} })).toThrow(TypeError);
  });

  it('may be warmed up, before the first engine or beside some, and not after it was closed', async () => {
    const { pki, server } = await identities();
    const factory = threaded({ ca: pki.ca, cert: server.cert, key: server.key });
    factory.warmUp();
    const party = new TlsParty(factory, 'server');
    factory.warmUp();
    party.engine.close();
    await factory.close();
    expect(() => factory.warmUp()).toThrow(TypeError);
  });

  it('keeps no process alive, also while engines are left', async () => {
    const { pki, server } = await identities();
    const program = `
      import { workerTlsEngineFactory } from ${JSON.stringify(new URL('../dist/node/index.js', import.meta.url).href)};
      const factory = workerTlsEngineFactory(${JSON.stringify({ ca: pki.ca, cert: server.cert, key: server.key })}, { exporters: [] });
      factory.create({ role: 'server', wake() {} }).start();
    `;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      timeout: 60_000,
      encoding: 'utf8',
    });
    expect({ status: child.status, signal: child.signal, stderr: child.stderr }).toEqual({
      status: 0,
      signal: null,
      stderr: '',
    });
  });

  it('fails an engine whose peer sends more than its thread has come to, and no other', async () => {
    const { server } = await world();
    const [greedy, modest] = [new TlsParty(server, 'server'), new TlsParty(server, 'server')];
    for (let sent = 0; sent <= 256; sent += 1) greedy.receive(new Uint8Array(1024));
    for (let waited = 0; !greedy.over && waited < MAX_TURNS; waited += 1) {
      await turn();
      greedy.takeCiphertext();
    }
    expect(greedy.all('failed')[0]?.reason).toBe('the peer sends more than TLS can take');
    modest.takeCiphertext();
    expect(modest.over).toBe(false);
    for (const { engine } of [greedy, modest]) engine.close();
  });

  it('wakes its thread seldom: few messages for a handshake, and no more for ten that begin in one turn', async () => {
    const { client } = await world();
    const { pki, server } = await identities();
    const factory = threaded({ ca: pki.ca, cert: server.cert, key: server.key });
    const one = [new TlsParty(client, 'client'), new TlsParty(factory, 'server')] as const;
    await pump({ turn }, one, () => one[1].all('secure').length > 0);
    // Its beginning, the ClientHello and the client's flight; what comes of these two.
    expect(factory.messages).toBeLessThanOrEqual(5);
    await turn();
    const before = factory.messages;
    const many = Array.from({ length: 10 }, () => new TlsParty(factory, 'server'));
    for (const { engine } of many) engine.writeCiphertext(Uint8Array.of(22, 3, 1));
    await Promise.resolve();
    expect(factory.messages).toBe(before + 1);
    for (const { engine } of [...one, ...many]) engine.close();
    await Promise.resolve();
    expect(factory.messages).toBe(before + 2);
  });
});
