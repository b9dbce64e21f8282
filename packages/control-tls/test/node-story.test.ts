import { MAX_TURNS } from '@openvpnd/control-tls/conformance';
import { SeededRandom } from '@openvpnd/testkit';
import { emitControlPacket, parseControlPacket } from '@openvpnd/wire';
import { describe, expect, it } from 'vitest';
import { nodeWorld, turn } from './node-world.js';
import { Side } from './two-sides.js';

/** The stories of the simulation once with real TLS: virtual time, real turns of the loop. */
async function settle(client: Side, server: Side, loss: number, done: () => boolean): Promise<number> {
  const random = new SeededRandom(11);
  let now = 0;
  for (let n = 0; n < MAX_TURNS && !done(); n += 1) {
    let moved = false;
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      if (from.woken) {
        from.woken = false;
        moved = true;
        from.take(from.control.handleWake(now));
      }
      for (const packet of from.takeSent()) {
        moved = true;
        if (random.fraction() < loss) continue;
        const parsed = parseControlPacket(emitControlPacket(packet));
        if (parsed.ok) to.take(to.control.handlePacket(now, parsed.value));
      }
    }
    if (moved) continue;
    await turn();
    await turn();
    if (client.woken || server.woken) continue;
    // Nothing moves by itself: time goes on.
    const next = Math.min(client.control.nextTimeout(), server.control.nextTimeout());
    if (Number.isFinite(next)) now = Math.max(now, next);
    for (const side of [client, server]) side.take(side.control.handleTimeout(now));
  }
  expect(done()).toBe(true);
  return now;
}

describe('a key state with real TLS', () => {
  it.each([
    ['1.3', 0],
    ['1.2', 0],
    ['1.3', 0.3],
    ['1.2', 0.3],
  ] as const)('TLS %s with %s lost each way', async (maxVersion, loss) => {
    const world = await nodeWorld({ maxVersion });
    const [client, server] = [new Side('client', world.client), new Side('server', world.server)];
    client.take(client.control.start(0));
    await settle(client, server, loss, () => client.control.secure && server.control.secure);
    expect(client.control.exportKeyingMaterial('EXPORTER-OpenVPN-datakeys', 256)).toEqual(
      server.control.exportKeyingMaterial('EXPORTER-OpenVPN-datakeys', 256),
    );
    client.take(client.control.sendMessage(0, new Uint8Array(500)));
    client.take(client.control.sendMessage(0, new Uint8Array(3000)));
    server.take(server.control.sendMessage(0, new Uint8Array(300)));
    expect(client.control.allAcked()).toBe(false);
    const said = (): boolean => server.all('plaintext').length === 2 && client.all('plaintext').length === 1;
    await settle(client, server, loss, () => said() && client.control.allAcked() && server.control.allAcked());
    expect(server.all('plaintext').map(({ bytes }) => bytes.length)).toEqual([500, 3000]);
    for (const side of [client, server]) {
      expect(Math.max(...side.sizes)).toBeLessThanOrEqual(1250 - 48);
      side.control.close();
    }
  });

  it('refuses a client of another CA, and goes silent', async () => {
    const world = await nodeWorld();
    const [client, server] = [new Side('client', world.strangeClient), new Side('server', world.server)];
    client.take(client.control.start(0));
    await settle(client, server, 0, () => server.all('failed').length > 0);
    expect(server.all('failed')[0]?.certificate?.subject).toBe('CN=strange client');
    expect(server.all('secure')).toEqual([]);
    expect(server.control.handleTimeout(1e6)).toEqual([]);
    for (const side of [client, server]) side.control.close();
  });
});
