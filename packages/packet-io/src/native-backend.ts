import type { AeadBackend, AeadKeyHandle, AeadKeyOptions } from '@openvpnd/data-channel';
import type { PacketVector } from '@openvpnd/memory';
import { nativeAddon } from './native-addon.js';
import { registeredVector } from './registered-vector.js';

/**
 * Who does the arithmetic: `evp` is the OpenSSL of the node binary; `libipsec-mb` is Intel's multi-buffer library, several times as fast for small packets,
 * if it is installed in a version that is known and passes its self-test against EVP; `best` takes it when it does, and EVP otherwise.
 */
export type AeadChoice = 'best' | 'evp' | 'libipsec-mb';

/**
 * An AEAD backend that seals and opens a whole vector in one native call, super-packets too. One process needs one: every backend that this returns works on the
 * same table of keys. Its `name` says who does the arithmetic: `evp`, `libipsec-mb 1.3.0`.
 *
 * @throws Error with code ERR_PACKET_IO_MISSING when the addon is not available, or ERR_AEAD_UNSUPPORTED when `libipsec-mb` is demanded and cannot be used
 */
export function nativeBackend(choice: AeadChoice = 'evp'): AeadBackend {
  const addon = nativeAddon();
  const { text, usable } = choice === 'evp' ? { text: '', usable: false } : addon.multiBuffer();
  if (choice === 'libipsec-mb' && !usable) throw unsupported(text);
  // Looked up once: an object with so many functions is a dictionary.
  const { sealBatch, openBatch } = addon;
  return {
    name: usable ? text : 'evp',
    sealsSuperPackets: true,
    installKey(options: AeadKeyOptions): AeadKeyHandle {
      const { cipher, key, implicitIv, prefix, direction, layout } = options;
      const isEpoch = layout === 'epoch';
      const handle = addon.installKey(cipher, key, implicitIv, prefix, direction === 'seal', isEpoch, usable);
      if (handle < 0) throw unsupported(`the OpenSSL of this node has no cipher ${cipher}`);
      return handle;
    },
    retireKey(handle: AeadKeyHandle): void {
      addon.retireKey(handle);
    },
    sealBatch(vector: PacketVector): void {
      sealBatch(registeredVector(vector), vector.count);
    },
    openBatch(vector: PacketVector): void {
      openBatch(registeredVector(vector), vector.count);
    },
  };
}

function unsupported(message: string): Error {
  return Object.assign(new Error(message), { code: 'ERR_AEAD_UNSUPPORTED' });
}
