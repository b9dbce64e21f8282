import { type ConnectionEntry, type Options, parseConfigText } from '@openvpnd/config';

/** The options of a configuration that is right, with its first connection. */
export function optionsOf(...lines: readonly string[]): { readonly options: Options; readonly entry: ConnectionEntry } {
  const result = parseConfigText(lines.join('\n'), 'test.conf');
  if (!result.ok) throw new Error(result.errors.join('\n'));
  if (result.standAlone !== undefined) throw new Error(`that asks for --${result.standAlone}`);
  const { options } = result;
  const [entry] = options.connections;
  if (entry === undefined) throw new Error('no connection');
  return { options, entry };
}

/** A client whose files are named, not there. */
export const CLIENT: readonly string[] = ['client', 'dev tun', 'remote 192.0.2.1', 'ca ca', 'cert cert', 'key key'];

/** A server likewise. */
export const SERVER: readonly string[] = [
  'dev tun',
  'topology subnet',
  'server 10.8.0.0 255.255.255.0',
  'ca ca',
  'cert cert',
  'key key',
  'dh none',
];
