import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { labReady } from '@openvpnd/testkit/node';
import { root } from '../fences/fences.js';

/** A program that takes `--config FILE`, or any of OpenVPN's options, and logs OpenVPN's lines. */
export interface Program {
  readonly name: 'openvpn' | 'openvpnd';
  readonly command: readonly string[];
  /** Lines that its configuration needs besides. */
  readonly extra: readonly string[];
}

/** The stock one. Its kernel module is switched off: the data path under test is the one in the process. */
export const openvpn: Program = { name: 'openvpn', command: ['openvpn'], extra: ['disable-dco'] };

/** Ours, as it was built. */
export const openvpnd: Program = {
  name: 'openvpnd',
  command: [process.execPath, `${root}apps/openvpnd/dist/main.js`],
  extra: [],
};

/** Who serves whom. */
export interface Pair {
  readonly server: Program;
  readonly client: Program;
}

/**
 * The pairs in which ours takes part. With OPENVPND_INTEROP_CONTROL=1 the stock one stands at both ends instead: a story that fails then
 * is wrong itself.
 */
export const pairs: readonly Pair[] =
  process.env.OPENVPND_INTEROP_CONTROL === '1'
    ? [{ server: openvpn, client: openvpn }]
    : [
        { server: openvpn, client: openvpnd },
        { server: openvpnd, client: openvpn },
        { server: openvpnd, client: openvpnd },
      ];

/** `openvpnd serves openvpn` */
export function pairName({ server, client }: Pair): string {
  return `${server.name} serves ${client.name}`;
}

/** Whether the stories can run here; see labReady. Throws when the daemon is not built. */
export function interopReady(): boolean {
  const [node = '', main = ''] = openvpnd.command;
  if (!existsSync(main)) throw new Error('the daemon is not built: npm run build');
  if (process.env.OPENVPND_INTEROP_CONTROL === '1') return labReady('openvpn', 'ping');
  const version = spawnSync(node, [main, '--version'], { encoding: 'utf8', timeout: 10_000 });
  if (version.status === 0 && version.stdout === '') {
    process.stderr.write('skipped: the daemon is not there yet\n');
    return false;
  }
  if (!/openvpnd/i.test(version.stdout))
    throw new Error(`the daemon does not start:\n${version.stdout}${version.stderr}`);
  return labReady('openvpn', 'ping');
}
