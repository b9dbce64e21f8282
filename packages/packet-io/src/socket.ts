import type { BufferSizes, Endpoint } from '@openvpnd/external-mux';
import { nativeAddon } from './native-addon.js';
import { PacketIoError, type PacketIoErrorCode } from './packet-io-error.js';

/** Descriptors in which systemd counts: those behind standard input, output and errors. */
const FIRST_PASSED = 3;

/** What the system can be told about a socket and Node's own sockets cannot. Absent: left as it is. */
export interface SocketSettings extends BufferSizes {
  /** SO_MARK, 0 … 2^32-1: for rules of routing and firewall. Takes CAP_NET_ADMIN. OpenVPN: --mark. */
  readonly mark?: number;
  /** SO_BINDTODEVICE: an interface that all packets have to come and go through. OpenVPN: --bind-dev. */
  readonly bindDevice?: string;
  /** IP_MTU_DISCOVER: `yes` never fragments, `maybe` does by what is known of the path, `no` always allows it. OpenVPN: --mtu-disc. */
  readonly mtuDiscovery?: 'no' | 'maybe' | 'yes';
}

/** Where a socket is to be bound, if at all, and how it is set. */
export interface SocketOptions extends SocketSettings {
  readonly family: 4 | 6;
  /** An IPv6 socket that leaves IPv4 alone. */
  readonly ipv6Only?: boolean;
  /** Absent: it is not bound. */
  readonly local?: Endpoint;
}

/**
 * Opens a TCP socket with settings, to be given to node:net (`listen({ fd })`, `new Socket({ fd })`), which owns the descriptor then. Connections that a
 * listening one accepts have its settings.
 *
 * @returns the descriptor, nonblocking and closed on exec
 * @throws PacketIoError with OpenVPN's message
 */
export function openTcpSocket(options: SocketOptions): number {
  return openSocket('tcp', options);
}

/**
 * Opens a socket with settings.
 *
 * @returns the descriptor, nonblocking and closed on exec; the caller's
 * @throws PacketIoError with OpenVPN's message
 */
export function openSocket(protocol: 'udp' | 'tcp', options: SocketOptions): number {
  const addon = nativeAddon();
  const fd = addon.socketOpen(protocol === 'tcp', options.family, options.ipv6Only ?? false);
  if (fd < 0) {
    const what = protocol === 'tcp' ? 'Cannot create TCP socket' : 'UDP: Cannot create UDP/UDP6 socket';
    throw new PacketIoError('ERR_LINK_OPEN', what, -fd);
  }
  try {
    setSocket(fd, options);
    const { local } = options;
    if (local !== undefined) {
      const result = addon.socketBind(fd, local.address, local.port, local.scope ?? 0);
      demand(result, 'ERR_LINK_BIND', `TCP/UDP: Socket bind failed on local address ${formatLocal(local)}`);
    }
  } catch (error) {
    addon.socketClose(fd);
    throw error;
  }
  return fd;
}

/**
 * Sets an open socket. Buffers are asked for, the rest is demanded.
 *
 * @throws PacketIoError ERR_LINK_OPEN
 */
export function setSocket(fd: number, settings: SocketSettings): void {
  const addon = nativeAddon();
  const { sendBufferBytes, receiveBufferBytes, mark, bindDevice, mtuDiscovery } = settings;
  if (receiveBufferBytes !== undefined) addon.socketBuffer(fd, false, receiveBufferBytes, true);
  if (sendBufferBytes !== undefined) addon.socketBuffer(fd, true, sendBufferBytes, true);
  if (mark !== undefined) demand(addon.socketMark(fd, mark), 'ERR_LINK_OPEN', `setsockopt SO_MARK=${mark} failed`);
  if (bindDevice !== undefined) {
    demand(addon.socketDevice(fd, bindDevice), 'ERR_LINK_OPEN', `setsockopt SO_BINDTODEVICE=${bindDevice} failed`);
  }
  if (mtuDiscovery !== undefined) {
    const mode = { no: 0, maybe: 1, yes: 2 }[mtuDiscovery];
    demand(addon.socketMtuDiscovery(fd, mode), 'ERR_LINK_OPEN', `setsockopt IP_MTU_DISCOVER=${mtuDiscovery} failed`);
  }
}

