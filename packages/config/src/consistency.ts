import type { Draft } from './draft.js';
import { listenerProblem, listenerSuspicions } from './listener-entries.js';
import { deviceType } from './macros.js';
import { isStub } from './options/compression-options.js';
import type { ConnectionEntry } from './options/connection-entry.js';
import type { Listener } from './options/listener.js';
import { portShareProblem, proxyProblem } from './proxy-entries.js';

/**
 * OpenVPN's checks of options against each other after macros were expanded, in its order and words
 * (options_postprocess_verify_ce). Returns the first contradiction.
 */
export function findContradiction(
  draft: Draft,
  connections: readonly ConnectionEntry[],
  listeners: readonly Listener[],
): string | undefined {
  if (draft.server !== undefined && draft.staticKey !== undefined) {
    return '--server and --secret cannot be used together (you must use SSL/TLS keys)';
  }
  return (
    deviceProblem(draft) ??
    linkProblem(draft, connections) ??
    proxyProblem(draft, connections) ??
    portShareProblem(draft, listeners) ??
    (draft.mode === 'server' ? serverProblem(draft, listeners) : needsServer(draft)) ??
    tlsProblem(draft)
  );
}

/** What works but is probably not meant, in OpenVPN's words. */
export function findSuspicions(
  draft: Draft,
  connections: readonly ConnectionEntry[],
  listeners: readonly Listener[],
): readonly string[] {
  const warnings: string[] = [...listenerSuspicions(draft, listeners)];
  if (draft.pull && draft.ifconfig !== undefined) {
    warnings.push('WARNING: using --pull/--client and --ifconfig together is probably not what you want');
  }
  for (const { fragment, mssFix } of [draft.entry, ...draft.blocks]) {
    if (fragment === undefined || mssFix === undefined || mssFix === 'default' || mssFix.bytes === 0) continue;
    if (fragment.bytes < mssFix.bytes) {
      warnings.push(
        `WARNING: if you use --mssfix and --fragment, you should set --fragment (${fragment.bytes}) larger or equal than --mssfix (${mssFix.bytes})`,
      );
    }
    if (fragment.basis !== mssFix.basis) {
      warnings.push(
        'WARNING: if you use --mssfix and --fragment, you should use the "mtu" flag for both or none of of them.',
      );
    }
  }
  if (draft.passTos && connections.every(({ protocol }) => protocol.transport === 'tcp')) {
    warnings.push('NOTE: --passtos has no effect with --proto tcp: a stream has no packets of its own');
  }
  if (connections.some(({ socket }) => socket.multihome) && connections.every(({ remote }) => remote !== undefined)) {
    warnings.push('NOTE: --multihome is for who waits for peers: it has no effect with --remote');
  }
  if (draft.mtuTest && [draft.entry, ...draft.blocks].some(({ fragment }) => fragment !== undefined)) {
    warnings.push('WARNING: using --fragment and --mtu-test together may produce an inaccurate MTU test result');
  }
  if (draft.staticKey !== undefined && !draft.allowStaticKey) {
    warnings.push(
      'DEPRECATION: No tls-client or tls-server option in configuration detected. OpenVPN 2.7 will remove the functionality to run a VPN without TLS. See the examples section in the manual page for examples of a similar quick setup with peer-fingerprint.',
    );
  }
  if (draft.mode === 'server') {
    if (draft.keepalive === undefined) warnings.push('WARNING: --keepalive option is missing from server config');
    if (draft.duplicateCn && draft.clientConfigDir !== undefined) {
      warnings.push('WARNING: using --duplicate-cn and --client-config-dir together is probably not what you want');
    }
    if (draft.authGenToken !== undefined && draft.passwordVerify === undefined) {
      warnings.push('WARNING: --auth-gen-token gives tokens only to clients that --auth-user-pass-verify has judged');
    }
    if (draft.pullFilters.length > 0) warnings.push('--pull-filter ignored for --mode server');
  }
  if (draft.pingSeconds !== undefined && draft.pingSeconds > 0 && draft.pingTimeout === undefined) {
    warnings.push('WARNING: --ping should normally be used with --ping-restart or --ping-exit');
  }
  if (draft.tlsClient) {
    if (draft.files.dh !== undefined) {
      warnings.push(
        "WARNING: Ignoring option 'dh' in tls-client mode, please only include this in your server configuration",
      );
    }
    const verified = draft.remoteCertTls ?? draft.remoteCertKu ?? draft.remoteCertEku ?? draft.verifyX509Name;
    if (verified === undefined) {
      warnings.push(
        'WARNING: No server certificate verification method has been enabled.  See http://openvpn.net/howto.html#mitm for more info.',
      );
    }
  }
  return warnings;
}

