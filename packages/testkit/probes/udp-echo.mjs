// Round-trip times without ping: `serve ADDRESS PORT` answers every datagram, `measure ADDRESS PORT COUNT INTERVAL_MS` sends and times them.
// The server prints `listening`; the other side prints one line of JSON: {"sent": …, "timesMs": […]}.

import { createSocket } from 'node:dgram';

/** What has not come back so long after the last was sent is lost. */
const LATE_MS = 5000;

const [role, address, port, count, interval] = process.argv.slice(2);
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');

if (role === 'serve') {
  socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  socket.bind(Number(port), address, () => process.stdout.write('listening\n'));
} else {
  const started = new Map();
  const timesMs = [];
  let sent = 0;
  let lastWait;
  const finish = () => {
    clearTimeout(lastWait);
    process.stdout.write(`${JSON.stringify({ sent, timesMs })}\n`);
    socket.close();
  };
  socket.on('message', (message) => {
    const start = started.get(message.toString());
    if (start !== undefined) timesMs.push(Number(process.hrtime.bigint() - start) / 1e6);
    started.delete(message.toString());
    if (lastWait !== undefined && started.size === 0) finish();
  });
  socket.on('error', () => {});
  const timer = setInterval(() => {
    if (sent < Number(count)) {
      const name = String(sent++);
      started.set(name, process.hrtime.bigint());
      socket.send(name, Number(port), address, () => {});
      return;
    }
    clearInterval(timer);
    if (started.size === 0) finish();
    else lastWait = setTimeout(finish, LATE_MS);
  }, Number(interval));
}