/** Sizes of a socket's buffers in bytes, as the kernel counts them. */
export function bufferSizes(fd: number): { readonly receive: number; readonly send: number } {
  const addon = nativeAddon();
  return { receive: addon.socketBuffer(fd, false, 0, false), send: addon.socketBuffer(fd, true, 0, false) };
}

/** A socket that another program has opened and bound for this one. */
export interface PassedSocket {
  /** Stays open, and is not passed on to programs that are started: use {@link duplicateSocket}. */
  readonly fd: number;
  /** LISTEN_FDNAMES; undefined without. */
  readonly name: string | undefined;
  readonly protocol: 'udp' | 'tcp';
  readonly local: Endpoint;
}

/** What {@link takePassedSockets} found that is no socket to listen at. The message names the descriptor and the cure. */
export class PassedSocketError extends Error {
  readonly code = 'ERR_PASSED_SOCKET';
  override readonly name = 'PassedSocketError';
}

/**
 * The sockets that systemd, or who imitates it, passes to this process: LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES of sd_listen_fds(3). The variables are
 * removed from `environment`, so that no other program takes them for its own. None when they are meant for another process.
 *
 * @throws PassedSocketError for a number that is none, and for a descriptor that is neither a bound UDP socket nor a listening TCP socket
 */
export function takePassedSockets(environment: Record<string, string | undefined>): readonly PassedSocket[] {
  const { LISTEN_PID: pid, LISTEN_FDS: count, LISTEN_FDNAMES: names } = environment;
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete environment[name];
  if (pid !== String(process.pid) || count === undefined) return [];
  if (!/^[0-9]{1,5}$/.test(count)) {
    throw new PassedSocketError(`LISTEN_FDS: ${JSON.stringify(count)} is no number of sockets: 0 … 99999`);
  }
  const named = names?.split(':') ?? [];
  return Array.from({ length: Number(count) }, (_, index) => describe(FIRST_PASSED + index, named[index]));
}

/**
 * Another descriptor of the same socket, nonblocking and closed on exec, for whoever closes what it was given.
 *
 * @throws PacketIoError ERR_LINK_OPEN
 */
export function duplicateSocket(fd: number): number {
  const copy = nativeAddon().socketDuplicate(fd);
  if (copy < 0) throw new PacketIoError('ERR_LINK_OPEN', `descriptor ${fd} cannot be duplicated`, -copy);
  return copy;
}

function describe(fd: number, name: string | undefined): PassedSocket {
  const addon = nativeAddon();
  addon.socketInherit(fd, false);
  const told = addon.socketDescribe(fd);
  const problem = (what: string): PassedSocketError =>
    new PassedSocketError(
      `LISTEN_FDS: descriptor ${fd}${name === undefined ? '' : ` (${name})`} ${what}; pass bound UDP sockets (ListenDatagram=) and listening TCP sockets (ListenStream=)`,
    );
  if (typeof told === 'number') throw problem(`is no Internet socket (${addon.errorText(-told)})`);
  const [type, family, address, port, scope, ready] = told.split(' ');
  if (ready !== '1') throw problem(type === 'stream' ? 'does not listen' : 'is not bound');
  const local: Endpoint = { family: family === '6' ? 6 : 4, address, port: Number(port), scope: Number(scope) };
  return { fd, name: name === '' ? undefined : name, protocol: type === 'stream' ? 'tcp' : 'udp', local };
}

function demand(result: number, code: PacketIoErrorCode, what: string): void {
  if (result < 0) throw new PacketIoError(code, what, -result);
}

/** OpenVPN: print_sockaddr_ex(). */
function formatLocal({ family, address, scope, port }: Endpoint): string {
  const any = address === '0.0.0.0' || address === '::';
  return `[${family === 4 ? 'AF_INET' : 'AF_INET6'}]${any ? '[undef]' : address}${scope ? `%${scope}` : ''}:${port}`;
}
