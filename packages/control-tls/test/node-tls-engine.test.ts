import { X509Certificate } from 'node:crypto';
import { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import { MAX_TURNS, pump, TlsParty } from '@openvpnd/control-tls/conformance';
import { type NodeTlsOptions, nodeTlsEngineFactory } from '@openvpnd/control-tls/node';
import { ThrowAwayPki } from '@openvpnd/testkit/node';
import { describe, expect, it } from 'vitest';
import { type Identities, identities, turn } from './node-world.js';

interface Meeting {
  readonly client: TlsParty;
  readonly server: TlsParty;
}

/** Both sides until each has a verdict, and then some turns more. */
async function meet(clientOptions: NodeTlsOptions, serverOptions: NodeTlsOptions): Promise<Meeting> {
  const client = new TlsParty(nodeTlsEngineFactory(clientOptions), 'client');
  const server = new TlsParty(nodeTlsEngineFactory(serverOptions), 'server');
  let calm = 0;
  await pump({ turn }, [client, server], () => {
    const verdicts = [client, server].filter((party) => party.over || party.all('secure').length > 0).length;
    calm += verdicts === 2 ? 1 : verdicts / 100;
    return calm > 5;
  });
  for (const { engine } of [client, server]) engine.close();
  return { client, server };
}

function sides(made: Identities): { client: NodeTlsOptions; server: NodeTlsOptions } {
  const side = ({ cert, key }: { cert: string; key: string }): NodeTlsOptions => ({ ca: made.pki.ca, cert, key });
  return { client: side(made.client), server: side(made.server) };
}

const HOUR_MS = 3_600_000;

describe.each(['1.2', '1.3'] as const)('verification, TLS %s', (maxVersion) => {
  it('takes a good chain at both ends', async () => {
    const { client, server } = sides(await identities());
    // Of hybrid groups, which newer versions of Node.js prefer, node:tls does not tell the key.
    const met = await meet({ ...client, maxVersion, groups: 'X25519:prime256v1' }, { ...server, maxVersion });
    expect(met.server.all('secure')[0]).toMatchObject({ version: `TLSv${maxVersion}` });
    expect(met.server.all('secure')[0]?.certificates.map(({ subject }) => subject)).toEqual(['CN=client', 'CN=Our CA']);
    expect(met.client.all('secure')[0]?.certificates.map(({ subject }) => subject)).toEqual(['CN=server', 'CN=Our CA']);
    expect(met.client.all('secure')[0]?.detail).toBe(
      'peer certificate: 256 bits ECprime256v1, signature: ecdsa-with-SHA256, peer temporary key: 253 bits X25519',
    );
  });

  it.each([
    ['expired', { notBeforeMs: -2 * HOUR_MS, notAfterMs: -HOUR_MS }, 'certificate has expired'],
    ['not yet valid', { notBeforeMs: HOUR_MS, notAfterMs: 2 * HOUR_MS }, 'certificate is not yet valid'],
  ] as const)('refuses a certificate that is %s, at both ends', async (_, settings, error) => {
    const made = await identities();
    const { client, server } = sides(made);
    const badClient = await made.pki.issue('bad client', 'client', settings);
    const badServer = await made.pki.issue('bad server', 'server', settings);
    const atServer = await meet({ ...client, cert: badClient.cert, key: badClient.key, maxVersion }, server);
    const serialNumber = BigInt(`0x${badClient.serialNumber}`).toString();
    expect(atServer.server.all('failed')[0]?.certificate).toEqual({
      depth: 0,
      error,
      subject: 'CN=bad client',
      serialNumber,
    });
    expect(atServer.server.all('secure')).toEqual([]);
    const atClient = await meet(client, { ...server, cert: badServer.cert, key: badServer.key, maxVersion });
    expect(atClient.client.all('failed')[0]?.certificate).toMatchObject({ depth: 0, error, subject: 'CN=bad server' });
    expect(atClient.client.all('secure')).toEqual([]);
  });

  it('refuses a chain of another CA, and tells what OpenVPN tells', async () => {
    const made = await identities();
    const { client, server } = sides(made);
    const met = await meet({ ...client, ...made.strangeClient, maxVersion }, server);
    expect(met.server.all('failed')[0]).toMatchObject({
      reason: 'certificate verify failed',
      certificate: { depth: 0, error: 'unable to get local issuer certificate', subject: 'CN=strange client' },
    });
    // The same client is taken by who trusts its CA.
    const trusting = await meet(
      { ...client, ...made.strangeClient, maxVersion },
      { ...server, ca: made.otherPki.ca + made.pki.ca },
    );
    expect(trusting.server.all('secure')).toHaveLength(1);
  });

  it('refuses a self-signed chain that the peer brings along', async () => {
    const made = await identities();
    const { client, server } = sides(made);
    const met = await meet({ ...client, ...made.strangeClient, extraCerts: made.otherPki.ca, maxVersion }, server);
    expect(met.server.all('failed')[0]?.certificate).toMatchObject({
      depth: 1,
      error: 'self-signed certificate in certificate chain',
      subject: 'CN=Other CA',
    });
  });

  it('refuses who is on the revocation list, and takes who is not', async () => {
    const pki = await ThrowAwayPki.create('CRL CA');
    const [server, kept, revoked] = [
      await pki.issue('server', 'server'),
      await pki.issue('kept', 'client'),
      await pki.issue('revoked', 'client'),
    ];
    pki.revoke(revoked);
    const serverOptions = { ca: pki.ca, cert: server.cert, key: server.key, crl: await pki.crl() };
    const good = await meet({ ca: pki.ca, cert: kept.cert, key: kept.key, maxVersion }, serverOptions);
    expect(good.server.all('secure')).toHaveLength(1);
    const bad = await meet({ ca: pki.ca, cert: revoked.cert, key: revoked.key, maxVersion }, serverOptions);
    expect(bad.server.all('failed')[0]?.certificate).toMatchObject({
      depth: 0,
      error: 'certificate revoked',
      subject: 'CN=revoked',
    });
    // A list of another CA is none for this one.
    const { otherPki } = await identities();
    const missing = await meet(
      { ca: pki.ca, cert: kept.cert, key: kept.key, maxVersion },
      { ...serverOptions, crl: await otherPki.crl() },
    );
    expect(missing.server.all('failed')[0]?.certificate?.error).toBe('unable to get certificate CRL');
  });

  it('takes new options for new engines', async () => {
    const pki = await ThrowAwayPki.create('Renewed CA');
    const [server, client] = [await pki.issue('server', 'server'), await pki.issue('client', 'client')];
    const options = { ca: pki.ca, cert: server.cert, key: server.key, crl: await pki.crl() };
    const factory = nodeTlsEngineFactory(options);
    const clients = nodeTlsEngineFactory({ ca: pki.ca, cert: client.cert, key: client.key, maxVersion });
    const outcome = async (): Promise<TlsParty> => {
      const [one, other] = [new TlsParty(clients, 'client'), new TlsParty(factory, 'server')];
      await pump({ turn }, [one, other], () => other.over || other.all('secure').length > 0);
      for (const { engine } of [one, other]) engine.close();
      return other;
    };
    expect((await outcome()).all('secure')).toHaveLength(1);
    pki.revoke(client);
    factory.replaceOptions({ ...options, crl: await pki.crl() });
    expect((await outcome()).all('failed')).toHaveLength(1);
  });

  it('takes a client without certificate only where that is allowed, and never a bad one', async () => {
    const made = await identities();
    const { client, server } = sides(made);
    const nameless = { ca: made.pki.ca, maxVersion };
    for (const verifyClient of ['optional', 'none'] as const) {
      const met = await meet(nameless, { ...server, verifyClient });
      expect(met.server.all('secure')[0]?.certificates).toEqual([]);
    }
    expect((await meet(nameless, server)).server.all('failed')[0]?.reason).toBe('peer did not return a certificate');
    const strange = { ...client, ...made.strangeClient, maxVersion };
    expect((await meet(strange, { ...server, verifyClient: 'optional' })).server.all('failed')).toHaveLength(1);
    // Nobody asks for it, so nobody sees it.
    expect((await meet(strange, { ...server, verifyClient: 'none' })).server.all('secure')[0]?.certificates).toEqual(
      [],
    );
    // What a server leaves to its clients no client leaves to its server.
    const strangeServer = { ...server, ...made.strangeServer, verifyClient: 'none' as const };
    expect(
      (await meet({ ...client, verifyClient: 'none', maxVersion }, strangeServer)).client.all('failed'),
    ).toHaveLength(1);
  });
});

it('keeps the client certificate from a server that is refused (TLS 1.3)', async () => {
  const made = await identities();
  const { client, server } = sides(made);
  const met = await meet(client, { ...server, ...made.strangeServer });
  expect(met.client.all('failed')).toHaveLength(1);
  // One flight: the ClientHello.
  expect(met.client.all('ciphertext')).toHaveLength(1);
});

it('makes one flight one event and calls wake once for it', async () => {
  const { client, server } = sides(await identities());
  const [one, other] = [
    new TlsParty(nodeTlsEngineFactory(client), 'client'),
    new TlsParty(nodeTlsEngineFactory(server), 'server'),
  ];
  for (let n = 0; one.wakes === 0 && n < MAX_TURNS; n += 1) await turn();
  expect(one.wakes).toBe(1);
  const hello = one.takeCiphertext();
  expect(hello).toHaveLength(1);
  other.receive(hello[0]!);
  for (let n = 0; other.wakes === 0 && n < MAX_TURNS; n += 1) await turn();
  expect(other.wakes).toBe(1);
  expect(other.takeCiphertext()).toHaveLength(1);
  for (const { engine } of [one, other]) engine.close();
});

describe('against a plain node:tls client', () => {
  async function withSocket(
    maxVersion: 'TLSv1.2' | 'TLSv1.3',
    body: (engine: TlsParty, socket: TLSSocket, move: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const made = await identities();
    const { server } = sides(made);
    const engine = new TlsParty(nodeTlsEngineFactory(server), 'server');
    const carrier = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        engine.receive(chunk);
        done();
      },
    });
    const { cert, key } = made.client;
    const socket = connect({
      socket: carrier,
      ca: made.pki.ca,
      cert,
      key,
      maxVersion,
      checkServerIdentity: () => undefined,
    });
    const move = async (): Promise<void> => {
      await turn();
      for (const bytes of engine.takeCiphertext()) carrier.push(Buffer.from(bytes));
    };
    for (let n = 0; engine.all('secure').length === 0 && n < MAX_TURNS; n += 1) await move();
    await body(engine, socket, move);
    socket.destroy();
    engine.engine.close();
  }

  it('tells an orderly end', () =>
    withSocket('TLSv1.3', async (engine, socket, move) => {
      socket.write('last words');
      socket.end();
      for (let n = 0; !engine.over && n < MAX_TURNS; n += 1) await move();
      expect(engine.events.slice(-2).map(({ type }) => type)).toEqual(['plaintext', 'closed']);
    }));

  it('does not renegotiate', () =>
    withSocket('TLSv1.2', async (engine, socket, move) => {
      let renegotiated = false;
      socket.on('error', () => {});
      socket.renegotiate({}, (error) => {
        renegotiated = error === null;
      });
      for (let n = 0; n < 50; n += 1) await move();
      expect(renegotiated).toBe(false);
      expect(engine.all('secure')).toHaveLength(1);
    }));

  it('resumes no session', async () => {
    const sessions: Buffer[] = [];
    await withSocket('TLSv1.3', async (_engine, socket, move) => {
      socket.on('session', (session: Buffer) => sessions.push(session));
      for (let n = 0; n < 20; n += 1) await move();
      expect(socket.isSessionReused()).toBe(false);
    });
    const made = await identities();
    const { server } = sides(made);
    const factory = nodeTlsEngineFactory(server);
    for (const session of [undefined, ...sessions]) {
      const engine = new TlsParty(factory, 'server');
      const carrier = new Duplex({
        read: () => {},
        write: (chunk: Buffer, _encoding, done) => {
          engine.receive(chunk);
          done();
        },
      });
      const { cert, key } = made.client;
      const socket = connect({
        socket: carrier,
        ca: made.pki.ca,
        cert,
        key,
        checkServerIdentity: () => undefined,
        ...(session && { session }),
      });
      socket.on('session', (later: Buffer) => sessions.push(later));
      for (let n = 0; !engine.over && engine.all('secure').length === 0 && n < MAX_TURNS; n += 1) {
        await turn();
        for (const bytes of engine.takeCiphertext()) carrier.push(Buffer.from(bytes));
      }
      expect(engine.all('secure')[0]?.certificates).not.toEqual([]);
      expect(socket.isSessionReused()).toBe(false);
      socket.destroy();
      engine.engine.close();
    }
  });
});

