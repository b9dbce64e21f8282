import { describe, expect, test } from 'vitest';
import type { OlderClient } from './old-engines.js';
import type { SimClient } from './sim-client.js';
import type { SimServer } from './sim-server.js';
import { SimWorld } from './sim-world.js';
import { NO_FAULTS } from './traffic.js';

interface Pair {
  readonly world: SimWorld;
  readonly server: SimServer;
  readonly client: SimClient;
}

function pair(older: OlderClient, both: readonly string[] = []): Pair {
  const world = new SimWorld({ seed: 2, conditions: { delayMs: 10 } });
  const server = world.server({ config: [...both, 'reneg-sec 20'] });
  return { world, server, client: world.client('client', { config: both, older }) };
}

/** Connects, renegotiates twice under traffic, and answers how the data channel runs. */
function connected({ world, server, client }: Pair): { readonly cipher: string; readonly peerId: number | undefined } {
  world.until('connected', () => client.connected && server.connected === 1, 15);
  const flows = world.traffic.between('client', 'server', { intervalMs: 100 });
  world.finishTraffic(50);
  expect(flows.map((flow) => flow.lost)).toEqual([0, 0]);
  expect(world.traffic.faults).toEqual(NO_FAULTS);
  expect(world.journal.of('tls.soft-reset', 'server').length).toBeGreaterThanOrEqual(2);
  expect(client.signals).toEqual([]);
  const [own, theirs] = ['client', 'server'].map((who) => world.journal.of('data-channel.options', who)[0]?.fields);
  expect(own).toEqual({ cipher: theirs?.cipher, peerId: theirs?.peerId });
  return { cipher: String(own?.cipher), peerId: own?.peerId as number | undefined };
}

const named = (cipher: string) => (text: string) =>
  text.includes(',cipher ')
    ? text.replace(/,cipher [^,]+/, `,cipher ${cipher}`)
    : text.replace(',auth ', `,cipher ${cipher},auth `);

describe('clients that do not negotiate as those of today', () => {
  test('2.4.0 to 2.4.9: IV_NCP=2 and no list', () => {
    const peerInfo = 'IV_VER=2.4.9\nIV_PLAT=linux\nIV_PROTO=2\nIV_NCP=2\nIV_LZ4=1\nIV_LZ4v2=1\nIV_LZO=1\nIV_TCPNL=1\n';
    expect(connected(pair({ peerInfo, optionsString: named('BF-CBC') }))).toEqual({ cipher: 'AES-256-GCM', peerId: 0 });
  });

  test('2.4.10 and later: the list counts, whatever the options string says', () => {
    const peerInfo = 'IV_VER=2.4.12\nIV_PROTO=2\nIV_NCP=2\nIV_CIPHERS=AES-128-GCM:BF-CBC\n';
    expect(connected(pair({ peerInfo, optionsString: named('AES-256-GCM') })).cipher).toBe('AES-128-GCM');
  });

  test('2.3: no peer info that matters, the cipher of the options string, P_DATA_V1', () => {
    const both = ['data-ciphers AES-256-GCM:AES-256-CBC', 'cipher AES-256-CBC'];
    const older = { peerInfo: undefined, optionsString: named('AES-256-CBC') };
    expect(connected(pair(older, both))).toEqual({ cipher: 'AES-256-CBC', peerId: undefined });
  });

  test('with no cipher at all: data-ciphers-fallback, on both ends', () => {
    const older = { peerInfo: undefined, optionsString: (text: string) => text.replace(/,cipher [^,]+/, '') };
    const both = ['data-ciphers-fallback AES-128-CBC'];
    expect(connected(pair(older, both))).toEqual({ cipher: 'AES-128-CBC', peerId: undefined });
  });

  test.each([
    ['with another cipher in the options string', { peerInfo: undefined, optionsString: named('BF-CBC') }, []],
    [
      'with no cipher and no fallback',
      { peerInfo: undefined, optionsString: (text: string) => text.replace(/,cipher [^,]+/, '') },
      [],
    ],
    [
      'with a list that shares nothing',
      { peerInfo: 'IV_PROTO=2\nIV_CIPHERS=BF-CBC\n' },
      ['data-ciphers-fallback AES-128-CBC'],
    ],
  ] as const)('%s are refused, and told why', (_, older, both) => {
    const { world, client } = pair(older, both);
    world.until('refused', () => client.signals.length > 0, 15);
    const [{ fields }] = world.journal.of('client.auth-failed', 'client');
    expect(fields.text).toBe('AUTH_FAILED,Data channel cipher negotiation failed (no shared cipher)');
    expect(client.connectedAt).toEqual([]);
  });
});

describe('a client whose server pushes no cipher', () => {
  // The server takes the client for one that announces nothing, and says what it runs in its options string alone.
  test('takes that of the options string if it may', () => {
    const both = ['data-ciphers AES-128-GCM:AES-256-GCM', 'cipher AES-128-GCM'];
    const set = pair({ peerInfo: undefined, optionsString: named('AES-128-GCM') }, both);
    expect(connected(set).cipher).toBe('AES-128-GCM');
    expect(set.world.journal.of('ncp.chosen', 'client')[0]?.fields).toMatchObject({ how: 'options-string' });
  });

  test('takes its fallback where there is none, and nothing without one', () => {
    const older = { peerInfo: undefined, optionsString: (text: string) => text.replace(/,cipher [^,]+/, '') };
    const world = new SimWorld({ seed: 2 });
    world.server({ config: ['data-ciphers-fallback AES-128-CBC'] });
    const client = world.client('client', { older });
    world.until('given up', () => client.signals.length > 0, 15);
    expect(client.signals[0]).toMatchObject({ signal: 'SIGUSR1', text: 'process-push-msg-failed' });
    expect(world.journal.of('ncp.no-cipher', 'client')).toHaveLength(1);
    expect(client.connectedAt).toHaveLength(0);
  });
});
