import './native-build.js';
import { spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { VECTOR_COLUMNS } from '@openvpnd/memory';
import { afterEach, describe, expect, it } from 'vitest';
import { type NativeUdpLink, openUdpLink } from '../src/index.js';
import { nativeAddon } from '../src/native-addon.js';

const file = fileURLToPath(new URL(`../build/${process.platform}-${process.arch}/packet_io.node`, import.meta.url));
const buildScript = fileURLToPath(new URL('../scripts/build-addon.mjs', import.meta.url));

/** Opens and watches sockets, installs a key and registers a vector, with the bare addon: a worker has no TypeScript. */
const USE_EVERYTHING = `
  const addon = require(${JSON.stringify(file)});
  for (let id = 0; id < 5; id += 1) {
    const fd = addon.socketOpen(false, 4, false);
    const port = addon.udpAdopt(fd, id);
    addon.socketBind(fd, '127.0.0.1', 0, 0);
    addon.watchPort(port, () => {});
    if (id === 0) addon.closePort(port);
  }
  addon.udpAdopt(addon.socketOpen(false, 4, false), 9);
  addon.installKey('AES-128-GCM', new Uint8Array(16), new Uint8Array(8), new Uint8Array(4), true, false, false);
  const shared = (bytes) => new SharedArrayBuffer(bytes);
  const table = new Uint32Array(shared(${VECTOR_COLUMNS.length} * 16));
  addon.registerVector(new Uint8Array(shared(1024)), table, new Uint32Array(shared(8 * 16)), 4, 32, 200, 256);
`;

const links: NativeUdpLink[] = [];
afterEach(() => {
  for (const link of links.splice(0)) link.close();
});

function sockets(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith('socket:') ? [target] : [];
    } catch {
      return [];
    }
  });
}

describe('environments', () => {
  it('a worker that ends, or is ended, leaves no descriptor and takes nothing of the main thread along', async () => {
    nativeAddon();
    const link = openUdpLink({ id: 1, local: { family: 4, address: '127.0.0.1', port: 0 } });
    links.push(link);
    const before = sockets();
    for (const ending of [
      'setImmediate(() => process.exit(0));',
      'postMessage("open");',
      'throw new Error("worker");',
    ]) {
      const worker = new Worker(
        `const { parentPort } = require('node:worker_threads');
        const postMessage = (message) => parentPort.postMessage(message);
        ${USE_EVERYTHING}${ending}`,
        { eval: true },
      );
      const ended = new Promise((resolve) => worker.once('exit', resolve));
      worker.once('error', () => {});
      worker.once('message', () => {
        expect(sockets().length).toBe(before.length + 5);
        void worker.terminate();
      });
      await ended;
      expect(sockets()).toEqual(before);
    }
    link.send(Uint8Array.of(1), link.localAddress());
    expect(link.counters().sendErrors).toBe(0);
  });

  it('a process that leaves everything open ends when it is told to', () => {
    const child = spawnSync(process.execPath, ['-e', `${USE_EVERYTHING} setImmediate(() => process.exit(7));`], {
      timeout: 60_000,
    });
    expect([child.status, child.stderr.toString()]).toEqual([7, '']);
  });

  it('a child of this process inherits no descriptor', () => {
    const link = openUdpLink({ id: 1, local: { family: 4, address: '127.0.0.1', port: 0 } });
    links.push(link);
    const own = sockets();
    expect(own.length).toBeGreaterThan(0);
    const child = spawnSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    expect(child.stdout).toContain('->');
    for (const socket of own) expect(child.stdout).not.toContain(socket);
  });

  /** Runs a process that sends a packet to itself and does `script` with it: once, since it does not read the packet and stops listening. */
  function onPacket(script: string): { status: number | null; stdout: string } {
    const whole = `
      const addon = require(${JSON.stringify(file)});
      const fd = addon.socketOpen(false, 4, false);
      const port = addon.udpAdopt(fd, 1);
      addon.socketBind(fd, '127.0.0.1', 0, 0);
      const words = new Uint32Array(8);
      addon.udpLocalAddress(port, words);
      addon.watchPort(port, () => { addon.setReading(port, false); ${script} });
      process.on('uncaughtException', (error) => { console.log(error.message); process.exit(3); });
      addon.udpSendOne(port, new Uint8Array(1), words);
    `;
    const { status, stdout } = spawnSync(process.execPath, ['-e', whole], { timeout: 60_000, encoding: 'utf8' });
    return { status, stdout };
  }

  it('a throw out of a watcher is an uncaught exception, as anywhere', () => {
    const end = onPacket(`throw new Error('out of the watcher');`);
    expect(end).toEqual({ status: 3, stdout: 'out of the watcher\n' });
  });

  it('what a watcher puts off is done before the process waits again', () => {
    const end = onPacket(`
      const done = [];
      const note = (what) => { done.push(what); if (done.length === 3) { console.log(done.join(' ')); process.exit(4); } };
      setTimeout(() => process.exit(5), 20_000);
      process.nextTick(note, 'tick');
      queueMicrotask(() => note('microtask'));
      Promise.resolve().then(() => process.nextTick(note, 'tick of a promise'));
    `);
    expect(end).toEqual({ status: 4, stdout: expect.stringMatching(/^(tick|microtask) .*tick of a promise\n$/) });
  });

  it('a throw out of what a watcher put off is an uncaught exception too', () => {
    const end = onPacket(`process.nextTick(() => { throw new Error('later'); });`);
    expect(end).toEqual({ status: 3, stdout: 'later\n' });
  });
});

describe('build-addon', () => {
  it('says what to do without a compiler', () => {
    const env = { ...process.env, CC: '/no/such/compiler' };
    const { status, stderr } = spawnSync(process.execPath, [buildScript], { env, encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^packet-io: no C compiler: '\/no\/such\/compiler' was not found\. Install gcc or clang .*\n$/,
    );
  });

  it('does nothing when nothing has changed', () => {
    // A compiler that fails would be noticed; the flags are part of what must not have changed.
    const { status, stdout } = spawnSync(process.execPath, [buildScript], { env: process.env, encoding: 'utf8' });
    expect([status, stdout]).toEqual([0, '']);
  });
});
