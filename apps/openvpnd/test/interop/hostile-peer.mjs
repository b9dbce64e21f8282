// A peer that means ill, inside one namespace: it opens sockets, sends what it is told as fast as it is told, and can stand as a relay between a
// client and a server, so that what it sends comes from the live client's own address. Commands are lines of JSON on a Unix socket, which needs no
// network: `{"id": 1, "method": "send", ...}`, answered by `{"id": 1, "result": ...}` or `{"id": 1, "error": "..."}`.

import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const [controlPath] = process.argv.slice(2);
/** Bounds what is kept of an attack: the newest packets are dropped. */
const KEPT_PACKETS = 20_000;

/** Sockets by name, with what they received. */
const sockets = new Map();
const recorded = { up: [], down: [] };

const methods = {
  /** Opens a socket under a name. */
  async open({ name, address, port = 0 }) {
    const entry = await openSocket(address, port);
    entry.socket.on('message', (packet, from) => keep(entry.received, { packet, from }));
    sockets.set(name, entry);
    return { port: entry.socket.address().port };
  },

  close({ name }) {
    sockets.get(name)?.socket.close();
    sockets.delete(name);
  },

  /** Sends packets (base64) in order, at most so many a second. */
  async send({ name, packets, to, perSecond }) {
    const { socket } = sockets.get(name);
    const bytes = packets.map((text) => Buffer.from(text, 'base64'));
    let failed = 0;
    await paced(bytes.length, perSecond, (index) => {
      socket.send(bytes[index], to.port, to.address, (error) => {
        if (error) failed += 1;
      });
    });
    return { failed };
  },

  /** Takes what a socket has received (base64). */
  drain({ name }) {
    const { received } = sockets.get(name);
    return { packets: received.splice(0).map(({ packet }) => packet.toString('base64')) };
  },

  /** Stands between the one client that speaks to `port` and the server. `upstream` becomes the name of the socket to the server. */
  async relay({ address, port, server, upstream }) {
    const below = await openSocket(address, port);
    const above = await openSocket(address, 0);
    let client;
    below.socket.on('message', (packet, from) => {
      client = from;
      keep(recorded.up, packet);
      above.socket.send(packet, server.port, server.address);
    });
    above.socket.on('message', (packet) => {
      keep(recorded.down, packet);
      if (client !== undefined) below.socket.send(packet, client.port, client.address);
    });
    sockets.set(upstream, above);
    return { port: above.socket.address().port };
  },

  /** What the relay has seen so far (base64). */
  recorded() {
    const text = (packets) => packets.map((packet) => packet.toString('base64'));
    return { up: text(recorded.up), down: text(recorded.down) };
  },

  /**
   * Sends packets from many addresses, `prefix`.0.1 and so on, each from a socket of its own that is closed at once: answers to it meet nobody.
   */
  async flood({ prefix, count, packets, to, perSecond }) {
    const bytes = packets.map((text) => Buffer.from(text, 'base64'));
    let pending = 0;
    await paced(count, perSecond, (index) => {
      const number = (index % 65_000) + 1;
      const socket = createSocket('udp4');
      pending += 1;
      socket.on('error', () => {});
      socket.bind({ port: 0, address: `${prefix}.${number >> 8}.${number & 255}`, exclusive: true }, () => {
        const packet = Buffer.from(bytes[index % bytes.length]);
        // Another session id each time.
        if (packet.length >= 9) packet.writeUInt32BE(index + 1, 5);
        socket.send(packet, to.port, to.address, () => {
          pending -= 1;
          socket.close();
        });
      });
    });
    for (let waits = 0; pending > 0 && waits < 200; waits += 1) await pause(10);
    return { pending };
  },

  /**
   * Begins many sessions as real clients do, each from an address of its own, up to the packet that proves the address; then sends `after` (base64,
   * with the session ids, if any, put in at the places that control packets have them) and keeps silent.
   */
  async halfOpen({ prefix, count, to, after, perSecond }) {
    const sessions = [];
    let accepted = 0;
    await paced(count, perSecond, (index) => {
      const number = index + 1;
      const socket = createSocket('udp4');
      socket.on('error', () => {});
      const sessionId = Buffer.alloc(8);
      sessionId.writeUInt32BE(0xa77ac000 + (index >>> 16));
      sessionId.writeUInt32BE(index + 1, 4);
      socket.bind({ port: 0, address: `${prefix}.${number >> 8}.${number & 255}`, exclusive: true }, () => {
        // P_CONTROL_HARD_RESET_CLIENT_V2, no acks, message id 0.
        socket.send(Buffer.concat([Buffer.from([7 << 3]), sessionId, Buffer.alloc(5)]), to.port, to.address);
      });
      let answered = false;
      socket.on('message', (packet) => {
        // P_CONTROL_HARD_RESET_SERVER_V2.
        if (answered || packet[0] >> 3 !== 8) return;
        answered = true;
        accepted += 1;
        const serverId = packet.subarray(1, 9);
        // P_CONTROL_V1 with our session id, one ack (message 0) for the server's session, and an id that counts up.
        const head = Buffer.concat([Buffer.from([4 << 3]), sessionId, Buffer.from([1, 0, 0, 0, 0]), serverId]);
        let messageId = 1;
        for (const text of after) {
          const id = Buffer.alloc(4);
          id.writeUInt32BE(messageId++);
          socket.send(Buffer.concat([head, id, Buffer.from(text, 'base64')]), to.port, to.address);
        }
        // P_ACK_V1 alone proves the address, too.
        if (after.length === 0) {
          const ack = Buffer.concat([Buffer.from([5 << 3]), sessionId, Buffer.from([1, 0, 0, 0, 0]), serverId]);
          socket.send(ack, to.port, to.address);
        }
      });
      sessions.push(socket);
    });
    // On a busy machine the answers come late.
    for (let before = -1; before !== accepted; ) {
      before = accepted;
      await pause(700);
    }
    for (const socket of sessions) socket.close();
    return { accepted };
  },
};

function openSocket(address, port) {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 });
    socket.on('error', reject);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeListener('error', reject);
      // What a target answers with ICMP is its affair.
      socket.on('error', () => {});
      resolve({ socket, received: [] });
    });
  });
}

function keep(list, value) {
  if (list.length < KEPT_PACKETS) list.push(value);
}

/**
 * Calls `act` for 0 … count-1, at most so many times a second, in steps of a few milliseconds. After a pause of the machine it catches up in steps of 20 ms'
 * worth, so that no receiver has to hold all that was missed at once.
 */
async function paced(count, perSecond, act) {
  const start = performance.now();
  const step = Math.ceil(perSecond / 50);
  let done = 0;
  while (done < count) {
    const due = Math.min(count, done + step, Math.ceil(((performance.now() - start) * perSecond) / 1000));
    while (done < due) act(done++);
    await pause(2);
  }
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

createServer((connection) => {
  let partial = '';
  connection.setEncoding('utf8');
  connection.on('error', () => {});
  connection.on('data', async (text) => {
    const lines = (partial + text).split('\n');
    partial = lines.pop();
    for (const line of lines) {
      const { id, method, ...params } = JSON.parse(line);
      let answer;
      try {
        answer = { id, result: (await methods[method](params)) ?? {} };
      } catch (error) {
        answer = { id, error: error.message };
      }
      connection.write(`${JSON.stringify(answer)}\n`);
    }
  });
}).listen(controlPath, () => process.stdout.write('ready\n'));
