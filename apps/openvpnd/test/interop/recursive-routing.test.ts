import { Lab, labReady } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { Site, TestPki, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

describe.skipIf(!ready)('a tunnel that is routed into itself', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  for (const program of ['openvpn', 'openvpnd'] as const) {
    test(`${program} drops its own packets, and says so`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { serverExtra: ['keepalive 1 5'] });
        await site.startServer('openvpn');
        const server = site.serverAddresses.ipv4;
        const client = await site.connectClient(program, 0, ['verb 4']);
        await site.clientPlaces[0].ip('route', 'add', `${server}/32`, 'dev', 'tun0');
        const seen = await client.waitForLine(/Recursive routing detected, drop tun packet to (.*)$/, UP_TIMEOUT_MS);
        expect(seen[1]).toBe(`[AF_INET]${server}:1194`);
      }));
  }
});
