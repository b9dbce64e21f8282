import { nativeAddon } from './native-addon.js';

/** The number of a user of this system; undefined when there is none of that name. */
export function findUser(name: string): number | undefined {
  const number = nativeAddon().findUser(name);
  return number < 0 ? undefined : number;
}

/** The number of a group of this system; undefined when there is none of that name. */
export function findGroup(name: string): number | undefined {
  const number = nativeAddon().findGroup(name);
  return number < 0 ? undefined : number;
}

/** The main thread has CAP_NET_ADMIN and nothing else, since {@link changeUser}. */
let confined = false;

/**
 * Becomes another user and group for good, without any supplementary group. The main thread keeps CAP_NET_ADMIN where it had it, so that devices and routes can still be
 * changed; other threads keep nothing. OpenVPN: platform_user_group_set().
 *
 * @returns whether CAP_NET_ADMIN was kept
 * @throws the system's error when this process may not
 */
export function changeUser(uid: number | undefined, gid: number | undefined): boolean {
  const addon = nativeAddon();
  const asks = uid !== undefined && uid !== 0 && process.getuid?.() === 0;
  const keeps = asks && addon.keepCapabilities() === 0;
  process.setgroups?.(gid === undefined ? [] : [gid]);
  if (gid !== undefined) process.setgid?.(gid);
  if (uid !== undefined) process.setuid?.(uid);
  confined = keeps && addon.confineToNetAdmin() === 0;
  return confined;
}

/** Calls `start`, which starts a program, so that the program has CAP_NET_ADMIN if that was kept. Programs started elsewhere do not have it. */
export function withNetAdmin<T>(start: () => T): T {
  if (!confined) return start();
  const addon = nativeAddon();
  addon.passNetAdmin(true);
  try {
    return start();
  } finally {
    addon.passNetAdmin(false);
  }
}
