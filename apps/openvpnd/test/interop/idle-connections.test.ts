import { readFileSync } from 'node:fs';
import { Lab, labReady, PATIENCE_MS, type RunningProcess, startPing } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { Site, STACK_TRACE, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

/** `OPENVPND_IDLE_CONNECTIONS=2000` is the measure that is asked for; fewer tell as much in less time. */
const CONNECTIONS = Number(process.env.OPENVPND_IDLE_CONNECTIONS ?? 400);
/** What one may cost before its first whole packet, resident. */
const MAX_BYTES_EACH = 16 * 1024;
/** What the process may grow by meanwhile for other reasons: its heap is no scale. */
const NOISE_BYTES = 4 << 20;

/** Opens connections, each of which sends a byte of a packet every second, or nothing at all. */
const STRANGERS = `
  const [host, count, drips] = process.argv.slice(1);
  let open = 0;
  let closed = 0;
  const dial = () => {
    const peer = require('node:net').connect(1194, host);
    peer.on('connect', () => {
      open += 1;
      if (open === Number(count)) console.log('all open');
      else if (open + closed < Number(count)) dial();
      if (drips !== 'drip') return;
      // The length of a first packet, and then its bytes, for as long as anybody waits.
      const bytes = [0, 200, 0x38, ...Array(190).fill(1)];
      const timer = setInterval(() => peer.write(Buffer.of(bytes.shift() ?? 1)), 1000);
      peer.on('close', () => clearInterval(timer));
    });
    peer.on('error', () => {});
    peer.on('close', () => {
      closed += 1;
      if (closed === 1) console.log('first closed');
      if (closed === Number(count)) console.log('all closed');
    });
  };
  for (let i = 0; i < 20; i += 1) dial();
`;

function residentBytes(server: RunningProcess): number {
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

describe.skipIf(!ready)('connections of strangers', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  for (const manner of ['idle', 'drip'] as const) {
    test(`${CONNECTIONS} of them, ${manner === 'idle' ? 'idle' : 'each with a byte a second'}, cost at most 16 KiB each and a running ping nothing`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { proto: 'tcp4', clients: 2 });
        const server = await site.startServer('openvpnd', ['hand-window 90']);
        await site.connectClient('openvpn', 0);
        const [place, elsewhere] = site.clientPlaces;
        // What the first packets make the process grow by is not the strangers' doing.
        const warm = startPing(place, '10.8.0.1', { interval: 0.02 });
        for (let reply = 0; reply < 100; reply += 1) await warm.reply();
        const quiet = await warm.count();
        const before = residentBytes(server);
        const strangers = elsewhere.start(process.execPath, [
          '-e',
          STRANGERS,
          site.serverAddresses.ipv4,
          String(CONNECTIONS),
          manner,
        ]);
        await strangers.waitForLine(/all open/, 30_000);
        for (let reply = 0; reply < 200; reply += 1) await warm.reply();
        const grown = residentBytes(server) - before;
        const pinged = await warm.finish();
        expect(pinged.received).toBe(pinged.sent);
        process.stdout.write(
          `${CONNECTIONS} ${manner}: ${(grown / CONNECTIONS / 1024).toFixed(1)} KiB each; ping ${quiet.medianMs} ms before, ${pinged.medianMs} ms with them\n`,
        );
        expect(grown).toBeLessThan(CONNECTIONS * MAX_BYTES_EACH + NOISE_BYTES);
        expect(server.countLines(STACK_TRACE)).toBe(0);
      }));
  }

  test('without a descriptor left newcomers are turned away, and come in when there is one; who is in notices nothing', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { proto: 'tcp4', clients: 2 });
      const server = await site.startServer('openvpnd', ['hand-window 10']);
      const first = await site.connectClient('openvpn', 0);
      const [place, elsewhere] = site.clientPlaces;
      const pings = startPing(place, '10.8.0.1', { interval: 0.05 });
      await pings.reply();
      // The limit is on the number of a descriptor: six of those below it are free.
      const used = (await site.serverPlace.run('ls', [`/proc/${server.pid}/fd`], PATIENCE_MS)).stdout
        .trim()
        .split('\n');
      const free = Array.from({ length: 1024 }, (_, number) => number).filter(
        (number) => !used.includes(String(number)),
      );
      await site.serverPlace.run('prlimit', ['--pid', String(server.pid), `--nofile=${free[6]}`], PATIENCE_MS);
      // As many as there is room for, and more: those the system of Node turns away.
      const strangers = elsewhere.start(process.execPath, ['-e', STRANGERS, site.serverAddresses.ipv4, '20', 'idle']);
      await strangers.waitForLine(/first closed/);
      const late = await site.startClient('openvpn', 1, ['connect-retry 1', 'connect-timeout 30']);
      await late.waitForLine(/Connection reset, restarting/);
      // The strangers are closed after --hand-window, and make room.
      await late.waitForLine(UP, UP_TIMEOUT_MS + 10_000);
      const pinged = await pings.finish();
      expect(pinged.received).toBe(pinged.sent);
      expect(first.countLines(/Connection reset|Restart/)).toBe(0);
      expect(server.end).toBeUndefined();
      expect(server.countLines(STACK_TRACE)).toBe(0);
      await strangers.stop();
    }));
});
