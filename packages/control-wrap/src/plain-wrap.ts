import { accepted, copyOf } from '@openvpnd/wire';
import type { ControlWrap, ControlWrapFactory } from './control-wrap.js';

/** No protection: packets go as they are. TLS alone protects what is inside them. */
export function plainWrap(): ControlWrap {
  return {
    name: 'none',
    overheadBytes: 0,
    wrappedKeyBytes: 0,
    fileKey: undefined,
    clientKey: undefined,
    wrap: (packet) => copyOf(packet),
    unwrap: (_now, bytes) => accepted(copyOf(bytes)),
    close() {},
  };
}

/** Makes {@link plainWrap} for each session. */
export function plainWraps(): ControlWrapFactory {
  return { name: 'none', create: () => plainWrap() };
}
