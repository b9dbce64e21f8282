// The daemon in a program of one's own: takes a JSON line [target, options] for each connection to the socket that the first argument
// names, changes the clients' options by it, and answers with what became of it.
import { createServer } from 'node:net';
import { runDaemon } from '../../dist/daemon.js';

const [socket, ...argv] = process.argv.slice(2);
let running;
const commands = createServer((connection) => {
  connection.setEncoding('utf8');
  let text = '';
  connection.on('error', () => {});
  connection.on('data', (chunk) => {
    text += chunk;
    if (!text.endsWith('\n')) return;
    const [target, options] = JSON.parse(text);
    connection.end(`${JSON.stringify(running.pushUpdate(target, options))}\n`);
  });
});
process.exitCode = await runDaemon(argv, {
  serverStarted(server) {
    running = server;
    if (!commands.listening) commands.listen(socket);
  },
});
commands.close();
