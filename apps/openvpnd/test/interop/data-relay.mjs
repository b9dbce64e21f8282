// Stands between a client and a server and interferes with data packets, never with the control channel:
// `ADDRESS PORT TARGET_PORT MODE EVERY [BEHIND]` listens on ADDRESS:PORT, forwards to 127.0.0.1:TARGET_PORT, prints `listening`.
// Of every EVERYth data packet of a direction: `repeat` sends two more copies, `forge` a damaged copy in front,
// `late` lets BEHIND others go first.

import { createSocket } from 'node:dgram';

const [address, port, targetPort, mode, every, behind] = process.argv.slice(2);
const OPCODES = new Set([6, 9]);

/** One direction: what is to be sent for each packet that comes. */
function direction(send) {
  let seen = 0;
  let held;
  let waitFor = 0;
  return (packet) => {
    if (!OPCODES.has(packet[0] >> 3)) return send(packet);
    seen += 1;
    const chosen = seen % Number(every) === 0;
    if (mode === 'late' && chosen && held === undefined) {
      held = packet;
      waitFor = Number(behind);
      return;
    }
    if (mode === 'forge' && chosen) {
      const forged = Buffer.from(packet);
      forged[forged.length - 1] ^= 1;
      send(forged);
    }
    send(packet);
    if (mode === 'repeat' && chosen) {
      send(packet);
      send(packet);
    }
    if (held !== undefined && --waitFor === 0) {
      send(held);
      held = undefined;
    }
  };
}

const outside = createSocket('udp4');
/** One socket towards the server for each client, so that the server tells them apart. */
const inside = new Map();
outside.on('message', (packet, from) => {
  const key = `${from.address}:${from.port}`;
  let peer = inside.get(key);
  if (peer === undefined) {
    const socket = createSocket('udp4');
    const back = direction((bytes) => outside.send(bytes, from.port, from.address));
    socket.on('message', back);
    // The server may be gone for a while.
    socket.on('error', () => {});
    peer = direction((bytes) => socket.send(bytes, Number(targetPort), '127.0.0.1', () => {}));
    inside.set(key, peer);
  }
  peer(packet);
});
outside.bind(Number(port), address, () => process.stdout.write('listening\n'));
