import type { OptionSpec, Permission } from './option-spec.js';

/**
 * Where a statement stands: a configuration file or the command line; inside `<connection>`; inside `<listen>`; in the options of one
 * client (client-config-dir); in a PUSH_REPLY; in a PUSH_REPLY while `route-nopull` is set.
 */
export type Context = 'file' | 'connection' | 'listen' | 'instance' | 'pushed' | 'pushed-nopull';

const NOT_IN_FILES: ReadonlySet<Permission> = new Set<Permission>([
  'INSTANCE',
  'PULL_MODE',
  'INLINE',
  'CONNECTION',
  'LISTEN',
]);

/** OpenVPN: CLIENT_CONNECT_OPT_MASK. */
const INSTANCE: ReadonlySet<Permission> = new Set<Permission>([
  'INSTANCE',
  'INHERIT',
  'PUSH',
  'TIMER',
  'CONFIG',
  'ECHO',
  'COMP',
  'SOCKFLAGS',
]);

/** OpenVPN: pull_permission_mask() without ROUTE and DHCPDNS. */
const PUSHED_NOPULL: ReadonlySet<Permission> = new Set<Permission>([
  'UP',
  'ROUTE_EXTRAS',
  'SOCKBUF',
  'SOCKFLAGS',
  'SETENV',
  'SHAPER',
  'TIMER',
  'COMP',
  'PERSIST',
  'MESSAGES',
  'EXPLICIT_NOTIFY',
  'ECHO',
  'PULL_MODE',
  'PEER_ID',
  'NCP',
  'PUSH_MTU',
]);

const PUSHED: ReadonlySet<Permission> = new Set<Permission>([...PUSHED_NOPULL, 'ROUTE', 'DHCPDNS']);

/** Whether an option may stand in a context. */
export function isAllowedIn(spec: OptionSpec, context: Context): boolean {
  return spec.permissions.some((permission) => opens(permission, context));
}

/** Whether an option may be given as `<name>…</name>`. */
export function mayBeInline(spec: OptionSpec): boolean {
  return spec.permissions.includes('INLINE');
}

function opens(permission: Permission, context: Context): boolean {
  switch (context) {
    case 'file':
      return !NOT_IN_FILES.has(permission);
    case 'connection':
      return permission === 'CONNECTION';
    case 'listen':
      return permission === 'LISTEN';
    case 'instance':
      return INSTANCE.has(permission);
    case 'pushed':
      return PUSHED.has(permission);
    case 'pushed-nopull':
      return PUSHED_NOPULL.has(permission);
  }
}
