// A tunnel between two namespaces that a veth pair joins: what the benches of one tunnel share.

import { clientConfig, serverConfig, ThrowAwayPki, writeConfig } from '../packages/testkit/dist/node/index.js';
import { setCongestion } from './congestion.mjs';

const UP_TIMEOUT_MS = 30_000;
const DEVICE = 'tun0';

/** The address of the server inside the tunnel. */
export const TARGET = '10.8.0.1';

/**
 * Brings a contender's tunnel up. `label` tells the namespaces of several tunnels in one laboratory apart. Given back: the namespaces, and the two processes, which the
 * laboratory ends.
 */
export async function startTunnel(
  lab,
  contender,
  programs,
  { cipher, proto, congestion, segmentsOnWire = false, label = '' },
) {
  const [serverName, clientName = serverName] = contender.split('/');
  const [server, client] = [await lab.namespace(`server${label}`), await lab.namespace(`client${label}`)];
  const network = await lab.join([server, client]);
  if (congestion !== undefined) for (const end of [server, client]) await setCongestion(end, congestion);
  if (segmentsOnWire) {
    const off = ['tx-udp-segmentation', 'off', 'tso', 'off', 'gso', 'off'];
    for (const end of [server, client])
      await end.run('ethtool', ['-K', network.addressesOf(end).device, ...off], 10_000);
  }
  const pki = await ThrowAwayPki.create();
  const identity = async (purpose) => ({ ca: pki.ca, ...(await pki.issue(purpose, purpose)) });
  const start = async (namespace, { command: [program, ...before] }, config) => {
    const file = writeConfig(lab.directory, `${namespace.name}.conf`, config);
    const running = namespace.start(program, [...before, '--config', file]);
    await running.waitForLine(/Initialization Sequence Completed/, UP_TIMEOUT_MS);
    return running;
  };
  const shared = { proto, device: DEVICE, ciphers: [cipher] };
  const addresses = network.addressesOf(server);
  const remote = proto.endsWith('6') ? addresses.ipv6 : addresses.ipv4;
  const [ofServer, ofClient] = [programs[serverName], programs[clientName]];
  const processes = [
    await start(
      server,
      ofServer,
      serverConfig({ ...shared, extra: ofServer.extra, identity: await identity('server') }),
    ),
    await start(
      client,
      ofClient,
      clientConfig({ ...shared, extra: ofClient.extra, identity: await identity('client'), remote }),
    ),
  ];
  return { server, client, processes };
}
