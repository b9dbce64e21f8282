import { expect, test } from 'vitest';
import { moduleFault, moduleLoaded } from '../src/link/module-faults.js';

function thrownAt(...files: readonly string[]): Error {
  const error = new TypeError('x is not a function');
  error.stack = ['TypeError: x is not a function', ...files.map((file) => `    at f (${file}:1:2)`)].join('\n');
  return error;
}

test('what breaks in a module of --transport is the module’s; what does not is nobody’s but ours', () => {
  expect(moduleFault('text')).toBeUndefined();
  expect(moduleFault(thrownAt('file:///etc/vpn/mine.mjs'))).toBeUndefined();
  moduleLoaded('./mine.mjs', 'file:///etc/vpn/mine.mjs');
  moduleLoaded('their-transport', 'file:///lib/node_modules/their-transport/dist/index.js');
  const said = (module: string, reason: string): string =>
    `--transport ${module}: the module broke in a callback of its own: ${reason} (mend the module, or go without it)`;
  const reason = 'x is not a function';
  expect(moduleFault(thrownAt('node:timers', 'file:///etc/vpn/mine.mjs'))).toBe(said('./mine.mjs', reason));
  // What we do with what it gave us.
  expect(moduleFault(thrownAt('file:///lib/openvpnd/dist/a.js', 'file:///etc/vpn/part.mjs'))).toBe(
    said('./mine.mjs', reason),
  );
  expect(moduleFault(thrownAt('file:///lib/node_modules/their-transport/dist/b.js'))).toBe(
    said('their-transport', reason),
  );
  expect(moduleFault('text')).toBe(said('./mine.mjs or their-transport', 'text'));
  expect(moduleFault(undefined)).toBe(said('./mine.mjs or their-transport', 'undefined'));
  expect(moduleFault(thrownAt('file:///lib/openvpnd/dist/a.js'))).toBeUndefined();
  // The daemon may be installed below the folder of a module.
  expect(moduleFault(thrownAt('file:///etc/vpn/node_modules/openvpnd/dist/a.js'))).toBeUndefined();
});
