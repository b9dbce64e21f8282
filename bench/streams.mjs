// TCP streams to one machine: as receiver `node bench/streams.mjs --listen`, as sender `node bench/streams.mjs --to A,A,… --seconds S`, one stream to each of the
// addresses (the same one may stand there more than once).
//
// The sender prints `{"bytes":N,"seconds":S,"each":[…]}` when its time is over: what the receiver has taken, by its own count.

import { connect, createServer } from 'node:net';
import { parseArgs } from 'node:util';

const PORT = 5001;
const CHUNK = Buffer.alloc(256 * 1024);
/** Streams find their speed before they are measured. */
const WARM_UP_MS = 1000;

const { values } = parseArgs({
  options: {
    listen: { type: 'boolean', default: false },
    to: { type: 'string' },
    seconds: { type: 'string', default: '4' },
  },
});
if (values.listen) receive();
else await send(values.to.split(','), Number(values.seconds) * 1000);

/** Takes what comes; who sends a line to the port behind it gets the counts so far, by the address and port of the stream. */
function receive() {
  const taken = new Map();
  const server = createServer({ highWaterMark: 256 * 1024 }, (socket) => {
    const name = `${socket.remoteAddress}:${socket.remotePort}`;
    taken.set(name, 0);
    socket.on('data', (chunk) => taken.set(name, taken.get(name) + chunk.length));
    socket.on('error', () => {});
  });
  server.listen(PORT, '0.0.0.0', 256, () => process.stdout.write('listening\n'));
  const counts = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(JSON.stringify([...taken]));
  });
  counts.listen(PORT + 1, '0.0.0.0');
}

async function send(addresses, milliseconds) {
  // One after another: the kernel takes the least round trip that a stream has seen, which is that of its SYN at first, for the length of the path, and makes its segments
  // the smaller the longer that is (tcp_tso_rtt_log). SYNs of all at once, through programs that have just started, wait for each other, and what they then send stays
  // small segments, which cost the more time to carry, so that the round trip stays long.
  const sockets = [];
  for (const address of addresses) sockets.push(await open(address, PORT));
  for (const socket of sockets) {
    const write = () => {
      while (socket.write(CHUNK));
    };
    socket.on('drain', write);
    write();
  }
  await pause(WARM_UP_MS);
  const first = await countsAt(addresses[0]);
  const begun = performance.now();
  await pause(milliseconds);
  const last = await countsAt(addresses[0]);
  const seconds = (performance.now() - begun) / 1000;
  const each = [...last].map(([name, bytes]) => bytes - (first.get(name) ?? 0));
  process.stdout.write(`${JSON.stringify({ bytes: each.reduce((sum, one) => sum + one, 0), seconds, each })}\n`);
  process.exit(0);
}

function open(host, port) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port }, () => resolve(socket));
    socket.on('error', reject);
  });
}

async function countsAt(address) {
  const socket = await open(address, PORT + 1);
  let text = '';
  for await (const chunk of socket) text += chunk;
  return new Map(JSON.parse(text));
}

function pause(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
