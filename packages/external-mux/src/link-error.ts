import { type Endpoint, formatEndpoint } from './endpoint.js';

/** What happened to a link. `ERR_LINK_LENGTH`: a stream whose peer sent a length that no packet has; `ERR_LINK_DIVERTED`: a stream that speaks another protocol and lives on elsewhere. */
export type LinkErrorCode =
  | 'ERR_LINK_BIND'
  | 'ERR_LINK_OPEN'
  | 'ERR_LINK_CONNECT'
  | 'ERR_LINK_RESET'
  | 'ERR_LINK_LENGTH'
  | 'ERR_LINK_DIVERTED';

/** A link that could not be opened, or is gone. The message is OpenVPN's line. */
export class LinkError extends Error {
  readonly code: LinkErrorCode;
  /** The system's name of the failure, `EADDRINUSE`; `EOF` when the peer has closed. */
  readonly systemCode: string;

  constructor(code: LinkErrorCode, systemCode: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'LinkError';
    this.code = code;
    this.systemCode = systemCode;
  }
}

/**
 * The error for a bind that the system refused. OpenVPN: socket_bind().
 *
 * @param systemCode `EADDRINUSE` …
 * @param cause the adapter's own error
 */
export function bindError(local: Endpoint, systemCode: string, cause?: unknown): LinkError {
  const message = `TCP/UDP: Socket bind failed on local address ${formatEndpoint(local)}: ${systemErrorText(systemCode)}`;
  return new LinkError('ERR_LINK_BIND', systemCode, message, cause);
}

/** The error for a connection that was not made. OpenVPN: openvpn_connect(). */
export function connectError(remote: Endpoint, systemCode: string, cause?: unknown): LinkError {
  const [, reason] = SYSTEM_ERRORS[systemCode] ?? [0, systemCode];
  const message = `TCP: connect to ${formatEndpoint(remote)} failed: ${reason}`;
  return new LinkError('ERR_LINK_CONNECT', systemCode, message, cause);
}

/** The error for a connection that has ended: `EOF` when the peer closed it. OpenVPN: process_incoming_link_part1(). */
export function resetError(systemCode: string, cause?: unknown): LinkError {
  const status = systemCode === 'EOF' ? 0 : -1;
  return new LinkError('ERR_LINK_RESET', systemCode, `Connection reset, restarting [${status}]`, cause);
}

/** The error for a stream whose peer announced a packet of `length` bytes, while 1 … `largest` are allowed. OpenVPN: stream_buf_added(). */
export function badLengthError(length: number, largest: number): LinkError {
  return new LinkError(
    'ERR_LINK_LENGTH',
    'EBADMSG',
    `WARNING: Bad encapsulated packet length from peer (${length}), which must be > 0 and <= ${largest} -- please ensure that --tun-mtu or --link-mtu is equal on both peers -- this condition could also indicate a possible active attack on the TCP link -- [Attempting restart...]`,
  );
}

/** The end of a link whose stream was handed on: `--port-share`. OpenVPN: stream_buf_added(), is_openvpn_protocol(). */
export function divertedError(): LinkError {
  return new LinkError('ERR_LINK_DIVERTED', 'EPROTO', 'Non-OpenVPN client protocol detected');
}

/** What Linux calls an error, as OpenVPN's log shows it: `Address already in use (errno=98)`; an unknown name stands for itself. */
export function systemErrorText(systemCode: string): string {
  const known = SYSTEM_ERRORS[systemCode];
  return known === undefined ? systemCode : `${known[1]} (errno=${known[0]})`;
}

const SYSTEM_ERRORS: Readonly<Record<string, readonly [number, string]>> = {
  EPERM: [1, 'Operation not permitted'],
  EACCES: [13, 'Permission denied'],
  EINVAL: [22, 'Invalid argument'],
  ENFILE: [23, 'Too many open files in system'],
  EMFILE: [24, 'Too many open files'],
  EMSGSIZE: [90, 'Message too long'],
  EAFNOSUPPORT: [97, 'Address family not supported by protocol'],
  EADDRINUSE: [98, 'Address already in use'],
  EADDRNOTAVAIL: [99, 'Cannot assign requested address'],
  ENETDOWN: [100, 'Network is down'],
  ENETUNREACH: [101, 'Network is unreachable'],
  ECONNABORTED: [103, 'Software caused connection abort'],
  ECONNRESET: [104, 'Connection reset by peer'],
  ENOBUFS: [105, 'No buffer space available'],
  ETIMEDOUT: [110, 'Connection timed out'],
  ECONNREFUSED: [111, 'Connection refused'],
  EHOSTUNREACH: [113, 'No route to host'],
};
