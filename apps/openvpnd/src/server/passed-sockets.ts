import type { Listener } from '@openvpnd/config';
import { formatEndpoint } from '@openvpnd/external-mux';
import type { PassedSocket } from '@openvpnd/packet-io';
import { FatalError } from '../run.js';

/**
 * Which listener takes which of the sockets that systemd has passed; one that takes any opens none itself. A socket belongs to the listener whose `tag` is its
 * name (FileDescriptorName=), else to the one of the same transport, address and port, else to the one that stands for a server without `local` and `<listen>`,
 * if the transport is the same.
 *
 * @returns for each listener its sockets
 * @throws FatalError for a socket that belongs to none: that somebody wants us to listen there must not go unnoticed
 */
export function assignSockets(
  listeners: readonly Listener[],
  passed: readonly PassedSocket[],
): readonly (readonly PassedSocket[])[] {
  const taken: PassedSocket[][] = listeners.map(() => []);
  for (const socket of passed) {
    const ofTransport = ({ protocol }: Listener): boolean => protocol.transport === socket.protocol;
    const index = [
      listeners.findIndex((listener) => listener.tag !== undefined && listener.tag === socket.name),
      listeners.findIndex((listener) => ofTransport(listener) && isAt(listener, socket)),
      listeners.findIndex((listener) => listener.implied && ofTransport(listener)),
    ].find((found) => found >= 0);
    const where = `${socket.protocol} ${formatEndpoint(socket.local)}`;
    if (index === undefined) {
      throw new FatalError(
        `LISTEN_FDS: descriptor ${socket.fd} (${where}) belongs to no listener: add 'local ${hostOf(socket)} ${socket.local.port} ${socket.protocol}', or a <listen> block with its name as tag`,
      );
    }
    if (!ofTransport(listeners[index])) {
      throw new FatalError(
        `LISTEN_FDS: descriptor ${socket.fd} (${where}) has the name of listener ${socket.name}, which has --proto ${listeners[index].protocol.transport}`,
      );
    }
    taken[index].push(socket);
  }
  return taken;
}

function isAt(listener: Listener, socket: PassedSocket): boolean {
  return listener.localPort === socket.local.port && (listener.localHost ?? '*') === hostOf(socket);
}

/** As `local` has it. */
function hostOf({ local }: PassedSocket): string {
  return local.address === '0.0.0.0' || local.address === '::' ? '*' : local.address;
}
