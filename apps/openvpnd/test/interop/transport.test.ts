import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Lab, labReady, PATIENCE_MS, ping, tcpThroughput } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { Site, STACK_TRACE, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');
const MODULE = fileURLToPath(new URL('../../../../examples/websocket-transport/dist/index.js', import.meta.url));

describe.skipIf(!ready)('Socket Rework: "allow sockets to be created by plugins": a transport of others', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  for (const proto of ['tcp4', 'tcp6'] as const) {
    test(`carries a tunnel over a WebSocket, beside a listener for plain TCP, ${proto}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { proto, clients: 2 });
        const server = await site.startServer('openvpnd', [
          'local *',
          'client-to-client',
          `<listen>\nproto ${proto}\nport 8080\ntransport ${MODULE} /tunnel\ntag web\n</listen>`,
        ]);
        const address = proto === 'tcp4' ? site.serverAddresses.ipv4 : site.serverAddresses.ipv6;
        const host = proto === 'tcp4' ? address : `[${address}]`;
        const [place] = site.clientPlaces;
        const client = await site.startClient(
          'openvpnd',
          0,
          [`transport ${MODULE} ws://${host}:8080/tunnel`, 'connect-retry 1'],
          { remote: { address, port: 8080 } },
        );
        await client.waitForLine(UP, UP_TIMEOUT_MS);
        expect((await ping(place, '10.8.0.1', { count: 20, interval: 0.02 })).received).toBe(20);
        expect((await ping(place, 'fd08::1', { count: 3, interval: 0.05, size: 3000 })).received).toBe(3);
        expect(
          (await tcpThroughput(place, site.serverPlace, '10.8.0.1', { seconds: 2 })).megabitsPerSecond,
        ).toBeGreaterThan(1);
        expect((await ping(place, '10.8.0.1', { count: 5, interval: 0.02 })).received).toBe(5);

        // A stock client at the other listener is in the same network.
        await site.connectClient('openvpn', 1);
        expect((await ping(place, await site.tunnelAddress(1, 4), { count: 5, interval: 0.02 })).received).toBe(5);
        await server.waitForLine(/Peer Connection Initiated with .*\(listener web\)/);

        // Others get an answer of the web, and no link.
        const page = await site.clientPlaces[1].run(
          process.execPath,
          ['-e', `fetch('http://${host}:8080/').then((response) => console.log(response.status))`],
          PATIENCE_MS,
        );
        expect(page.stdout.trim()).toBe('404');

        const from = client.lines.length;
        server.signal('SIGUSR1');
        await client.waitForLine(/Connection reset, restarting \[0\]/, PATIENCE_MS, from);
        await client.waitForLine(UP, UP_TIMEOUT_MS, from);
        expect((await ping(place, '10.8.0.1', { count: 5, interval: 0.05 })).received).toBe(5);
        for (const end of [server, client]) {
          end.signal('SIGTERM');
          expect((await end.waitForEnd()).status).toBe(0);
          expect(end.countLines(STACK_TRACE)).toBe(0);
        }
      }));
  }

  test('that does not work is told by name, with the reason', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { proto: 'tcp4' });
      const module = (name: string, text: string): string => {
        const path = join(lab.directory, name);
        writeFileSync(path, text);
        return path;
      };
      const cases: readonly [string, RegExp][] = [
        ['/nonexistent.mjs', /--transport: cannot load '\/nonexistent\.mjs'/],
        [module('empty.mjs', 'export const x = 1;'), /has no default export that is a function/],
        [module('refuses.mjs', "export default () => { throw new Error('not today'); };"), /--transport .*: not today/],
        [`${MODULE} http://wrong/`, /a URL of ws: or wss: is needed/],
        [
          module('udp.mjs', "export default () => ({ protocol: 'udp', connect() {}, listen() {} });"),
          /carries packets as udp does, and this is --proto tcp: write 'proto udp' beside it/,
        ],
        [
          module(
            'timer.mjs',
            "export default () => ({ protocol: 'tcp', listen() {}, connect() { setTimeout(() => { null.x; }, 50); return { cancel() {} }; } });",
          ),
          /--transport .*timer\.mjs: the module broke in a callback of its own: .*\(mend the module/,
        ],
        [
          module(
            'text.mjs',
            "export default () => ({ protocol: 'tcp', listen() {}, connect() { Promise.reject('late'); return { cancel() {} }; } });",
          ),
          /--transport .*text\.mjs: the module broke in a callback of its own: late \(mend/,
        ],
        [
          module(
            'junk.mjs',
            "export default () => ({ protocol: 'tcp', listen() {}, connect(where, opened) { setTimeout(() => opened({ ok: true }), 50); return { cancel() {} }; } });",
          ),
          /--transport .*junk\.mjs: it gave the callback of connect\(\) something that is no link with its remote/,
        ],
        [
          module(
            'send.mjs',
            "export default ({ links }) => ({ protocol: 'tcp', listen() {}, connect({ remote }, opened) { queueMicrotask(() => opened({ ok: true, ...links.packets({ remote, protocol: 'tcp' }, () => ({ full: false, send() { throw new Error('no more'); }, close() {} })) })); return { cancel() {} }; } });",
          ),
          /--transport .*send\.mjs: the module broke in a callback of its own: no more \(mend/,
        ],
      ];
      for (const [words, message] of cases) {
        const client = await site.startClient('openvpnd', 0, [`transport ${words}`]);
        expect((await client.waitForEnd()).status).toBe(1);
        expect(client.countLines(message)).toBe(1);
        expect(client.countLines(/internal error/)).toBe(0);
        expect(client.countLines(STACK_TRACE)).toBe(0);
      }
    }));
});
