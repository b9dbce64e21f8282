import type { ConnectionEntry } from '@openvpnd/config';
import { formatLinkAddress, type LinkListener } from '@openvpnd/external-mux';
import { linkFactory } from './link-factories.js';
import type { Run } from './run.js';
import type { ServerTunnel } from './server-tunnel.js';
import { socketBinding } from './socket-binding.js';
import type { TunnelDriver } from './tunnel-driver.js';

/**
 * Listens for clients and hands each connection to driver and tunnel.
 *
 * @throws LinkError, ResolveError with OpenVPN's message
 */
export async function listenTcp(
  run: Run,
  entry: ConnectionEntry,
  driver: TunnelDriver,
  tunnel: ServerTunnel,
): Promise<LinkListener> {
  const say = (line: string): void => run.log.say(1, line);
  const { family } = entry.protocol;
  const binding = await socketBinding(entry, family);
  let id = 1;
  const factory = linkFactory(run.options, entry, () => id++);
  return await new Promise<LinkListener>((resolve, reject) => {
    const listener = factory.listen(
      { ...binding, ipv6Only: entry.bindIpv6Only },
      {
        listening: (local) => {
          const at = formatLinkAddress(local);
          const name = family === 4 || binding.local?.family === 4 ? 'TCPv4_SERVER' : 'TCPv6_SERVER';
          say(`Listening for incoming TCP connection on ${at}`);
          say(`${name} link local (bound): ${at}`);
          say(`${name} link remote: [AF_UNSPEC]`);
          resolve(listener);
        },
        link: (link, remote) => {
          driver.addLink(link);
          if (remote !== undefined) driver.execute(tunnel.handleConnection(run.clock.now(), remote));
        },
        crowded: (error) => run.log.events(() => '').warn('server.crowded', { reason: error.message }),
        failed: reject,
      },
    );
  });
}
