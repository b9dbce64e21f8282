import type { LogFields } from '@openvpnd/sans-io';
import { PROXY_EVENT_LINES } from './proxy-event-lines.js';
import { refusalLines } from './refusal-lines.js';

/** The line that stands for an event, and from which `--verb` on it is printed. Undefined: nothing. */
export interface EventLine {
  readonly verb: number;
  readonly text: (fields: LogFields) => string | readonly string[];
  /** Printed at most so often in a second: strangers decide how often it happens. */
  readonly perSecond?: number;
}

/** Errors and what people grep for are printed at the default verbosity. OpenVPN: M_INFO, D_TLS_ERRORS. */
const ALWAYS = 1;
/** OpenVPN: D_HANDSHAKE, D_PUSH and their like, the usual `verb 3`. */
const USUAL = 3;
/** OpenVPN: D_SHOW_PARMS and details. */
const DETAIL = 4;

/** Enough to see what is going on, and no way to fill a disk. */
const STRANGERS_PER_SECOND = 10;
/** Each costs its maker a connection, and many clients come back at once after a restart. */
const CONNECTIONS_PER_SECOND = 100;

/**
 * OpenVPN's line for each event of the protocol packages. People and tools grep for these lines: they are an interface.
 */
export const EVENT_LINES: Readonly<Record<string, EventLine>> = {
  // Certificates.
  'verify.ok': { verb: ALWAYS, text: (f) => `VERIFY OK: depth=${f.depth}, ${f.subject}` },
  'verify.error': {
    verb: ALWAYS,
    text: (f) =>
      `VERIFY ERROR: depth=${f.depth}, error=${f.error}: ${f.subject}${f.serialNumber === undefined ? '' : `, serial=${f.serialNumber}`}`,
  },
  'verify.ku-ok': { verb: ALWAYS, text: () => 'VERIFY KU OK' },
  'verify.ku-error': { verb: ALWAYS, text: (f) => [`VERIFY KU ERROR`, ...reason(f)] },
  'verify.eku': {
    verb: USUAL,
    text: (f) => [
      'Validating certificate extended key usage',
      `++ Certificate has EKU (str) ${f.name}, expects ${f.expected}`,
    ],
  },
  'verify.eku-ok': { verb: ALWAYS, text: () => 'VERIFY EKU OK' },
  'verify.eku-error': { verb: ALWAYS, text: () => 'VERIFY EKU ERROR' },
  'verify.x509name-ok': { verb: ALWAYS, text: (f) => `VERIFY X509NAME OK: ${f.name}` },
  'verify.x509name-error': { verb: ALWAYS, text: (f) => `VERIFY X509NAME ERROR: ${f.name}, must be ${f.expected}` },
  'verify.no-certificate': { verb: ALWAYS, text: () => 'TLS Error: peer did not present a certificate' },
  'verify.no-common-name': {
    verb: ALWAYS,
    text: (f) =>
      `VERIFY ERROR: could not extract CN from X509 subject string ('${f.subject}') -- note that the field length is limited to 64 characters`,
  },

  // TLS.
  'session.incoming': {
    verb: DETAIL,
    text: (f) => `TLS: Initial packet from ${f.from ?? 'peer'}, sid=${spacedSessionId(f)}`,
  },
  'session.drop': { verb: ALWAYS, text: refusalLines, perSecond: STRANGERS_PER_SECOND },
  'session.takeover': {
    verb: USUAL,
    text: () => 'TLS: tls_multi_process: initial untrusted session promoted to trusted',
  },
  'session.peer-initiated': {
    verb: ALWAYS,
    text: (f) => `[${f.commonName ?? 'UNDEF'}] Peer Connection Initiated with ${f.from ?? 'peer'}`,
  },
  'session.not-connected': { verb: ALWAYS, text: () => 'TLS Error: the peer never asked for its options' },
  'tls.control-channel': {
    verb: ALWAYS,
    text: (f) => `Control Channel: ${f.version}, cipher ${f.version} ${f.cipher}${f.detail ? `, ${f.detail}` : ''}`,
  },
  'tls.failed': {
    verb: ALWAYS,
    text: (f) => [
      `OpenSSL: ${f.reason}`,
      'TLS_ERROR: BIO read tls_read_plaintext error',
      'TLS Error: TLS object -> incoming plaintext read error',
    ],
  },
  'tls.handshake-timeout': {
    verb: ALWAYS,
    text: (f) =>
      `TLS Error: TLS key negotiation failed to occur within ${f.seconds} seconds (check your network connectivity)`,
  },
  'tls.handshake-failed': { verb: ALWAYS, text: () => 'TLS Error: TLS handshake failed' },
  'tls.key-exchange-error': { verb: ALWAYS, text: (f) => `TLS Error: ${f.reason}` },
  'session.lame-duck': {
    verb: ALWAYS,
    text: () => 'TLS Error: the renegotiation failed, the tunnel goes on with its last key until that expires',
  },
  'tls.closed-by-peer': { verb: ALWAYS, text: () => 'TLS Error: the peer closed the TLS session' },
  'tls.soft-reset': {
    verb: USUAL,
    text: (f) =>
      `TLS: soft reset sec=${f.seconds ?? 0}/${f.limitSeconds ?? 0} bytes=${f.bytes ?? 0}/${f.limitBytes ?? -1} pkts=${f.packets ?? 0}/${f.limitPackets ?? 0}`,
  },
  'tls.soft-reset-received': { verb: DETAIL, text: (f) => `TLS: received P_CONTROL_SOFT_RESET_V1 s=${f.sessionId}` },

  // Options of both ends.
  'occ.inconsistent': {
    verb: ALWAYS,
    text: (f) => `WARNING: '${f.name}' is used inconsistently, local='${f.local}', remote='${f.remote}'`,
  },
  'occ.missing-in-remote': {
    verb: ALWAYS,
    text: (f) => `WARNING: '${f.name}' is present in local config but missing in remote config, local='${f.local}'`,
  },
  'occ.missing-in-local': {
    verb: ALWAYS,
    text: (f) => `WARNING: '${f.name}' is present in remote config but missing in local config, remote='${f.remote}'`,
  },
  'occ.no-reply': {
    verb: DETAIL,
    text: () =>
      'NOTE: failed to obtain options consistency info from peer -- this could occur if there is a network connectivity problem, and will not necessarily prevent the tunnel from running',
  },
  'mtu-test.begins': {
    verb: ALWAYS,
    text: () => 'NOTE: Beginning empirical MTU test -- results should be available in 3 to 4 minutes.',
  },
  'mtu-test.completed': {
    verb: ALWAYS,
    text: (f) =>
      `NOTE: Empirical MTU test completed [Tried,Actual] local->remote=[${f.sent},${f.arrivedThere}] remote->local=[${f.sentThere},${f.arrived}]`,
  },
  'mtu-test.too-large': {
    verb: ALWAYS,
    text: (f) =>
      `NOTE: This connection is unable to accommodate a UDP packet size of ${f.bytes}. Consider using --fragment or --mssfix options as a workaround.`,
  },
  'mtu-test.failed': {
    verb: ALWAYS,
    text: () => 'NOTE: failed to empirically measure MTU (requires OpenVPN 1.5 or higher at other end of connection).',
  },
  'occ.compress-migrate': {
    verb: USUAL,
    text: () => "Note: 'compress migrate' detected remote peer with compression enabled.",
  },
  'peer-info': { verb: USUAL, text: (f) => `peer info: ${f.line}` },
  'ncp.no-common-cipher': {
    verb: ALWAYS,
    text: (f) =>
      `PUSH: No common cipher between server and client. Server data-ciphers: '${f.own}', client supported ciphers '${f.theirs}'`,
  },
  'ncp.fallback': {
    verb: USUAL,
    text: (f) => `Using data channel cipher '${f.cipher}' since --data-ciphers-fallback is set`,
  },

  'ncp.not-allowed': { verb: ALWAYS, text: cipherNotListed },
  'ncp.remote-cipher-not-allowed': { verb: ALWAYS, text: cipherNotListed },
  'ncp.no-cipher': {
    verb: ALWAYS,
    text: () =>
      'OPTIONS ERROR: failed to negotiate cipher with server. Configure --data-ciphers-fallback if you want to connect to this server.',
  },

  'data-channel.negotiated': {
    verb: ALWAYS,
    text: (f) => {
      const auth = f.auth === undefined ? '' : `, auth '${f.auth}'`;
      const peerId = f.peerId === undefined ? '' : `, peer-id: ${f.peerId}`;
      const compression = f.compression === undefined ? '' : `, compression: '${f.compression}'`;
      return `Data Channel: cipher '${f.cipher}'${auth}${peerId}${compression}`;
    },
  },
  'static-key.initialised': {
    verb: DETAIL,
    text: (f) =>
      ['Outgoing', 'Incoming'].flatMap((way) => [
        ...(f.cipher === 'none'
          ? []
          : [`${way} Static Key Encryption: Cipher '${f.cipher}' initialized with ${f.keyBits} bit key`]),
        ...(f.auth === 'none'
          ? []
          : [`${way} Static Key Encryption: Using ${f.hashBits} bit message hash '${f.auth}' for HMAC authentication`]),
      ]),
  },
  'static-key.peer-initiated': { verb: ALWAYS, text: (f) => `Peer Connection Initiated with ${f.from}` },
  'data-channel.no-cipher': {
    verb: ALWAYS,
    text: () =>
      "******* WARNING *******: '--cipher none' was specified. This means NO encryption will be performed and tunnelled data WILL be transmitted in clear text over the network! PLEASE DO RECONSIDER THIS SETTING!",
  },
  'data-channel.no-auth': {
    verb: ALWAYS,
    text: () =>
      "******* WARNING *******: '--auth none' was specified. This means no authentication will be performed on received packets, meaning you CANNOT trust that the data received by the remote side have NOT been manipulated. PLEASE DO RECONSIDER THIS SETTING!",
  },
  'data-channel.timers': { verb: ALWAYS, text: (f) => `Timers: ${f.text}` },
  'data-channel.protocol': { verb: ALWAYS, text: (f) => `Protocol options: ${f.text}` },
  'data-channel.key-derivation-failed': {
    verb: ALWAYS,
    text: (f) => `TLS Error: generate_key_expansion failed (${f.derivation})`,
  },

  'data-channel.replay': {
    verb: ALWAYS,
    text: (f) =>
      `${decryptError(f)}: bad packet ID (may be a replay): [ #${f.packetId}${f.packetTime ? ` / time = (${f.packetTime})` : ''} ] -- see the man page entry for --no-replay and --replay-window for more info or silence this warning with --mute-replay-warnings${others(f)}`,
  },
  'data-channel.not-authentic': {
    verb: ALWAYS,
    text: (f) =>
      `${decryptError(f)}: ${f.aead ? 'cipher final failed' : 'packet HMAC authentication failed'}${others(f)}`,
  },

  // Control messages.
  'control.sent': { verb: USUAL, text: (f) => `SENT CONTROL [${f.commonName ?? 'UNDEF'}]: '${f.text}' (status=1)` },
  'control.exit-received': { verb: ALWAYS, text: () => 'CC-EEN exit message received by peer' },
  'control.restart-received': {
    verb: ALWAYS,
    text: (f) => `Connection reset command was pushed by server ('${f.text}')`,
  },
  'control.halt-received': { verb: ALWAYS, text: (f) => `Halt command was pushed by server ('${f.text}')` },
  'control.info-received': { verb: USUAL, text: (f) => `Info command was pushed by server ('${f.text}')` },
  'control.auth-pending': {
    verb: USUAL,
    text: (f) => `AUTH_PENDING received, extending handshake timeout from ${f.fromSeconds}s to ${f.toSeconds}s`,
  },
  'control.cr-response-received': {
    verb: USUAL,
    text: (f) => `CR response was sent by client (${f.characters} characters)`,
  },
  'control.queue-full': {
    verb: ALWAYS,
    text: () => 'WARNING: a control message was dropped, too many wait for the TLS session',
  },
  'control.unknown': { verb: ALWAYS, text: (f) => `WARNING: Received unknown control message: ${f.text}` },
  'control.invalid-characters': {
    verb: ALWAYS,
    text: (f) => `WARNING: ${f.dropped} control message(s) with characters that are not allowed were dropped`,
  },
  'session.exit-scheduled': { verb: ALWAYS, text: (f) => `Delayed exit in ${f.seconds} seconds` },

  // Push.
  'push.received': { verb: USUAL, text: (f) => `PUSH: Received control message: '${f.text}'` },
  'push.too-large': { verb: ALWAYS, text: (f) => `PUSH: the server's options are refused: ${f.reason}` },
  'push.update-too-early': { verb: ALWAYS, text: () => 'PUSH: a PUSH_UPDATE before the options themselves is ignored' },
  'push.no-reply': { verb: ALWAYS, text: (f) => `No reply from server to push requests in ${f.seconds}s` },
  'push.unsupported-option': {
    verb: ALWAYS,
    text: (f) => `Options error: the server pushed '${f.option}', which is not supported`,
  },
  'auth.refused': { verb: ALWAYS, text: () => 'TLS Auth Error: the peer was refused' },
  'auth.identity-changed': {
    verb: ALWAYS,
    text: (f) =>
      `TLS Auth Error: TLS object ${f.what} attempted to change from '${f.was}' to '${f.is}' -- tunnel disabled`,
  },

  // Client.
  'client.initial-packet': {
    verb: USUAL,
    text: (f) => `TLS: Initial packet from ${f.from}, sid=${spacedSessionId(f)}`,
  },
  'client.another-address': {
    verb: ALWAYS,
    text: (f) => `TCP/UDP: No answer yet, trying another address of the server as well: ${f.to}`,
  },
  'client.recursive-routing': {
    verb: ALWAYS,
    text: (f) => `Recursive routing detected, drop tun packet to ${f.to}`,
    perSecond: 1,
  },
  'client.auth-failed': { verb: ALWAYS, text: (f) => `AUTH: Received control message: ${f.text ?? 'AUTH_FAILED'}` },
  'client.server-poll-timeout': { verb: ALWAYS, text: () => 'Server poll timeout, restarting' },
  'client.exit-notify': { verb: ALWAYS, text: () => 'SIGTERM received, sending exit notification to peer' },
  'client.inactivity-timeout': {
    verb: ALWAYS,
    text: (f) =>
      f.action === 'inactive'
        ? 'Inactivity timeout (--inactive), exiting'
        : `[${f.commonName ?? 'server'}] Inactivity timeout (--${f.action}), ${f.action === 'ping-exit' ? 'exiting' : 'restarting'}`,
  },
  'client.session-timeout': { verb: ALWAYS, text: () => 'Session timeout, exiting' },
  'client.float': { verb: ALWAYS, text: () => 'TLS: the server moved to another address' },

  ...PROXY_EVENT_LINES,

  // Connections.
  'link.bad-length': { verb: ALWAYS, text: (f) => ofStranger(f, String(f.message)), perSecond: STRANGERS_PER_SECOND },
  'link.reset': { verb: ALWAYS, text: (f) => ofStranger(f, String(f.message)), perSecond: CONNECTIONS_PER_SECOND },
  'link.diverted': {
    verb: ALWAYS,
    text: (f) => [
      ofStranger(f, String(f.message)),
      ofStranger(f, 'SIGTERM[soft,port-share-redirect] received, client-instance exiting'),
    ],
    perSecond: CONNECTIONS_PER_SECOND,
  },
  'link.decryption-error': {
    verb: ALWAYS,
    text: () => 'Fatal decryption error (process_incoming_link), restarting',
  },
  'server.stream-established': {
    verb: ALWAYS,
    text: (f) => `TCP connection established with ${f.from}`,
    perSecond: CONNECTIONS_PER_SECOND,
  },
  'server.crowded': {
    verb: ALWAYS,
    text: (f) => `TCP: accepting is paused: ${f.reason}`,
    perSecond: 1,
  },
  'server.stream-silent': {
    verb: ALWAYS,
    text: (f) => ofStranger(f, 'TLS Error: no OpenVPN client has spoken on this connection, closing it'),
    perSecond: STRANGERS_PER_SECOND,
  },

  // Server.
  'server.full': {
    verb: ALWAYS,
    perSecond: STRANGERS_PER_SECOND,
    text: (f) =>
      `MULTI: new incoming connection would exceed maximum number of clients (${f.maxClients})${f.listener ? ` of listener ${f.listener}` : ''}`,
  },
  'server.stranger-refused': { verb: ALWAYS, text: refusalLines, perSecond: STRANGERS_PER_SECOND },
  'server.connect-frequency': {
    verb: ALWAYS,
    perSecond: STRANGERS_PER_SECOND,
    text: (f) =>
      `MULTI: Connection from ${f.from} would exceed new connection frequency limit as controlled by --connect-freq`,
  },
  'server.duplicate-common-name': {
    verb: ALWAYS,
    text: (f) =>
      `MULTI: new connection by client '${f.commonName}' will cause previous active sessions by this client to be dropped.  Remember to use the --duplicate-cn option if you want multiple clients using the same certificate or username to concurrently connect.`,
  },
  'server.addresses': {
    verb: ALWAYS,
    text: (f) => `MULTI_sva: pool returned IPv4=${f.ipv4 ?? '(Not enabled)'}, IPv6=${f.ipv6 ?? '(Not enabled)'}`,
  },
  'server.learn': { verb: USUAL, text: (f) => `MULTI: Learn: ${f.network} -> ${f.name}` },
  'server.learn-refused': { verb: ALWAYS, text: (f) => `MULTI: ${f.network} not learned: ${f.reason}` },
  'server.pool-exhausted': {
    verb: ALWAYS,
    text: () => 'MULTI: no free --ifconfig-pool addresses are available',
  },
  'server.no-common-name': { verb: ALWAYS, text: () => 'TLS Auth Error: the client certificate has no common name' },
  'server.credentials-too-long': { verb: ALWAYS, text: () => 'TLS Error: Username or password too long' },
  'server.no-credentials': {
    verb: ALWAYS,
    text: () => 'TLS Error: Auth Username/Password was not provided by peer',
  },
  'server.password-refused': {
    verb: ALWAYS,
    text: () => 'TLS Auth Error: Auth Username/Password verification failed for peer',
  },
  'server.password-accepted': {
    verb: ALWAYS,
    text: (f) => `TLS: Username/Password authentication succeeded for username '${f.username}' `,
  },
  'server.token-accepted': {
    verb: ALWAYS,
    text: (f) => `TLS: Username/auth-token authentication succeeded for username '${f.username}'`,
  },
  'server.token-refused': {
    verb: ALWAYS,
    text: (f) => [
      ...(f.state === 'Invalid' ? [] : ['--auth-gen-token: auth-token from client expired']),
      `TLS: Username/auth-token authentication failed for username '${f.username}'`,
    ],
  },
  'server.client-disabled': {
    verb: ALWAYS,
    text: () => "MULTI: client has been rejected due to 'disable' directive",
  },
  'server.client-config-refused': {
    verb: ALWAYS,
    text: (f) =>
      `TLS Auth Error: --client-config-dir authentication failed for common name '${f.commonName}' ${f.reason}`,
  },
  'server.client-key-refused': {
    verb: ALWAYS,
    text: (f) => `TLS Error: can not extract tls-crypt-v2 client key from ${f.from}`,
  },
  'server.float': {
    verb: ALWAYS,
    perSecond: CONNECTIONS_PER_SECOND,
    text: (f) => [
      `Float requested for peer ${f.slot} to ${f.to}`,
      `peer ${f.slot} (${f.commonName ?? 'UNDEF'}) floated from ${f.from} to ${f.to}`,
    ],
  },
  'server.float-collision': { verb: ALWAYS, text: (f) => `closing instance ${f.closed} due to float collision` },
  'server.float-refused': {
    verb: ALWAYS,
    perSecond: STRANGERS_PER_SECOND,
    text: (f) =>
      f.by === 'client'
        ? `Disallow float to an address taken by another client ${f.to}`
        : `Disallow float to another listener, from ${f.to}`,
  },
  'server.inactivity-timeout': {
    verb: ALWAYS,
    text: (f) =>
      f.action === 'inactive'
        ? 'Inactivity timeout (--inactive), exiting'
        : `[${f.commonName ?? 'UNDEF'}] Inactivity timeout (--${f.action}), restarting`,
  },
  'server.session-timeout': { verb: ALWAYS, text: () => 'Session timeout, exiting' },
  'server.remote-exit': { verb: ALWAYS, text: () => 'OCC exit message received by peer' },
  'server.internal-error': {
    verb: ALWAYS,
    text: (f) => `internal error, the client is dropped; please report it: ${f.message}`,
  },
  'server.client-signal': { verb: ALWAYS, text: (f) => String(f.text) },
};

