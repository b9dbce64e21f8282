import { type Endpoint, formatEndpoint } from './endpoint.js';

/** A link that could not be opened. The message is OpenVPN's line. */
export class LinkError extends Error {
  readonly code: 'ERR_LINK_BIND' | 'ERR_LINK_OPEN';
  /** The system's name of the failure, `EADDRINUSE`. */
  readonly systemCode: string;

  constructor(code: 'ERR_LINK_BIND' | 'ERR_LINK_OPEN', systemCode: string, message: string, cause?: unknown) {
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

/** What Linux calls an error, as OpenVPN's log shows it: `Address already in use (errno=98)`; an unknown name stands for itself. */
export function systemErrorText(systemCode: string): string {
  const known = SYSTEM_ERRORS[systemCode];
  return known === undefined ? systemCode : `${known[1]} (errno=${known[0]})`;
}

const SYSTEM_ERRORS: Readonly<Record<string, readonly [number, string]>> = {
  EPERM: [1, 'Operation not permitted'],
  EACCES: [13, 'Permission denied'],
  EINVAL: [22, 'Invalid argument'],
  EMFILE: [24, 'Too many open files'],
  EMSGSIZE: [90, 'Message too long'],
  EAFNOSUPPORT: [97, 'Address family not supported by protocol'],
  EADDRINUSE: [98, 'Address already in use'],
  EADDRNOTAVAIL: [99, 'Cannot assign requested address'],
  ENETDOWN: [100, 'Network is down'],
  ENETUNREACH: [101, 'Network is unreachable'],
  ENOBUFS: [105, 'No buffer space available'],
  ECONNREFUSED: [111, 'Connection refused'],
  EHOSTUNREACH: [113, 'No route to host'],
};