function deviceProblem(draft: Draft): string | undefined {
  if (draft.dev === undefined) return "You must define TUN/TAP device (--dev), for example 'dev tun'";
  const type = deviceType(draft);
  if (type === undefined) {
    return `I don't recognize device ${draft.dev} as a tun or tap device: begin its name with tun or add 'dev-type tun'`;
  }
  if (type !== 'tun') return `dev ${draft.dev}: devices of type ${type} are not supported yet, only tun is`;
  return undefined;
}

function linkProblem(draft: Draft, connections: readonly ConnectionEntry[]): string | undefined {
  const { ifconfig } = draft;
  if (ifconfig !== undefined && ifconfig.local === ifconfig.remoteOrNetmask) {
    return 'local and remote/netmask --ifconfig addresses must be different';
  }
  for (const block of [draft.entry, ...draft.blocks, ...draft.listens]) {
    if (!block.nobind) continue;
    if (block.bind !== undefined && block.local === undefined) return "--bind and --nobind can't be used together";
    if (block.local !== undefined) return "--local and --nobind don't make sense when used together";
    if (block.localPort !== undefined) return "--lport and --nobind don't make sense when used together";
  }
  if (connections.length === 0) return 'No usable connection profiles are present: --proto-force leaves none';
  for (const entry of connections) {
    const { remote } = entry;
    const protocolProblem = sideProblem(draft, entry);
    if (protocolProblem !== undefined) return protocolProblem;
    if (entry.protocol.transport === 'tcp' && draft.mtuTest) return '--mtu-test only makes sense with --proto udp';
    if (entry.protocol.transport === 'tcp' && entry.fragment !== undefined) {
      return '--fragment can only be used with --proto udp';
    }
    if (remote !== undefined && ifconfig !== undefined) {
      if (remote.host === ifconfig.local || remote.host === ifconfig.remoteOrNetmask) {
        return '--local and --remote addresses must be distinct from --ifconfig addresses';
      }
    }
    if (remote !== undefined && remote.host === entry.localHost && remote.port === entry.localPort) {
      return '--remote and --local addresses are the same';
    }
    if (entry.localHost !== undefined && ifconfig !== undefined) {
      if (entry.localHost === ifconfig.local || entry.localHost === ifconfig.remoteOrNetmask) {
        return '--local addresses must be distinct from --ifconfig addresses';
      }
    }
    // A server that pulls does not bind either, but that is not what is wrong with it.
    if (remote === undefined && !entry.bind && !(draft.mode === 'server' && draft.pull)) {
      return "--nobind doesn't make sense unless used with --remote";
    }
  }
  return undefined;
}

/** Which end of a connection this is has to be clear, and the right one. */
function sideProblem(draft: Draft, { protocol, remote, bind }: ConnectionEntry): string | undefined {
  const { transport, side } = protocol;
  if (draft.mode === 'server') {
    return side === 'server' || (transport === 'udp' && side === 'unspecified')
      ? undefined
      : '--mode server currently only supports --proto values of udp, tcp-server, tcp4-server, or tcp6-server';
  }
  switch (side) {
    case 'unspecified':
      return transport === 'udp'
        ? undefined
        : '--proto tcp is ambiguous in this context. Please specify --proto tcp-server or --proto tcp-client';
    case 'client':
      return remote === undefined ? `--remote MUST be used in ${transport.toUpperCase()} Client mode` : undefined;
    case 'server':
      if (draft.pull)
        return `--client and --pull cannot be used with --proto ${transport}-server: use ${transport}-client`;
      if (!bind) return `--nobind cannot be used with --proto ${transport}-server: it waits for its peer at a port`;
      return transport === 'udp' && remote !== undefined
        ? '--remote cannot be used with --proto udp-server, which waits for its peer: use udp'
        : undefined;
  }
}

