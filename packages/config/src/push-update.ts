import { printable } from './check-statement.js';
import type { PullFilter } from './options/server-options.js';
import { filterPulled } from './pull-filter.js';

/** The options that PUSH_UPDATE may set or remove. OpenVPN 2.7: updatable_options. */
const UPDATABLE: ReadonlySet<string> = new Set([
  'block-ipv6',
  'block-outside-dns',
  'dhcp-option',
  'dns',
  'ifconfig',
  'ifconfig-ipv6',
  'keepalive',
  'push-continuation',
  'redirect-gateway',
  'redirect-private',
  'route',
  'route-gateway',
  'route-ipv6',
  'route-metric',
  'topology',
  'tun-mtu',
]);

/** What an option stands for in a PUSH_REPLY, where it has another name. */
const PUSHED_AS: Readonly<Record<string, readonly string[]>> = { keepalive: ['ping', 'ping-restart'] };

/**
 * The outcome of an update: the options that hold from now on, as a PUSH_REPLY would have brought them. Not ok: the connection must
 * begin anew.
 */
export type UpdatedOptions =
  | {
      readonly ok: true;
      readonly options: readonly string[];
      /** Those of them that the update has brought. */
      readonly brought: readonly string[];
      readonly log: readonly string[];
    }
  | { readonly ok: false; readonly reason: string; readonly log: readonly string[] };

/**
 * Applies a PUSH_UPDATE, all its parts joined, to what was pushed before. `-name` removes an option, `?name` and `-?name` are skipped
 * when they may not be updated. The first time that an update sets an option, its old values go. Never throws.
 * OpenVPN 2.7: process_push_update(), apply_push_options().
 *
 * @param pushed the options that hold, one each, without `PUSH_REPLY`
 * @param update the options of the update, without `PUSH_UPDATE`
 * @param filters `pull-filter`, in order: what they ignore changes nothing, what they reject refuses the update
 */
export function applyPushUpdate(
  pushed: readonly string[],
  update: readonly string[],
  filters: readonly PullFilter[] = [],
): UpdatedOptions {
  let options = [...pushed];
  const brought: string[] = [];
  const log: string[] = [];
  const replaced = new Set<string>();
  for (const written of update) {
    const text = written.trim();
    if (text === '') continue;
    if (text.startsWith('?-'))
      return { ok: false, reason: `PUSH_UPDATE: '${printable(text)}': '?-' is not allowed, write '-?'`, log };
    const removes = text.startsWith('-');
    const optional = text.startsWith('?', removes ? 1 : 0);
    const option = text.slice((removes ? 1 : 0) + (optional ? 1 : 0));
    const name = nameOf(option);
    const filtered = filterPulled(option, filters);
    if (filtered?.action === 'reject') return { ok: false, reason: filtered.line, log };
    if (filtered !== undefined) log.push(filtered.line);
    if (filtered?.action === 'ignore') continue;
    if (!UPDATABLE.has(name)) {
      const reason = `PUSH_UPDATE: option '${printable(name)}' cannot be updated`;
      if (!optional) return { ok: false, reason, log };
      log.push(`${reason}, ignored`);
      continue;
    }
    if (name === 'push-continuation') continue;
    if (removes || !replaced.has(name)) {
      const gone = PUSHED_AS[name] ?? [name];
      const stays = (old: string): boolean => !gone.includes(nameOf(old));
      options = options.filter(stays);
      if (removes) brought.splice(0, brought.length, ...brought.filter(stays));
    }
    if (removes) continue;
    replaced.add(name);
    brought.push(...asPushed(name, option));
  }
  return { ok: true, options: [...options, ...brought], brought, log };
}

function nameOf(option: string): string {
  return option.trim().split(/\s/, 1)[0] ?? '';
}

function asPushed(name: string, option: string): readonly string[] {
  if (name !== 'keepalive') return [option];
  const [, interval = '', timeout = ''] = option.split(/\s+/);
  return [`ping ${interval}`, `ping-restart ${timeout}`];
}
