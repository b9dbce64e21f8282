import { writeFileSync } from 'node:fs';
import { Lab, ping, startPing, ThrowAwayPki } from '@openvpnd/testkit/node';
import { describe, expect, test } from 'vitest';
import { interopReady, pairName, pairs } from './programs.js';
import { SERVER_INSIDE, TunnelSetup, UP_MS } from './tunnel.js';

const cases = pairs.map((pair) => ({ pair, who: pairName(pair) }));

describe.skipIf(!interopReady())('renegotiation', () => {
  const sides = cases.flatMap((one) => (['server', 'client'] as const).map((side) => ({ ...one, side })));

  test.for(sides)('$who: every few seconds by the $side, and no packet is lost', ({ pair, side }) =>
    Lab.use(async (lab) => {
      // The other end leaves it to this one.
      const reneg = { on: ['reneg-sec 3'], off: ['reneg-sec 0'] };
      const setup = await TunnelSetup.make(lab, {
        pair,
        serverExtra: side === 'server' ? reneg.on : reneg.off,
        clientExtra: side === 'client' ? reneg.on : reneg.off,
      });
      await setup.startServer();
      const client = await setup.connectClient();
      const pings = startPing(setup.clients[0]!, SERVER_INSIDE, { interval: 0.02 });
      // The first exchange and two renegotiations.
      for (let from = 0, exchange = 1; exchange <= 3; exchange++) {
        const line = await client.waitForLine(/Control Channel: TLSv/, 20_000, from);
        from = client.lines.indexOf(line.input as string, from) + 1;
      }
      await pings.reply(5000);
      const { sent, received } = await pings.finish();
      expect(sent).toBeGreaterThan(100);
      expect(received).toBe(sent);
    }),
  );
});

describe.skipIf(!interopReady())('many clients', () => {
  test.for(cases)('$who: five at once, each with its own address', ({ pair }) =>
    Lab.use(async (lab) => {
      const setup = await TunnelSetup.make(lab, { pair, clients: 5, serverExtra: ['client-to-client'] });
      const server = await setup.startServer();
      await Promise.all(setup.clients.map((_, index) => setup.connectClient(index)));
      expect(server.countLines(/Peer Connection Initiated with/)).toBe(5);
      const addresses = await Promise.all(
        setup.clients.map(async (client) => {
          const text = await client.ip('-o', '-4', 'address', 'show', 'dev', 'tun0');
          return text.match(/inet ([\d.]+)/)?.[1] as string;
        }),
      );
      expect(new Set(addresses).size).toBe(5);
      const replies = await Promise.all(setup.clients.map((client) => ping(client, SERVER_INSIDE)));
      expect(replies.map(({ received }) => received)).toEqual([5, 5, 5, 5, 5]);
      // Client to client.
      expect((await ping(setup.clients[0]!, addresses[4]!)).received).toBe(5);
    }),
  );
});

describe.skipIf(!interopReady())('a server that dies', () => {
  test.for(cases)('$who: the client comes back when the server does', ({ pair }) =>
    Lab.use(async (lab) => {
      const setup = await TunnelSetup.make(lab, { pair, keepalive: '1 4', clientExtra: ['connect-retry 1 1'] });
      const server = await setup.startServer();
      const client = await setup.connectClient();
      expect((await ping(setup.clients[0]!, SERVER_INSIDE)).received).toBe(5);
      server.signal('SIGKILL');
      await server.waitForEnd(5000);
      const from = client.lines.length;
      await setup.startServer();
      await client.waitForLine(/Initialization Sequence Completed/, 60_000, from);
      expect((await ping(setup.clients[0]!, SERVER_INSIDE)).received).toBe(5);
    }),
  );
});

describe.skipIf(!interopReady())('certificates', () => {
  test.for(cases)('$who: a client of another authority is refused, and its neighbour is not', ({ pair }) =>
    Lab.use(async (lab) => {
      const setup = await TunnelSetup.make(lab, { pair, clients: 2 });
      const server = await setup.startServer();
      const wrong = await ThrowAwayPki.create('Wrong CA');
      const stranger = await setup.startClient(0, { ca: setup.pki.ca, ...(await wrong.issue('stranger', 'client')) });
      await server.waitForLine(/VERIFY ERROR|TLS_ERROR|TLS Error/, UP_MS);
      const client = await setup.connectClient(1);
      expect((await ping(setup.clients[1]!, SERVER_INSIDE)).received).toBe(5);
      expect(stranger.countLines(/Initialization Sequence Completed/)).toBe(0);
      expect(client.end).toBeUndefined();
      expect(server.countLines(/Peer Connection Initiated with/)).toBe(1);
    }),
  );

  test.for(cases)('$who: a server of another authority is refused', ({ pair }) =>
    Lab.use(async (lab) => {
      const setup = await TunnelSetup.make(lab, { pair });
      await setup.startServer();
      const wrong = await ThrowAwayPki.create('Wrong CA');
      const client = await setup.startClient(0, { ca: wrong.ca, ...(await setup.pki.issue('client', 'client')) });
      await client.waitForLine(/VERIFY ERROR/, UP_MS);
      expect(client.countLines(/Initialization Sequence Completed/)).toBe(0);
    }),
  );

  test.for(cases)('$who: a revoked certificate is refused, and its neighbour is not', ({ pair }) =>
    Lab.use(async (lab) => {
      const setup = await TunnelSetup.make(lab, { pair, clients: 2, serverExtra: ['crl-verify crl.pem'] });
      const revoked = await setup.pki.issue('revoked', 'client');
      setup.pki.revoke(revoked);
      writeFileSync(`${lab.directory}/crl.pem`, await setup.pki.crl());
      const server = await setup.startServer();
      const refused = await setup.startClient(0, { ca: setup.pki.ca, ...revoked });
      await server.waitForLine(/VERIFY ERROR.*revoked/, UP_MS);
      await setup.connectClient(1);
      expect((await ping(setup.clients[1]!, SERVER_INSIDE)).received).toBe(5);
      expect(refused.countLines(/Initialization Sequence Completed/)).toBe(0);
    }),
  );

  test.for(cases)('$who: a client certificate does not make a server', ({ pair }) =>
    Lab.use(async (lab) => {
      const setup = await TunnelSetup.make(lab, { pair });
      const server = await setup.startServer();
      // remote-cert-tls client: the server asks for clientAuth, and gets serverAuth.
      const client = await setup.startClient(0, { ca: setup.pki.ca, ...(await setup.pki.issue('other', 'server')) });
      await server.waitForLine(/VERIFY EKU ERROR|VERIFY ERROR/, UP_MS);
      expect(client.countLines(/Initialization Sequence Completed/)).toBe(0);
    }),
  );
});