function serverProblem(draft: Draft, listeners: readonly Listener[]): string | undefined {
  if (draft.pull) return '--pull cannot be used with --mode server';
  if (draft.mtuTest) return '--mtu-test is not supported with --mode server: let a client measure';
  if (!draft.tlsServer) return '--mode server requires --tls-server';
  if (draft.blocks.length > 0) return '<connection> cannot be used with --mode server';
  if (draft.remotes.length > 0) return '--remote cannot be used with --mode server';
  if (draft.pool?.netmask !== undefined && draft.topology !== 'subnet') {
    return 'The third parameter to --ifconfig-pool (netmask) is only valid in --dev tap mode or with topology subnet';
  }
  if (draft.redirect !== undefined) {
    return '--redirect-gateway cannot be used with --mode server (however --push "redirect-gateway" is fine)';
  }
  if (draft.routeDelay !== undefined) return '--route-delay cannot be used with --mode server';
  if (draft.poolIpv6 !== undefined && draft.ifconfigIpv6 === undefined) {
    return '--ifconfig-ipv6-pool needs --ifconfig-ipv6';
  }
  if (draft.files['auth-user-pass'] !== undefined) {
    return '--auth-user-pass cannot be used with --mode server (it should be used on the client side only)';
  }
  if (draft.ccdExclusive && draft.clientConfigDir === undefined) {
    return '--ccd-exclusive must be used with --client-config-dir';
  }
  return tokenProblem(draft) ?? listenerProblem(draft, listeners);
}

/** Tokens must outlive the time in which a client renews them. */
function tokenProblem(draft: Draft): string | undefined {
  const { authGenToken, handshakeWindowSeconds = 60 } = draft;
  if (authGenToken === undefined) return undefined;
  const renegSeconds = draft.renegSeconds?.max ?? 3600;
  if (renegSeconds === 0) return '--auth-gen-token needs a non-infinite --renegotiate_seconds setting';
  if ((authGenToken.renewalSeconds ?? renegSeconds) < 2 * handshakeWindowSeconds) {
    return `--auth-gen-token renewal time needs to be at least  two times --hand-window (${handshakeWindowSeconds}).`;
  }
  return undefined;
}

function needsServer(draft: Draft): string | undefined {
  if (draft.listens.length > 0) return '<listen> requires --mode server';
  if ([draft.entry, ...draft.blocks].some(({ locals = [] }) => locals.length > 1)) {
    return 'multiple --local statements only allowed in --server mode';
  }
  const requires = (what: string): string => `--${what} requires --mode server`;
  if (draft.pool !== undefined || draft.poolPersist !== undefined)
    return requires('ifconfig-pool/--ifconfig-pool-persist');
  if (draft.poolIpv6 !== undefined) return requires('ifconfig-ipv6-pool');
  if (draft.clientConfigDir !== undefined || draft.ccdExclusive) return requires('client-config-dir/--ccd-exclusive');
  if (draft.clientToClient) return requires('client-to-client');
  if (draft.duplicateCn) return requires('duplicate-cn');
  if (draft.entry.connectFreq !== undefined) return requires('connect-freq');
  if (draft.passwordVerify !== undefined) return requires('auth-user-pass-verify');
  if (draft.authGenToken !== undefined) return requires('auth-gen-token');
  if (draft.entry.bindPolicy !== undefined) return requires('bind-policy');
  if (draft.entry.backlog !== undefined) return requires('listen-backlog');
  return undefined;
}

