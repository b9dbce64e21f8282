import type { Transport } from '@openvpnd/external-mux';
import { connectWebSocket } from './connect.js';
import { listenForWebSockets } from './listen.js';

/**
 * OpenVPN over WebSockets, one message for each packet. In a client `transport MODULE [url]`, in a server `transport MODULE [path]`; both with `proto tcp`. The
 * address to connect to is that of `remote`; the URL tells the rest: `wss://vpn.example/tunnel` adds TLS and a path.
 */
const transport: Transport = ({ args, role, remote, links, log }) => {
  const [place] = args;
  if (args.length > 1)
    throw new Error(`one argument at most, ${role === 'client' ? 'a URL' : 'a path'}: ${args.join(' ')}`);
  if (role === 'server') {
    const path = place ?? '/';
    if (!path.startsWith('/')) throw new Error(`a path begins with a slash: ${path}`);
    return {
      protocol: 'tcp',
      connect: () => {
        throw new TypeError('a server does not connect');
      },
      listen: (where, watcher) => listenForWebSockets({ path, links, log }, where, watcher),
    };
  }
  const host = remote?.host.includes(':') ? `[${remote.host}]` : remote?.host;
  const url = new URL(place ?? `ws://${host}:${remote?.port}/`);
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') throw new Error(`a URL of ws: or wss: is needed: ${url}`);
  return {
    protocol: 'tcp',
    connect: (where, opened) => connectWebSocket({ url, links }, where, opened),
    listen: () => {
      throw new TypeError('a client does not listen');
    },
  };
};

export default transport;
