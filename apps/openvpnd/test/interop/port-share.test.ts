import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Lab, type LabNamespace, labReady, PATIENCE_MS, ping, type RunningProcess } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { Site, STACK_TRACE, TestPki } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

/** A web server that answers with whose connection it has, as the directory says, and with a page of its own size. */
const WEB = `
const { createServer } = require('node:http');
const { readFileSync } = require('node:fs');
const [directory] = process.argv.slice(1);
createServer((request, response) => {
  let body = 0;
  request.on('data', (chunk) => (body += chunk.length));
  request.on('end', () => {
    const { remoteAddress, remotePort } = request.socket;
    const name = '[AF_INET]' + remoteAddress.replace('::ffff:', '') + ':' + remotePort;
    const origin = directory ? readFileSync(directory + '/' + name, 'utf8') : '';
    response.setHeader('x-origin', origin);
    response.end(body > 0 ? 'got ' + body : 'p'.repeat(2_000_000));
  });
}).listen(8080, '127.0.0.1', () => console.log('serving'));`;

/** Fetches a page of the web server through the shared port, then sends one. */
const BROWSER = `
const { request } = require('node:http');
const [host] = process.argv.slice(1);
const ask = (method, body) => new Promise((resolve, reject) => {
  const asked = request({ host, port: 1194, method, agent: false }, (response) => {
    let bytes = 0;
    let text = '';
    response.on('data', (chunk) => { bytes += chunk.length; text = chunk.toString().slice(0, 40); });
    response.on('end', () => resolve(method + ' ' + bytes + ' ' + (method === 'POST' ? text : '') + ' from ' + response.headers['x-origin']
      + ' is ' + (response.headers['x-origin'].endsWith(':' + port) ? 'right' : 'wrong')));
  });
  let port;
  asked.on('socket', (socket) => socket.on('connect', () => (port = socket.localPort)));
  asked.on('error', reject);
  asked.end(body);
});
ask('GET').then(console.log).then(() => ask('POST', Buffer.alloc(1_000_000))).then(console.log).then(() => console.log('browsed'));`;

async function startWeb(place: LabNamespace, directory: string): Promise<RunningProcess> {
  const web = place.start(process.execPath, ['-e', WEB, directory]);
  await web.waitForLine(/^serving$/);
  return web;
}

describe.skipIf(!ready)('a port shared with a web server', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  for (const program of ['openvpnd', 'openvpn'] as const) {
    test(`serves both at once, and tells the web server who comes: server ${program}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { proto: 'tcp4', clients: 2 });
        const directory = join(lab.directory, 'origins');
        mkdirSync(directory);
        await startWeb(site.serverPlace, directory);
        const server = await site.startServer(program, [`port-share 127.0.0.1 8080 ${directory}`]);
        await site.connectClient('openvpn', 0);
        const pinged = ping(site.clientPlaces[0], '10.8.0.1', { count: 100, interval: 0.02 });
        const host = site.serverAddresses.ipv4;
        const browser = site.clientPlaces[1].start(process.execPath, ['-e', BROWSER, host]);
        await browser.waitForLine(/^browsed$/);
        expect(browser.lines[0]).toMatch(/^GET 2000000 {2}from \[AF_INET\]10\.77\.1\.3:\d+ is right$/);
        expect(browser.lines[1]).toMatch(/^POST 11 got 1000000 from \[AF_INET\]10\.77\.1\.3:\d+ is right$/);
        expect((await pinged).received).toBe(100);
        await server.waitForLine(/Non-OpenVPN client protocol detected$/);
        await server.waitForExactly(/SIGTERM\[soft,port-share-redirect\] received, client-instance exiting$/, 2);
        expect(server.countLines(STACK_TRACE)).toBe(0);
        // Each goes with its connection, which another process of the stock server carries.
        await expect.poll(() => readdirSync(directory), { timeout: PATIENCE_MS }).toEqual([]);
        server.signal('SIGTERM');
        expect((await server.waitForEnd()).status).toBe(0);
      }));
  }

  test('costs a browser its connection when there is no web server, and the tunnel nothing', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { proto: 'tcp4', clients: 2 });
      const server = await site.startServer('openvpnd', ['port-share 127.0.0.1 8080']);
      await site.connectClient('openvpn', 0);
      const browser = site.clientPlaces[1].start(process.execPath, ['-e', BROWSER, site.serverAddresses.ipv4]);
      expect((await browser.waitForEnd()).status).not.toBe(0);
      await server.waitForLine(/PORT SHARE PROXY: connect to port-share server failed/);
      expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 5, interval: 0.02 })).received).toBe(5);
    }));
});