function tlsProblem(draft: Draft): string | undefined {
  const kinds = [draft.tlsClient, draft.tlsServer, draft.staticKey !== undefined].filter(Boolean);
  if (kinds.length > 1) return 'specify only one of --tls-server, --tls-client, or --secret';
  if (draft.staticKey !== undefined) return staticKeyProblem(draft);
  if (!draft.tlsClient && !draft.tlsServer) {
    return 'No tls-client or tls-server option in configuration detected: tunnels without TLS are not supported';
  }
  if (draft.versionMax !== undefined && (draft.versionMin ?? '1.2') > draft.versionMax) {
    return '--tls-version-min bigger than --tls-version-max';
  }
  if (draft.allowCompression === 'no' && !isStub(draft.compression?.algorithm)) {
    return "Compression is not allowed since allow-compression is set to 'stub-only'";
  }
  return certificateProblem(draft) ?? wrapProblem(draft);
}

/** Without TLS its options mean nothing. The names are OpenVPN's of inside. */
function staticKeyProblem(draft: Draft): string | undefined {
  const { files } = draft;
  const { tlsAuth, tlsCrypt, tlsCryptV2 } = draft.entry;
  const ofTls: readonly (readonly [name: string, value: unknown])[] = [
    ['ca_file', files.ca],
    ['dh_file', files.dh],
    ['cert_file', files.cert],
    ['priv_key_file', files.key],
    ['pkcs12_file', files.pkcs12],
    ['extra_certs_file', files['extra-certs']],
    ['cipher_list', draft.cipherList],
    ['cipher_list_tls13', draft.cipherSuites],
    ['tls_groups', draft.groups],
    ['verify_x509_name', draft.verifyX509Name],
    ['tls_timeout', draft.retransmitSeconds],
    ['renegotiate_bytes', draft.renegBytes],
    ['renegotiate_packets', draft.renegPackets],
    ['renegotiate_seconds', draft.renegSeconds],
    ['handshake_window', draft.handshakeWindowSeconds],
    ['transition_window', draft.transitionWindowSeconds],
    ['tls_auth_file', tlsAuth],
    ['tls_crypt_file', tlsCrypt],
    ['tls_crypt_v2_file', tlsCryptV2],
    ['push_peer_info', draft.pushPeerInfo],
    ['crl_file', files['crl-verify']],
    ['remote_cert_ku[0]', draft.remoteCertKu ?? draft.remoteCertTls],
    ['remote_cert_eku', draft.remoteCertEku],
    ['--pull', draft.pull],
  ];
  const wrong = ofTls.find(([, value]) => value !== undefined && value !== false);
  return (
    wrong &&
    `Parameter ${wrong[0]} can only be specified in TLS-mode, i.e. where --tls-server or --tls-client is also specified.`
  );
}

function certificateProblem(draft: Draft): string | undefined {
  const { ca, cert, key, pkcs12 } = draft.files;
  const password = draft.files['auth-user-pass'];
  if (pkcs12 !== undefined) {
    const other = cert !== undefined ? 'cert' : key !== undefined ? 'key' : undefined;
    if (other !== undefined) return `Parameter --${other} cannot be used when --pkcs12 is also specified.`;
  } else {
    if (ca === undefined) return 'You must define CA file (--ca)';
    if ((cert === undefined) !== (key === undefined))
      return 'If you use one of --cert or --key, you must use them both';
    if (cert === undefined && password === undefined) {
      return draft.pull
        ? 'No client-side authentication method is specified.  You must use either --cert/--key, --pkcs12, or --auth-user-pass'
        : 'You must define certificate file (--cert) or PKCS#12 file (--pkcs12)';
    }
  }
  if (password !== undefined && !draft.pull) return '--auth-user-pass requires --pull';
  return undefined;
}

function wrapProblem(draft: Draft): string | undefined {
  const entries = [draft.entry, ...draft.blocks, ...draft.listens];
  if (entries.some(({ tlsAuth, tlsCrypt }) => tlsAuth !== undefined && tlsCrypt !== undefined)) {
    return '--tls-auth and --tls-crypt are mutually exclusive';
  }
  const mixed = entries.some(
    ({ tlsAuth, tlsCrypt, tlsCryptV2 }) => tlsCryptV2 !== undefined && (tlsAuth ?? tlsCrypt) !== undefined,
  );
  return mixed && draft.tlsClient
    ? '--tls-crypt-v2, --tls-auth and --tls-crypt are mutually exclusive in client mode'
    : undefined;
}
