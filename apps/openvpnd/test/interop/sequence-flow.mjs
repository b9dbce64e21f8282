// Sends numbered datagrams to a peer that does the same, and counts what comes: node sequence-flow.mjs OWN PEER INTERVAL_MS
// It begins at SIGUSR2. On SIGTERM it stops sending, waits for what is under way, and prints what it sent and received as one line of JSON.
import { createSocket } from 'node:dgram';

const PORT = 9000;
const SIZE = 200;
const [own, peer, interval] = process.argv.slice(2);
const socket = createSocket('udp4');
const seen = new Set();
let sent = 0;
let duplicates = 0;
socket.on('message', (message) => {
  const number = message.readUInt32BE(0);
  if (seen.has(number)) duplicates += 1;
  seen.add(number);
});
socket.bind(PORT, own, () => {
  socket.setRecvBufferSize(4 << 20);
  console.log('ready');
});
const packet = Buffer.alloc(SIZE);
let timer;
process.on('SIGUSR2', () => {
  timer = setInterval(() => {
    packet.writeUInt32BE(sent, 0);
    socket.send(Buffer.from(packet), PORT, peer);
    sent += 1;
  }, Number(interval));
});
process.on('SIGTERM', () => {
  clearInterval(timer);
  setTimeout(() => {
    console.log(JSON.stringify({ sent, received: seen.size, duplicates }));
    process.exit(0);
  }, 2000);
});
