import './native-build.js';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { nativeBackend } from '../src/index.js';
import { nativeAddon } from '../src/native-addon.js';

const { text, usable } = nativeAddon().multiBuffer();
const required = process.env.OPENVPND_REQUIRE_TOOLS === '1' && process.arch === 'x64';
const ADDON = fileURLToPath(new URL(`../build/${process.platform}-${process.arch}/packet_io.node`, import.meta.url));

/** Where the loader finds a library; undefined: nowhere. */
function installed(name: string): string | undefined {
  const { stdout } = spawnSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' });
  return new RegExp(`${name.replaceAll('.', String.raw`\.`)} .*=> (/\\S+)`).exec(stdout ?? '')?.[1];
}

/** What a process says of the library that finds `content` in its place. */
function withLibrary(library: string, content: string): ReturnType<typeof spawnSync> {
  const unshare =
    process.getuid?.() === 0 ? ['unshare', '--mount'] : ['unshare', '--user', '--map-root-user', '--mount'];
  const ask = `const { multiBuffer } = require(${JSON.stringify(ADDON)}); console.log(JSON.stringify(multiBuffer()));`;
  const script = 'mount --bind "$1" "$(readlink -f "$0")" && exec "$2" -e "$3"';
  const args = [...unshare.slice(1), 'sh', '-c', script, library, content, process.execPath, ask];
  return spawnSync(unshare[0], args, { encoding: 'utf8' });
}

describe('libipsec-mb', () => {
  it.skipIf(!required)('is there for the tests', () => expect(text).not.toBe('libipsec-mb is not installed'));

  it('is the best when it works, and EVP otherwise', () => {
    expect(nativeBackend('best').name).toBe(usable ? text : 'evp');
    expect(nativeBackend('evp').name).toBe('evp');
    if (usable) {
      expect(nativeBackend('libipsec-mb').name).toMatch(/^libipsec-mb \d+\.\d+\.\d+$/);
    } else {
      expect(() => nativeBackend('libipsec-mb')).toThrow(
        expect.objectContaining({ code: 'ERR_AEAD_UNSUPPORTED', message: text }),
      );
    }
  });

  it('is not used where it is missing or another library stands in its place', ({ skip }) => {
    const library = installed('libIPSec_MB.so.1');
    if (library === undefined) skip('it is not installed: the other tests run without it');
    const other = installed('libm.so.6');
    for (const [content, reason] of [
      ['/dev/null', 'libipsec-mb is not installed'],
      [other ?? '/dev/null', other === undefined ? 'libipsec-mb is not installed' : 'libipsec-mb is too old'],
    ]) {
      const asked = withLibrary(library ?? '', content);
      if (asked.status !== 0 && !required) skip(`no namespace to hide it in: ${asked.stderr}`);
      expect({ status: asked.status, stderr: asked.stderr }).toEqual({ status: 0, stderr: '' });
      expect(JSON.parse(String(asked.stdout))).toEqual({ text: reason, usable: false });
    }
  });
});
