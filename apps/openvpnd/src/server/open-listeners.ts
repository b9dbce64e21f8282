import type { Listener } from '@openvpnd/config';
import {
  formatLinkAddress,
  type LinkFactory,
  type LinkListener,
  type LinkListenOptions,
  type LinkSocket,
} from '@openvpnd/external-mux';
import { ADDRESS_FAMILY, type LinkAddress } from '@openvpnd/memory';
import type { PassedSocket } from '@openvpnd/packet-io';
import { resolveHost } from '../host/resolve.js';
import type { Run } from '../run.js';
import { assignSockets } from './passed-sockets.js';

/** Who is told of what comes of the listeners. Each is known by its place in the list. */
export interface ListenerSink {
  /** A link for all peers of that listener, or with `remote` one for that peer alone. */
  link(link: LinkSocket, remote: LinkAddress | undefined, listener: number): void;
}

/** What opening needs of a run. */
export type ListeningRun = Pick<Run, 'log' | 'passedSockets'>;

/**
 * Opens every listener at all of its addresses, in their order, and tells the log as OpenVPN does. An address that cannot be bound is fatal,
 * unless it is one of several of a host name: then it is a warning, and fatal only if none of them can be bound (`bind-policy any`, the default).
 * Sockets that systemd has passed are used where they belong. OpenVPN: link_socket_init_phase1() and 2, for each socket.
 *
 * @param factoryOf opens the sockets of a listener, or one that stands open already
 * @param abort takes the opening back while a resolver or a transport has not answered; afterwards it means nothing
 * @returns what closes them all; the links that came of them are the sink's
 * @throws its reason after `abort`; LinkError, PacketIoError, ResolveError with OpenVPN's message; then nothing is open
 */
export async function openListeners(
  run: ListeningRun,
  listeners: readonly Listener[],
  factoryOf: (listener: Listener, passed: PassedSocket | undefined) => LinkFactory,
  sink: ListenerSink,
  abort?: AbortSignal,
): Promise<LinkListener> {
  const passed = assignSockets(listeners, run.passedSockets);
  const open: LinkListener[] = [];
  const close = (): void => {
    for (const listener of open.splice(0)) listener.close();
  };
  try {
    for (const [index, listener] of listeners.entries()) {
      const places: readonly Place[] =
        passed[index].length > 0
          ? passed[index].map((socket) => ({ where: { local: socket.local }, factory: factoryOf(listener, socket) }))
          : (await unlessAborted(placesOf(listener), abort)).map((where) => ({
              where,
              factory: factoryOf(listener, undefined),
            }));
      const failures: Error[] = [];
      for (const place of places) {
        try {
          open.push(await listen(run, listener, place, (link, remote) => sink.link(link, remote, index), abort));
        } catch (error) {
          if (abort?.aborted || places.length === 1 || listener.bindPolicy === 'all') throw error;
          failures.push(error as Error);
        }
      }
      if (failures.length === places.length) throw failures[0];
      for (const { message } of failures) run.log.say(1, `WARNING: ${message}`);
    }
  } catch (error) {
    close();
    throw error;
  }
  return { close };
}

/** One socket of a listener. */
interface Place {
  readonly where: LinkListenOptions;
  readonly factory: LinkFactory;
}

/** The addresses of a listener: all that its name has, each once; without a name every address of the machine, which is one place. */
async function placesOf(listener: Listener): Promise<readonly LinkListenOptions[]> {
  const { localHost: host, localPort: port, bindIpv6Only: ipv6Only } = listener;
  const { family } = listener.protocol;
  if (host === undefined) return [{ port, ipv6Only, ...(family === undefined ? {} : { family }) }];
  const found = await resolveHost(host, family);
  const unique = new Map(found.map((address) => [address.address, address]));
  return [...unique.values()].map((address) => ({ local: { ...address, port }, ipv6Only }));
}

function listen(
  run: ListeningRun,
  listener: Listener,
  { where, factory }: Place,
  arrived: (link: LinkSocket, remote: LinkAddress | undefined) => void,
  abort: AbortSignal | undefined,
): Promise<LinkListener> {
  const say = (line: string): void => run.log.say(1, line);
  let pending: LinkListener | undefined;
  const listening = new Promise<LinkListener>((resolve, reject) => {
    const opened = factory.listen(
      { ...where, backlog: listener.backlog },
      {
        listening: (local) => {
          if (where.local === undefined && where.family === undefined && local[ADDRESS_FAMILY] === 4) {
            say('NOTE: this system has no IPv6: listening on IPv4 alone');
          }
          if (factory.protocol === 'tcp') describe(listener, 'TCP', local, undefined, say);
          resolve(opened);
        },
        link: (link, remote) => {
          if (factory.protocol === 'udp') describe(listener, 'UDP', link.localAddress(), link.bufferBytes?.(), say);
          arrived(link, remote);
        },
        crowded: (error) => run.log.events(() => '').warn('server.crowded', { reason: error.message }),
        failed: reject,
      },
    );
    pending = opened;
  });
  return unlessAborted(listening, abort, () => pending?.close());
}

/** What a promise becomes, unless it is taken back before. */
function unlessAborted<T>(promise: Promise<T>, abort: AbortSignal | undefined, takeBack?: () => void): Promise<T> {
  if (abort === undefined) return promise;
  return new Promise((resolve, reject) => {
    const aborted = (): void => {
      takeBack?.();
      reject(abort.reason);
    };
    if (abort.aborted) aborted();
    else abort.addEventListener('abort', aborted);
    promise.then(resolve, reject).finally(() => abort.removeEventListener('abort', aborted));
  });
}

function describe(
  listener: Listener,
  transport: 'TCP' | 'UDP',
  local: LinkAddress,
  buffers: { readonly receive: number; readonly send: number } | undefined,
  say: (line: string) => void,
): void {
  const at = formatLinkAddress(local);
  const stream = transport === 'TCP';
  const name = `${transport}v${local[ADDRESS_FAMILY]}${stream ? '_SERVER' : ''}`;
  if (buffers !== undefined) {
    const { receive, send } = buffers;
    say(`Socket Buffers: R=[${receive}->${receive}] S=[${send}->${send}]`);
  }
  const tag = listener.tag === undefined ? '' : ` (listener ${listener.tag})`;
  if (stream) say(`Listening for incoming TCP connection on ${at}${tag}`);
  say(`${name} link local (bound): ${at}${tag}`);
  say(`${name} link remote: [AF_UNSPEC]`);
}
