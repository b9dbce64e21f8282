// The process of a UdpRelay: `node relay-process.js SETTINGS`, with RelaySettings as JSON. SIGUSR2: a new socket towards the target, as if a
// NAT had forgotten the old one. SIGTERM: prints the counters and ends.
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { SeededRandom } from '../seeded-random.js';
import { type Delivery, RelayPath } from './relay-path.js';
import type { RelaySettings } from './udp-relay.js';

const settings = JSON.parse(process.argv[2] ?? '{}') as RelaySettings;
const random = new SeededRandom(settings.seed);
const outward = new RelayPath(settings.toTarget ?? {}, random.fork('to target'));
const inward = new RelayPath(settings.fromTarget ?? {}, random.fork('from target'));
const family = isIPv6(settings.target.address) ? 'udp6' : 'udp4';

const front = createSocket(isIPv6(settings.listen.address) ? 'udp6' : 'udp4');
/** Who speaks to us: the last one that did. */
let client: { readonly address: string; readonly port: number } | undefined;
let back: Socket | undefined;

function pass(deliveries: readonly Delivery[], send: (packet: Uint8Array) => void): void {
  for (const { packet, delayMs } of deliveries) {
    if (delayMs < 1) send(packet);
    else setTimeout(() => send(packet), delayMs);
  }
}

function openBack(): Socket {
  const socket = createSocket(family);
  socket.on('message', (packet) => {
    // What still comes to a forgotten mapping is lost.
    if (socket !== back) return;
    pass(inward.take(performance.now(), packet), (bytes) => {
      if (client !== undefined) front.send(bytes, client.port, client.address);
    });
  });
  // A port that nobody listens on yet is an error of the packet before.
  socket.on('error', () => {});
  return socket;
}

front.on('message', (packet, from) => {
  client = { address: from.address, port: from.port };
  back ??= openBack();
  pass(outward.take(performance.now(), packet), (bytes) =>
    back?.send(bytes, settings.target.port, settings.target.address),
  );
});
front.on('error', (error) => {
  process.stdout.write(`${error.message}\n`);
  process.exit(1);
});
front.bind(settings.listen.port, settings.listen.address, () => process.stdout.write('relaying\n'));

process.on('SIGUSR2', () => {
  back?.close();
  back = openBack();
  process.stdout.write('rebound\n');
});
process.on('SIGTERM', () => {
  process.stdout.write(`${JSON.stringify({ toTarget: outward.counters, fromTarget: inward.counters })}\n`);
  process.exit(0);
});
