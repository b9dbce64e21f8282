import type { PacketVector } from '@openvpnd/memory';
import { type NativeIndex, nativeAddon } from './native-addon.js';

const forgotten = new FinalizationRegistry<NativeIndex>((index) => nativeAddon().forgetVector(index));

/**
 * The index under which the addon knows a vector. Registers it at its first use; the addon keeps its arrays alive until the
 * vector itself is collected.
 */
export function registeredVector(vector: PacketVector): NativeIndex {
  return vector.nativeIndex >= 0 ? vector.nativeIndex : register(vector);
}

function register(vector: PacketVector): NativeIndex {
  const { bytes, table, addresses, capacity, headroom, packetBytes, strideBytes } = vector;
  const index = nativeAddon().registerVector(bytes, table, addresses, capacity, headroom, packetBytes, strideBytes);
  vector.nativeIndex = index;
  forgotten.register(vector, index);
  return index;
}
