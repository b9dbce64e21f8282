import { writeFileSync } from 'node:fs';
import { join, parse } from 'node:path';

/** Who one end is, in PEM. */
export interface Identity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** What both ends' configurations share. */
interface EndSettings {
  readonly identity: Identity;
  /** `udp4` or `udp6` (or another value of OpenVPN's `proto`). */
  readonly proto: string;
  /** 1194 when absent. */
  readonly port?: number;
  /** The name of the tun device; OpenVPN chooses one when absent. */
  readonly device?: string;
  /** For `data-ciphers`. */
  readonly ciphers?: readonly string[];
  /** Further lines, put last. */
  readonly extra?: readonly string[];
}

/** Settings of a server's configuration. */
export interface ServerSettings extends EndSettings {
  /** The address to listen on; all when absent. */
  readonly local?: string;
  /** `10.8.0.0 255.255.255.0` when absent. */
  readonly network?: string;
  /** `fd08::/64`; no IPv6 inside when absent. */
  readonly networkV6?: string;
  /** For `keepalive`, which is pushed to the clients; `10 60` when absent. */
  readonly keepalive?: string;
}

/** Settings of a client's configuration. */
export interface ClientSettings extends EndSettings {
  readonly remote: string;
}

/** The text of a configuration for a multi-client server in topology subnet, for the stock `openvpn` 2.6 and for openvpnd alike. */
export function serverConfig(settings: ServerSettings): string {
  return text([
    `proto ${settings.proto}`,
    `port ${settings.port ?? 1194}`,
    settings.local === undefined ? undefined : `local ${settings.local}`,
    'topology subnet',
    `server ${settings.network ?? '10.8.0.0 255.255.255.0'}`,
    settings.networkV6 === undefined ? undefined : `server-ipv6 ${settings.networkV6}`,
    'dh none',
    `keepalive ${settings.keepalive ?? '10 60'}`,
    'remote-cert-tls client',
    ...shared(settings),
  ]);
}

/** The text of a configuration for a client, for the stock `openvpn` 2.6 and for openvpnd alike. */
export function clientConfig(settings: ClientSettings): string {
  return text([
    'client',
    `proto ${settings.proto}`,
    `remote ${settings.remote} ${settings.port ?? 1194}`,
    'nobind',
    'remote-cert-tls server',
    ...shared(settings),
  ]);
}

/**
 * Writes a configuration, readable by its owner only since it holds a private key; gives its path. Where `name` is taken, the new file gets a number
 * (`client.conf`, `client-2.conf`, …): whoever was started with the other file may still be about to read it.
 */
export function writeConfig(directory: string, name: string, config: string): string {
  const { name: stem, ext } = parse(name);
  for (let number = 1; ; number++) {
    const path = join(directory, number === 1 ? name : `${stem}-${number}${ext}`);
    try {
      writeFileSync(path, config, { mode: 0o600, flag: 'wx' });
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function shared({ identity, device, ciphers, extra }: EndSettings): (string | undefined)[] {
  return [
    `dev ${device ?? 'tun'}`,
    device === undefined ? undefined : 'dev-type tun',
    'persist-key',
    'persist-tun',
    ciphers === undefined ? undefined : `data-ciphers ${ciphers.join(':')}`,
    'verb 3',
    inline('ca', identity.ca),
    inline('cert', identity.cert),
    inline('key', identity.key),
    ...(extra ?? []),
  ];
}

function inline(option: string, content: string): string {
  return `<${option}>\n${content.trimEnd()}\n</${option}>`;
}

function text(lines: readonly (string | undefined)[]): string {
  return `${lines.filter((line) => line !== undefined).join('\n')}\n`;
}
