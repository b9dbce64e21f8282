import { FATE_SEAL, type PacketVector } from '@openvpnd/memory';

/**
 * Notes the traffic class (TOS) of each inner packet that is to be sealed, so that the packet that carries it gets the same. Whoever looks along the way
 * sees it then. OpenVPN: --passtos, process_ip_header().
 */
export function noteTrafficClass(vector: PacketVector): void {
  const { bytes, count, fate, length, offset, trafficClass } = vector;
  for (let row = 0; row < count; row += 1) {
    if (fate[row] !== FATE_SEAL || length[row] < 2) continue;
    const first = bytes[offset[row]];
    const second = bytes[offset[row] + 1];
    const version = first >> 4;
    if (version === 4) trafficClass[row] = second;
    else if (version === 6) trafficClass[row] = ((first << 4) | (second >> 4)) & 0xff;
  }
}
