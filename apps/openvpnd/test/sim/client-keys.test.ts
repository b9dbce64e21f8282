import {
  type ClientKeyMetadata,
  emitTlsCryptV2ClientKey,
  emitTlsCryptV2ServerKey,
  generateTlsCryptV2ClientKey,
  generateTlsCryptV2ServerKey,
  tlsCryptV2ClientWraps,
} from '@openvpnd/control-wrap';
import { SeededRandom } from '@openvpnd/testkit';
import { describe, expect, test } from 'vitest';
import type { ControlWraps } from '../../src/control-wraps.js';
import { SimWorld } from './sim-world.js';

const serverKey = generateTlsCryptV2ServerKey(new SeededRandom(1));
const DAY_SECONDS = 86_400;

function block(text: string): readonly string[] {
  return ['<tls-crypt-v2>', ...text.trimEnd().split('\n'), '</tls-crypt-v2>'];
}

function clientKey(metadata: ClientKeyMetadata, seed = 2) {
  return generateTlsCryptV2ClientKey(new SeededRandom(seed), serverKey, metadata);
}

/** As OpenVPN 2.5 begins: its packet ids start at 1, which tells that it cannot show a cookie. */
function wrapsOf25(): ControlWraps {
  const wraps = tlsCryptV2ClientWraps({ clientKey: clientKey({ type: 'none' }) });
  const all = { ...wraps, create: (unixSeconds: number) => wraps.create(unixSeconds, 1) };
  return { all, forClient: () => all };
}

describe('tls-crypt-v2', () => {
  const SERVER = block(emitTlsCryptV2ServerKey(serverKey));

  test('clients with and without a cookie connect side by side over a bad network', () => {
    const world = new SimWorld({ seed: 3, conditions: { delayMs: 20, jitterMs: 20, loss: 0.15, duplicate: 0.05 } });
    const server = world.server({ config: SERVER });
    const config = block(emitTlsCryptV2ClientKey(clientKey({ type: 'none' })));
    const clients = [
      world.client('new', { config }),
      world.client('old', { config, wraps: wrapsOf25() }),
      world.client('older', { config, wraps: wrapsOf25() }),
    ];
    world.until('all connected', () => server.connected === 3 && clients.every((client) => client.connected), 60);
    for (const { name } of clients) world.traffic.between(name, 'server', { intervalMs: 100 });
    world.finishTraffic(5);
    for (const flow of world.traffic.flows) expect(flow.sent - flow.lost).toBeGreaterThan(0);
  });

  test('are judged when they come, and another key does not slip in behind the judgement', () => {
    const world = new SimWorld({ seed: 3, conditions: { delayMs: 10 } });
    const judged: string[] = [];
    const text = ({ metadata }: { readonly metadata: ClientKeyMetadata }): string =>
      metadata.type === 'user' ? new TextDecoder().decode(metadata.bytes) : metadata.type;
    const server = world.server({
      config: [...SERVER, 'tls-crypt-v2-verify /bin/judge'],
      clientKeys: (question) => {
        judged.push(text(question));
        return text(question) !== 'bad';
      },
    });
    const config = (metadata: string, seed: number): readonly string[] =>
      block(emitTlsCryptV2ClientKey(clientKey({ type: 'user', bytes: new TextEncoder().encode(metadata) }, seed)));
    const place = { host: '198.51.7.7', port: 5000, commonName: 'client' };
    const good = world.client('good', { config: config('good', 20), ...place });
    const bad = world.client('bad', { config: config('bad', 21) });
    world.until('connected', () => good.connected && server.connected === 1, 10);
    expect(judged.sort()).toEqual(['bad', 'good']);
    expect(bad.connected).toBe(false);
    bad.kill();

    // The client comes back after it has lost its state: with the same key at once, nobody asks again.
    good.kill();
    good.start();
    world.until('connected again', () => good.connected, 10);
    expect(judged).toHaveLength(2);

    // With another key, at the same place, it has to wait until its former self is gone.
    good.kill();
    const other = world.client('other', { config: config('other', 22), ...place });
    world.advanceSeconds(20);
    expect(other.connected).toBe(false);
    expect(judged).toHaveLength(2);
    world.until('connected', () => other.connected, 200);
    expect(judged.at(-1)).toBe('other');
  });

  test('a key that is too old, or does not tell its age, is refused; a fresh one is not', () => {
    const world = new SimWorld({ seed: 5 });
    const server = world.server({ config: [...SERVER, 'tls-crypt-v2-max-age 2'] });
    const now = world.unixTime(world.clock.now());
    const configs = [DAY_SECONDS, 3 * DAY_SECONDS].map((age, index) =>
      block(emitTlsCryptV2ClientKey(clientKey({ type: 'timestamp', unixSeconds: now - age }, 10 + index))),
    );
    const [fresh, old] = [world.client('fresh', { config: configs[0]! }), world.client('old', { config: configs[1]! })];
    world.until('the fresh one is connected', () => fresh.connected && server.connected === 1, 20);
    expect(old.connected).toBe(false);
  });
});