it('leaves nothing behind: 500 engines given up at every stage', async () => {
  const { client, server } = sides(await identities());
  const [clients, servers] = [nodeTlsEngineFactory(client), nodeTlsEngineFactory(server)];
  for (let n = 0; n < 20; n += 1) await turn();
  const before = process.getActiveResourcesInfo().length;
  for (let round = 0; round < 250; round += 1) {
    const [one, other] = [new TlsParty(clients, 'client'), new TlsParty(servers, 'server')];
    for (let step = 0; step < round % 6; step += 1) {
      await turn();
      for (const bytes of one.takeCiphertext()) other.receive(bytes);
      for (const bytes of other.takeCiphertext()) one.receive(bytes);
    }
    for (const party of [one, other]) {
      party.engine.close();
      party.wakes = 0;
    }
    if (round % 50 === 49) {
      for (let n = 0; n < 10; n += 1) await turn();
      expect(one.wakes + other.wakes).toBe(0);
    }
  }
  for (let n = 0; n < 50; n += 1) await turn();
  expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before);
}, 30_000);

it('leaves no timer running for a connection that stands', async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length;
  const { client, server } = sides(await identities());
  const factories = [nodeTlsEngineFactory(client), nodeTlsEngineFactory(server)] as const;
  const before = timers();
  const pairs = Array.from(
    { length: 5 },
    () => [new TlsParty(factories[0], 'client'), new TlsParty(factories[1], 'server')] as const,
  );
  for (const pair of pairs) await pump({ turn }, pair, () => pair.every((party) => party.all('secure').length > 0));
  // One at an end of each would be five more. vitest has one itself now and then.
  expect(timers() - before).toBeLessThan(pairs.length / 2);
  for (const { engine } of pairs.flat()) engine.close();
});

it('tells the signer where two authorities have the same name', async () => {
  const made = await identities();
  const namesake = await ThrowAwayPki.create('Our CA');
  const { client, server } = sides(made);
  for (const ca of [namesake.ca + made.pki.ca, made.pki.ca + namesake.ca]) {
    const met = await meet(client, { ...server, ca });
    const [secure] = met.server.all('secure');
    const der = new X509Certificate(made.pki.ca).raw;
    expect(Buffer.from(secure?.certificates[1]?.raw ?? []).equals(der)).toBe(true);
  }
});
