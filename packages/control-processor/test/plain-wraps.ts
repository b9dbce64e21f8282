import type { ControlWrapFactory } from '../src/borrowed.js';

export function plainWraps(): ControlWrapFactory {
  return {
    name: 'none',
    create: () => ({
      name: 'none',
      overheadBytes: 0,
      wrappedKeyBytes: 0,
      wrap: (packet) => packet.slice(),
      unwrap: (_now, bytes) => ({ ok: true, value: bytes.slice() }),
    }),
  };
}
