import type { Listener } from '@openvpnd/config';

/** What programs are told of where the server listens: `local_1`, `local_port_1`, `proto_1`, and so on. OpenVPN 2.7: setenv_settings(). */
export function listenerEnvironment(listeners: readonly Listener[]): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [index, { localHost, localPort, protocol }] of listeners.entries()) {
    const number = index + 1;
    if (localHost !== undefined) environment[`local_${number}`] = localHost;
    environment[`local_port_${number}`] = String(localPort);
    const side = protocol.transport === 'tcp' ? '-server' : '';
    environment[`proto_${number}`] = `${protocol.transport}${protocol.family ?? ''}${side}`;
  }
  return environment;
}
