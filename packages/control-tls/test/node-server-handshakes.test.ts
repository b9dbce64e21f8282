import { MAX_TURNS, TlsParty } from '@openvpnd/control-tls/conformance';
import { SeededRandom } from '@openvpnd/testkit';
import { describe, expect, it } from 'vitest';
import { nodeWorld, turn } from './node-world.js';

/** Whoever begins, and what the server has to think of it. */
const KINDS = ['client', 'strangeClient', 'namelessClient'] as const;

describe.each(['1.2', '1.3'] as const)('handshakes of one server at the same time, TLS %s', (maxVersion) => {
  it('are each told their own end', async () => {
    const world = await nodeWorld({ maxVersion });
    const random = new SeededRandom(5);
    const pairs = Array.from({ length: 30 }, (_, index) => {
      const kind = KINDS[index % KINDS.length]!;
      return { kind, client: new TlsParty(world[kind], 'client'), server: new TlsParty(world.server, 'server') };
    });
    // Some are given up half-way: their end is nobody's news.
    const givenUp = new Set(pairs.filter((_, index) => index % 7 === 6));
    const waiting: { readonly to: TlsParty; readonly bytes: Uint8Array }[] = [];
    const settled = (): boolean =>
      pairs.every((pair) => givenUp.has(pair) || pair.server.over || pair.server.all('secure').length > 0);
    for (let turns = 0; turns < MAX_TURNS && !settled(); turns += 1) {
      for (const { client, server } of pairs) {
        for (const bytes of client.takeCiphertext()) waiting.push({ to: server, bytes });
        for (const bytes of server.takeCiphertext()) waiting.push({ to: client, bytes });
      }
      // In any order among the pairs, in the given order for each party.
      const parties = [...new Set(waiting.map(({ to }) => to))];
      const lucky = parties[Math.floor(random.fraction() * parties.length)];
      const place = waiting.findIndex(({ to }) => to === lucky);
      if (place >= 0) {
        const [{ to, bytes }] = waiting.splice(place, 1) as [(typeof waiting)[number]];
        to.receive(bytes);
      }
      if (turns === 20) for (const pair of givenUp) pair.server.engine.close();
      await turn();
    }
    for (const { kind, server } of pairs.filter((pair) => !givenUp.has(pair))) {
      expect(server.all('secure').length).toBe(kind === 'client' ? 1 : 0);
      expect(server.all('failed').length).toBe(kind === 'client' ? 0 : 1);
      if (kind === 'client') expect(server.all('secure')[0]?.certificates[0]?.subject).toBe('CN=client');
      if (kind === 'strangeClient') expect(server.all('failed')[0]?.certificate?.subject).toContain('CN=');
    }
    for (const { client, server } of pairs) for (const { engine } of [client, server]) engine.close();
  });
});
