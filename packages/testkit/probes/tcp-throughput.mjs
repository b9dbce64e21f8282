// One TCP stream with nothing but Node: `receive ADDRESS PORT` or `send ADDRESS PORT SECONDS BYTES`.
// The receiver prints `listening`, then, when the stream ends, one line of JSON: {"bytes": …, "seconds": …}.
// The sender prints `sending`; it sends for so long and at least so much, or, with `-` for SECONDS, until SIGTERM.

import { connect, createServer } from 'node:net';

const [role, address, port, seconds, bytes] = process.argv.slice(2);

if (role === 'receive') {
  const server = createServer((socket) => {
    let bytes = 0;
    const start = process.hrtime.bigint();
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      const elapsed = Number(process.hrtime.bigint() - start) / 1e9;
      process.stdout.write(`${JSON.stringify({ bytes, seconds: elapsed })}\n`);
      server.close();
    });
  });
  server.listen({ host: address, port: Number(port) }, () => process.stdout.write('listening\n'));
} else {
  const chunk = Buffer.alloc(256 * 1024, 'openvpnd ');
  const socket = connect({ host: address, port: Number(port) });
  let written = 0;
  let isTimeUp = false;
  const pump = () => {
    while (!isTimeUp || written < Number(bytes)) {
      written += chunk.length;
      if (!socket.write(chunk)) return;
    }
    socket.end();
  };
  const stop = () => {
    isTimeUp = true;
    if (written >= Number(bytes)) socket.end();
  };
  socket.on('connect', () => {
    if (seconds === '-') process.on('SIGTERM', stop);
    else setTimeout(stop, Number(seconds) * 1000);
    process.stdout.write('sending\n');
    pump();
  });
  socket.on('drain', pump);
  socket.on('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  });
}
