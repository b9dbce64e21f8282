import { Lab, ping } from '@openvpnd/testkit/node';
import { describe, expect, test } from 'vitest';
import { interopReady, pairName, pairs } from './programs.js';
import { SERVER_INSIDE, SERVER_INSIDE_V6, TunnelSetup } from './tunnel.js';

describe.skipIf(!interopReady())('a tunnel', () => {
  const cases = pairs.flatMap((pair) =>
    ['AES-256-GCM', 'CHACHA20-POLY1305'].flatMap((cipher) =>
      ([4, 6] as const).map((family) => ({ pair, cipher, family, who: pairName(pair) })),
    ),
  );

  test.for(cases)('$who with $cipher over IPv$family', ({ pair, cipher, family }) =>
    Lab.use(async (lab) => {
      const setup = await TunnelSetup.make(lab, { pair, family, ciphers: [cipher] });
      const server = await setup.startServer();
      const client = await setup.connectClient();
      const [from] = setup.clients;
      expect((await ping(from!, SERVER_INSIDE)).received).toBe(5);
      expect((await ping(from!, SERVER_INSIDE_V6)).received).toBe(5);
      // Packets of every size up to the device's MTU, which fragment below and must come together again.
      expect((await ping(from!, SERVER_INSIDE, { size: 1472, count: 3 })).received).toBe(3);
      expect(client.countLines(new RegExp(`Data Channel: cipher '${cipher}'`))).toBe(1);
      expect(server.countLines(/Peer Connection Initiated with/)).toBe(1);
      for (const end of [client, server]) {
        end.signal('SIGTERM');
        expect(await end.waitForEnd(10_000)).toEqual({ status: 0, signal: null });
      }
    }),
  );

  const versions = pairs.flatMap((pair) => ['1.2', '1.3'].map((version) => ({ pair, version, who: pairName(pair) })));

  test.for(versions)('$who with TLS $version', ({ pair, version }) =>
    Lab.use(async (lab) => {
      const clientExtra = version === '1.2' ? ['tls-version-max 1.2'] : ['tls-version-min 1.3'];
      const setup = await TunnelSetup.make(lab, { pair, clientExtra });
      await setup.startServer();
      const client = await setup.connectClient();
      expect(client.countLines(new RegExp(`Control Channel: TLSv${version},`))).toBe(1);
      expect((await ping(setup.clients[0]!, SERVER_INSIDE)).received).toBe(5);
    }),
  );
});
