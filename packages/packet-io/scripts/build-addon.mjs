// Builds build/<platform>-<arch>/packet_io.node with the C compiler alone. No node-gyp: a binding.gyp would make pnpm
// run it by itself. CC and CFLAGS are respected; nothing is done when neither sources nor flags have changed.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import nodeApiHeaders from 'node-api-headers';

const root = fileURLToPath(new URL('..', import.meta.url));
const native = join(root, 'native');
const out = join(root, 'build', `${process.platform}-${process.arch}`);
const target = join(out, 'packet_io.node');
const stamp = join(out, 'stamp');

function fail(message) {
  console.error(`packet-io: ${message}`);
  process.exit(1);
}

if (process.platform !== 'linux') {
  console.log(`packet-io: the native addon is for Linux; nothing to build on ${process.platform}`);
  process.exit(0);
}

const { include_dir: headers } = nodeApiHeaders;
const compiler = (process.env.CC ?? 'cc').split(/\s+/).filter(Boolean);
const flags = [
  ...['-std=gnu11', '-O2', '-g', '-fPIC', '-shared', '-fvisibility=hidden', '-fstack-protector-strong'],
  ...['-Wall', '-Wextra', '-DNAPI_VERSION=8', '-Wl,-z,relro,-z,now'],
  ...(process.env.CFLAGS ?? '').split(/\s+/).filter(Boolean),
];
const files = readdirSync(native)
  .filter((name) => /\.[ch]$/.test(name))
  .sort();
const hash = createHash('sha256').update(JSON.stringify([compiler, flags]));
for (const name of files) hash.update(`\0${name}\0`).update(readFileSync(join(native, name)));
hash.update(readFileSync(join(dirname(headers), 'package.json')));
const wanted = hash.digest('hex');

if (existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) process.exit(0);

mkdirSync(out, { recursive: true });
// Beside the target and renamed at the end: another build, or a process that has the old one loaded, is not disturbed.
const fresh = join(out, `packet_io.${process.pid}.node`);
const sources = files.filter((name) => name.endsWith('.c')).map((name) => join(native, name));
const [command, ...first] = compiler;
const result = spawnSync(command, [...first, ...flags, `-I${headers}`, '-o', fresh, ...sources], { stdio: 'inherit' });
if (result.error?.code === 'ENOENT') {
  fail(
    `no C compiler: '${command}' was not found. Install gcc or clang (Debian: apt-get install gcc), or name one in CC.`,
  );
}
if (result.status !== 0) {
  rmSync(fresh, { force: true });
  fail(`'${command}' could not compile the addon (see above)`);
}
renameSync(fresh, target);
writeFileSync(stamp, wanted);
