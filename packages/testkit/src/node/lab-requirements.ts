import { spawnSync } from 'node:child_process';
import { accessSync, closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where Debian and others keep `ip` and `openvpn`; not on everybody's PATH. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Packages of Debian and Fedora that bring a tool, for the advice. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  ping: 'iputils-ping',
  openvpn: 'openvpn',
  openssl: 'openssl',
  iperf3: 'iperf3',
  ethtool: 'ethtool',
  tcpdump: 'tcpdump',
  tinyproxy: 'tinyproxy-bin',
  microsocks: 'microsocks',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
};

/** The full path of a program, looked for on PATH and in the system directories; undefined when there is none. */
export function findTool(name: string): string | undefined {
  for (const directory of [...(process.env.PATH ?? '').split(delimiter), ...SYSTEM_DIRECTORIES]) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

/** Puts the system directories on this process's PATH, which its children inherit. */
export function addSystemDirectoriesToPath(): void {
  const present = (process.env.PATH ?? '').split(delimiter);
  const missing = SYSTEM_DIRECTORIES.filter((directory) => !present.includes(directory));
  process.env.PATH = [...present, ...missing].join(delimiter);
}

/**
 * What this machine lacks for a `Lab` with TUN devices and these tools besides, as one or two sentences that say what is missing
 * and how to cure it; undefined when nothing is.
 */
export function missingForLab(...tools: string[]): string | undefined {
  if (process.platform !== 'linux') return `Network namespaces need Linux; this is ${process.platform}.`;
  for (const tool of ['unshare', 'nsenter', 'setpriv', 'ip', ...tools]) {
    if (findTool(tool) === undefined) return `\`${tool}\` is missing: install the package ${PACKAGES[tool] ?? tool}.`;
  }
  return missingForTun() ?? missingForNamespaces();
}

/** As {@link missingForLab}, for /dev/net/tun alone. */
export function missingForTun(): string | undefined {
  const device = '/dev/net/tun';
  if (!existsSync(device)) {
    return `${device} is missing. As root: modprobe tun; if that does not help (a container): mkdir -p /dev/net && mknod ${device} c 10 200 && chmod 666 ${device}. For Docker: --device ${device}.`;
  }
  try {
    closeSync(openSync(device, 'r+'));
    return undefined;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EACCES')
      return `${device} may not be opened by this user. As root: chmod 666 ${device}; or run this as root.`;
    if (code === 'ENODEV' || code === 'ENXIO') return `${device} has no driver behind it. As root: modprobe tun.`;
    return `${device} cannot be opened (${code}). In a container it must be allowed: for Docker --device ${device}.`;
  }
}

/**
 * What this machine lacks for a lab as an ordinary user, who has to become root of a user namespace first
 * (`unshare --user --map-root-user --net --mount`); undefined when nothing is missing up to there.
 */
export function missingForUserNamespace(): string | undefined {
  if (process.platform !== 'linux') return `Network namespaces need Linux; this is ${process.platform}.`;
  if (findTool('unshare') === undefined) return '`unshare` is missing: install the package util-linux.';
  const missingTun = missingForTun();
  if (missingTun !== undefined) return missingTun;
  const attempt = spawnSync('unshare', ['--user', '--map-root-user', '--net', '--mount', 'true'], { encoding: 'utf8' });
  if (attempt.status === 0) return undefined;
  const cures = Object.entries(USER_NAMESPACE_SWITCHES)
    .filter(([file, { off }]) => readSwitch(file) === off)
    .map(([file, { cure }]) => `sysctl -w ${file.slice('/proc/sys/'.length).replaceAll('/', '.')}=${cure}`);
  const cure = cures.length > 0 ? `As root: ${cures.join(' && ')}; or run this as root.` : 'Run this as root.';
  return `User namespaces are not allowed here (${(attempt.stderr ?? '').trim()}). ${cure}`;
}

/** Where distributions switch user namespaces off for ordinary users. */
const USER_NAMESPACE_SWITCHES: Readonly<Record<string, { readonly off: string; readonly cure: string }>> = {
  '/proc/sys/kernel/unprivileged_userns_clone': { off: '0', cure: '1' },
  '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': { off: '1', cure: '0' },
  '/proc/sys/user/max_user_namespaces': { off: '0', cure: '15000' },
};

function readSwitch(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function missingForNamespaces(): string | undefined {
  const attempt = spawnSync('unshare', ['--net', 'true'], { encoding: 'utf8' });
  if (attempt.status === 0) return undefined;
  const reason = (attempt.stderr ?? '').trim();
  if (process.getuid?.() !== 0) return `Network namespaces need root or a user namespace (${reason}).`;
  return `Network namespaces cannot be made here (${reason}). In Docker: --cap-add NET_ADMIN --cap-add SYS_ADMIN --security-opt seccomp=unconfined.`;
}

/**
 * For a test file that needs a lab: true when everything is there. Otherwise it prints why and gives false, for `describe.skipIf`;
 * with OPENVPND_REQUIRE_TOOLS=1 it throws instead, which fails the file.
 */
export function labReady(...tools: string[]): boolean {
  addSystemDirectoriesToPath();
  const missing = missingForLab(...tools);
  if (missing === undefined) return true;
  if (process.env.OPENVPND_REQUIRE_TOOLS === '1') throw new Error(missing);
  process.stderr.write(`skipped: ${missing}\n`);
  return false;
}
