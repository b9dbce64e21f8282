import type { AeadBackend, AeadKeyHandle, AeadKeyOptions } from '@openvpnd/data-channel';
import type { PacketVector } from '@openvpnd/memory';
import { nativeAddon } from './native-addon.js';
import { registeredVector } from './registered-vector.js';

/**
 * An AEAD backend that seals and opens a whole vector in one native call, on the OpenSSL that is part of the node binary (EVP).
 * One process needs one: every backend that this returns works on the same table of keys.
 *
 * @throws Error with code ERR_PACKET_IO_MISSING when the addon is not available
 */
export function evpBackend(): AeadBackend {
  const addon = nativeAddon();
  return {
    name: 'evp',
    installKey(options: AeadKeyOptions): AeadKeyHandle {
      const { cipher, key, implicitIv, prefix, direction } = options;
      const handle = addon.installKey(cipher, key, implicitIv, prefix, direction === 'seal');
      if (handle < 0) {
        throw Object.assign(new Error(`the OpenSSL of this node has no cipher ${cipher}`), {
          code: 'ERR_AEAD_UNSUPPORTED',
        });
      }
      return handle;
    },
    retireKey(handle: AeadKeyHandle): void {
      addon.retireKey(handle);
    },
    sealBatch(vector: PacketVector): void {
      addon.sealBatch(registeredVector(vector), vector.count);
    },
    openBatch(vector: PacketVector): void {
      addon.openBatch(registeredVector(vector), vector.count);
    },
  };
}
