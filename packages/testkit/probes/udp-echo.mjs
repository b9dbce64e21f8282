// Round-trip times without ping: `serve ADDRESS PORT` answers every datagram, `measure ADDRESS PORT COUNT INTERVAL_MS` sends and times them.
// The server prints `listening`; the other side prints one line of JSON: {"sent": …, "timesMs": […]}.

import { createSocket } from 'node:dgram';

const [role, address, port, count, interval] = process.argv.slice(2);
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');

if (role === 'serve') {
  socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  socket.bind(Number(port), address, () => process.stdout.write('listening\n'));
} else {
  const started = new Map();
  const timesMs = [];
  socket.on('message', (message) => {
    const start = started.get(message.toString());
    if (start !== undefined) timesMs.push(Number(process.hrtime.bigint() - start) / 1e6);
    started.delete(message.toString());
  });
  socket.on('error', () => {});
  let sent = 0;
  const timer = setInterval(() => {
    if (sent < Number(count)) {
      const name = String(sent++);
      started.set(name, process.hrtime.bigint());
      socket.send(name, Number(port), address, () => {});
      return;
    }
    clearInterval(timer);
    // The last answers may still be under way.
    setTimeout(() => {
      process.stdout.write(`${JSON.stringify({ sent, timesMs })}\n`);
      socket.close();
    }, 500);
  }, Number(interval));
}
