import { type Options, parseConfigText } from '@openvpnd/config';

/** Where simulated servers listen. */
export const SERVER_HOST = '192.0.2.1';
export const SERVER_PORT = 1194;

/** Made with `--genkey secret`; guards nothing. */
function tlsCryptKey(seed: number): string {
  return Array.from({ length: 16 }, (_, row) =>
    Array.from({ length: 16 }, (_, byte) => ((row * 37 + byte * 11 + seed) & 0xff).toString(16).padStart(2, '0')).join(
      '',
    ),
  ).join('\n');
}

/** Files are inline: the fake TLS engine never looks at the certificates, tls-crypt does look at its key. */
const CERTIFICATES = ['<ca>', 'ca', '</ca>', '<cert>', 'cert', '</cert>', '<key>', 'key', '</key>'];

/** Lines that guard the control channel with tls-crypt. */
export const TLS_CRYPT: readonly string[] = tlsCrypt(5);

/** The same with a key of one's own. */
export function tlsCrypt(seed: number): readonly string[] {
  return [
    '<tls-crypt>',
    '-----BEGIN OpenVPN Static key V1-----',
    tlsCryptKey(seed),
    '-----END OpenVPN Static key V1-----',
    '</tls-crypt>',
  ];
}

/** Lines that guard the control channel with tls-auth, in both directions with the same key. */
export const TLS_AUTH: readonly string[] = TLS_CRYPT.map((line) => line.replace('tls-crypt', 'tls-auth'));

/** The options of a server with IPv4 and IPv6 inside; `extra` is appended, and wins where an option counts once. */
export function serverOptions(extra: readonly string[] = []): Options {
  return optionsOf('server.conf', [
    `local ${SERVER_HOST}`,
    `port ${SERVER_PORT}`,
    'proto udp4',
    'dev tun',
    'topology subnet',
    'server 10.8.0.0 255.255.0.0',
    'server-ipv6 fd00:8::/64',
    'keepalive 10 60',
    'dh none',
    ...CERTIFICATES,
    ...extra,
  ]);
}

/** The options of a client of that server. */
export function clientOptions(extra: readonly string[] = []): Options {
  return optionsOf('client.conf', [
    'client',
    ...(extra.some((line) => line.startsWith('remote ')) ? [] : [`remote ${SERVER_HOST} ${SERVER_PORT}`]),
    'proto udp4',
    'dev tun',
    'nobind',
    'remote-cert-tls server',
    ...CERTIFICATES,
    ...extra,
  ]);
}

function optionsOf(fileName: string, lines: readonly string[]): Options {
  const result = parseConfigText(lines.join('\n'), fileName);
  if (!result.ok) throw new Error(result.errors.join('\n'));
  if (result.standAlone !== undefined) throw new Error('that is no configuration');
  return result.options;
}
