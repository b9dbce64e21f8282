import { Lab, labReady, ping } from '@openvpnd/testkit/node';
import { emitControlPacket, P_CONTROL_HARD_RESET_CLIENT_V2 } from '@openvpnd/wire';
import { beforeAll, describe, expect, test } from 'vitest';
import { HostilePeer } from './hostile-peer.js';
import { Site, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const PER_SECOND = 500;
const SECONDS = 15;

/** A reset with a session id that nobody has. */
function reset(number: number): Uint8Array {
  const sessionId = new Uint8Array(8).fill(0xee);
  new DataView(sessionId.buffer).setUint32(0, number);
  const payload = new Uint8Array(0);
  return emitControlPacket({
    opcode: P_CONTROL_HARD_RESET_CLIENT_V2,
    keyId: 0,
    sessionId,
    acks: [],
    messageId: 0,
    payload,
  });
}

describe.skipIf(!labReady('openvpn', 'ping'))('resets forged in the name of a client', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  for (const program of ['openvpn', 'openvpnd'] as const) {
    test(`do not keep it from coming back after it has lost its state: client ${program}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { clients: 2 });
        const [place, attackerPlace] = site.clientPlaces;
        // The server would notice only after minutes that the client has been killed.
        const server = await site.startServer('openvpnd', ['keepalive 10 120']);
        const target = { address: site.serverAddresses.ipv4, port: 1194 };
        const [shown] = JSON.parse((await attackerPlace?.ip('-j', '-4', 'address', 'show', 'dev', 'eth0')) ?? '');
        const address = shown.addr_info[0].local as string;
        const attacker = await HostilePeer.start(lab, attackerPlace);
        // All that passes it comes from one address and port, whoever sends it.
        await attacker.relay({ address, port: 1194, server: target, upstream: 'live' });
        const remote = { address, port: 1194 };
        const first = await site.startClient(program, 0, [], { remote });
        await first.waitForLine(UP, UP_TIMEOUT_MS);
        first.signal('SIGKILL');
        await first.ended;

        const packets = Array.from({ length: PER_SECOND * SECONDS }, (_, index) => reset(index));
        // The first few are answered, and that would disturb a stock client that is about to connect.
        await attacker.send('live', packets.slice(0, 10), target, PER_SECOND);
        let over = false;
        const flood = attacker.send('live', packets, target, PER_SECOND).then(() => {
          over = true;
        });
        const second = await site.startClient(program, 0, [], { remote });
        await second.waitForLine(UP, UP_TIMEOUT_MS);
        expect(over).toBe(false);
        expect((await ping(place, '10.8.0.1', { count: 20, interval: 0.05 })).received).toBe(20);
        await flood;
        expect((await ping(place, '10.8.0.1', { count: 20, interval: 0.05 })).received).toBe(20);
        expect(second.countLines(UP)).toBe(1);
        await server.waitForExactly(/initial untrusted session promoted to trusted/, 1);
      }));
  }
});
