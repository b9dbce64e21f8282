import { describeTlsEngine, pump, type TlsEngineWorld, TlsParty } from '@openvpnd/control-tls/conformance';
import { FakeTlsFactory, type FakeTlsOptions, fakeCertificate } from '@openvpnd/testkit';
import { describe, expect, it } from 'vitest';

const trustNobody: FakeTlsOptions['verify'] = ([certificate]) => ({
  depth: 0,
  error: 'unable to get local issuer certificate',
  subject: certificate?.subject ?? '',
});

function world(options: FakeTlsOptions, turn: () => void = () => {}): TlsEngineWorld {
  const known: FakeTlsOptions['verify'] = (certificates) =>
    certificates.some(({ commonName }) => commonName === 'stranger') ? trustNobody?.(certificates) : undefined;
  const make = (seed: number, commonName: string | undefined): FakeTlsFactory =>
    new FakeTlsFactory({
      ...options,
      seed,
      verify: known,
      certificates: commonName === undefined ? [] : [fakeCertificate(commonName), fakeCertificate('CA', { depth: 1 })],
    });
  return {
    client: make(1, 'client'),
    server: make(2, 'server'),
    strangeClient: make(3, 'stranger'),
    strangeServer: make(4, 'stranger'),
    namelessClient: make(5, undefined),
    turn,
  };
}

describeTlsEngine('FakeTls', () => world({}));

describeTlsEngine('FakeTls, deferred', () => {
  const waiting: (() => void)[] = [];
  return world({ defer: (appear) => waiting.push(appear) }, () => {
    for (const appear of waiting.splice(0)) appear();
  });
});

describe('FakeTls', () => {
  async function connect(options: FakeTlsOptions): Promise<[TlsParty, TlsParty]> {
    const { client, server, turn } = world(options);
    const both: [TlsParty, TlsParty] = [new TlsParty(client, 'client'), new TlsParty(server, 'server')];
    await pump({ turn }, both, () => both.every((party) => party.all('secure').length > 0));
    return both;
  }

  it('has flights of the sizes it is told', async () => {
    const [client, server] = await connect({ flightBytes: [300, 5000, 1000] });
    expect(client.all('ciphertext').map(({ bytes }) => bytes.length)).toEqual([300, 1000]);
    expect(server.all('ciphertext').map(({ bytes }) => bytes.length)).toEqual([5000]);
  });

  it('does the same again with the same seed', async () => {
    const runs = [await connect({}), await connect({})];
    expect(runs[0]!.map(({ events }) => events)).toEqual(runs[1]!.map(({ events }) => events));
  });

  it('has no exporter if told so', async () => {
    const [client] = await connect({ exporter: false });
    expect(() => client.engine.exportKeyingMaterial('x', 1)).toThrow(TypeError);
  });

  it('shows the peer an orderly end', async () => {
    const { client, server, turn } = world({});
    const engine = (client as FakeTlsFactory).create({ role: 'client', wake: () => {} });
    const peer = new TlsParty(server, 'server');
    engine.start();
    for (let n = 0; n < 3; n += 1) {
      for (const event of engine.takeEvents()) if (event.type === 'ciphertext') peer.receive(event.bytes);
      for (const bytes of peer.takeCiphertext()) engine.writeCiphertext(bytes);
    }
    engine.endSession();
    for (const event of engine.takeEvents()) if (event.type === 'ciphertext') peer.receive(event.bytes);
    peer.takeCiphertext();
    turn();
    expect(peer.events.at(-1)).toEqual({ type: 'closed' });
  });
});
