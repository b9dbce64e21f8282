import type { ControlWrap } from '@openvpnd/control-wrap';

/** The half of a ControlWrap that a key state needs: it sends, and what arrives was unwrapped before. */
export type PacketWrap = Pick<ControlWrap, 'name' | 'overheadBytes' | 'wrap'>;
