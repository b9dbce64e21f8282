import type { Socket } from 'node:net';
import type { ByteStream, LinkConnectOptions, LinkEnds, PendingLink } from '@openvpnd/external-mux';
import { SocksClient, SocksClientError, type SocksRemoteHost } from 'socks';
import { SocksProxyError } from './socks-proxy-error.js';
import type { SocksProxyOptions } from './socks-proxy-options.js';

/** What became of {@link negotiate}. The stream is the caller's. */
export type Negotiation =
  | {
      readonly ok: true;
      readonly stream: ByteStream;
      readonly ends: LinkEnds;
      /** The address that the proxy names: of its relay, for `associate`. */
      readonly bound: SocksRemoteHost;
    }
  | { readonly ok: false; readonly error: Error };

/** Length limit of names and credentials in SOCKS 5, in bytes. */
const MAX_TEXT_BYTES = 255;

/**
 * Connects to a proxy and has it do something for us. `done` is called once, later, unless it is cancelled. OpenVPN: establish_socks_proxy_passthru(),
 * establish_socks_proxy_udpassoc().
 */
export function negotiate(
  options: SocksProxyOptions,
  command: 'connect' | 'associate',
  where: LinkConnectOptions,
  done: (result: Negotiation) => void,
): PendingLink {
  let over = false;
  let stream: ByteStream | undefined;
  const finish = (result: Negotiation): void => {
    if (over) return;
    over = true;
    done(result);
  };
  const impossible = problemOf(options);
  const dial = options.links.dial(where, (dialled) => {
    if (!dialled.ok) return finish(dialled);
    if (impossible !== undefined) {
      dialled.stream.destroy();
      return finish({ ok: false, error: new SocksProxyError(impossible) });
    }
    options.log?.info('socks-proxy.connected', { ...where.remote });
    stream = dialled.stream;
    stream.on('error', () => {});
    const client = new SocksClient(clientOptions(options, command, where, dialled.stream));
    client.once('established', ({ remoteHost }) => {
      client.removeAllListeners();
      if (over) return;
      // The library takes a reply whose address is of no type that there is.
      if (remoteHost === undefined) {
        dialled.stream.destroy();
        return finish({ ok: false, error: new SocksProxyError(BAD_ADDRESS_TYPE) });
      }
      finish({ ok: true, stream: dialled.stream, ends: dialled.ends, bound: remoteHost });
    });
    client.once('error', (error) => finish({ ok: false, error: explain(error, options) }));
    // What the library takes for its own use is public to hand it a connected socket: it says hello at once.
    client.connect(dialled.stream as unknown as Socket);
  });
  return {
    cancel: () => {
      if (over) return;
      over = true;
      dial.cancel();
      stream?.destroy();
    },
    overdue: () => (stream === undefined ? undefined : new SocksProxyError(SILENT)),
  };
}

type ClientOptions = ConstructorParameters<typeof SocksClient>[0];

function clientOptions(
  { target, credentials, timeoutMs }: SocksProxyOptions,
  command: 'connect' | 'associate',
  { remote }: LinkConnectOptions,
  stream: ByteStream,
): ClientOptions {
  return {
    command,
    proxy: {
      host: remote.address,
      port: remote.port,
      type: 5,
      ...(credentials === undefined ? {} : { userId: credentials.username, password: credentials.password }),
    },
    // Whence the datagrams will come is not known yet: the unspecified address leaves it open. Dante wants it in the family of the connection.
    destination:
      command === 'associate'
        ? { host: remote.family === 6 ? '::' : '0.0.0.0', port: 0 }
        : { host: target.host, port: target.port },
    timeout: timeoutMs,
    existing_socket: stream as unknown as Socket,
  };
}

/** What SOCKS cannot say. */
function problemOf({ target, credentials }: SocksProxyOptions): string | undefined {
  if (Buffer.byteLength(target.host) > MAX_TEXT_BYTES || Buffer.byteLength(target.host) !== target.host.length) {
    return `socks-proxy: '${target.host}' is no name that a SOCKS proxy can be asked for`;
  }
  const texts = credentials === undefined ? [] : [credentials.username, credentials.password];
  return texts.some((text) => Buffer.byteLength(text) > MAX_TEXT_BYTES)
    ? 'SOCKS username and/or password exceeds 255 characters.  Authentication not possible.'
    : undefined;
}

/** OpenVPN's line for a reply whose address is of no use. */
export const BAD_ADDRESS_TYPE = 'recv_socks_reply: Socks proxy returned bad address type';

/** OpenVPN's line for what the library says; its sentences are part of its interface. */
function explain(error: unknown, { credentials }: SocksProxyOptions): SocksProxyError {
  const reason = error instanceof SocksClientError ? error.message : String(error);
  const [, line = `socks_handshake: Socks proxy failed: ${reason}`] =
    EXPLANATIONS.find(([pattern]) => pattern.test(reason)) ?? [];
  const refusedUs = credentials === undefined && /no accepted authentication type/i.test(reason);
  return new SocksProxyError(refusedUs ? NO_CREDENTIALS : line.replace('%', reason), { cause: error });
}

const NO_CREDENTIALS =
  'socks_handshake: Socks proxy returned unexpected auth (it may want a user name and password: give a file with them behind the port of --socks-proxy)';

const SILENT =
  'recv_socks_reply: the SOCKS proxy took the connection and does not answer (is it a SOCKS 5 proxy? --connect-timeout is how long it may take)';

const EXPLANATIONS: readonly (readonly [RegExp, string])[] = [
  [/Authentication failed/i, 'socks_username_password_auth: server refused the authentication'],
  [/initial handshake.*(version|type)/i, 'socks_handshake: Socks proxy returned unexpected auth (%)'],
  [/final handshake|rejected/i, 'recv_socks_reply: Socks proxy returned bad reply (%)'],
  [/timed out/i, SILENT],
  [/internal error/i, 'socks_handshake: Socks proxy said more than it was asked'],
  [/closed/i, 'recv_socks_reply: TCP port read failed on recv()'],
];