function cipherNotListed(fields: LogFields): string {
  return `OPTIONS ERROR: failed to negotiate cipher with server.  Add the server's cipher ('${fields.cipher}') to --data-ciphers (currently '${fields.own}') if you want to connect to this server.`;
}

/** A line about a peer that the log has no name for yet. */
function ofStranger(fields: LogFields, text: string): string {
  const { stranger } = fields;
  return stranger === undefined ? text : `${String(stranger).replace(/^\[AF_INET6?\]/, '')} ${text}`;
}

/** OpenVPN: error_prefix of openvpn_decrypt_aead() and openvpn_decrypt_v1(). */
function decryptError(fields: LogFields): string {
  return fields.aead ? 'AEAD Decrypt error' : 'Authenticate/Decrypt packet error';
}

/** One line stands for several packets: OpenVPN prints one for each. */
function others(fields: LogFields): string {
  const more = Number(fields.packets) - 1;
  return more > 0 ? ` [and ${more} more]` : '';
}

/** OpenVPN prints a session id in two halves. */
function spacedSessionId(fields: LogFields): string {
  return String(fields.sessionId).replace(/^(.{8})(.{8})$/, '$1 $2');
}

function reason(fields: LogFields): string[] {
  return fields.reason === undefined ? [] : [String(fields.reason)];
}
