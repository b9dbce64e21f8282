import type { PeerCounters } from '@openvpnd/data-channel';
import { type DataPacketShape, payloadWithin, sealedBytesOf } from '@openvpnd/keygen';
import { OCC_MAGIC, type OccMessage } from '@openvpnd/wire';

/** What the answers to a peer's OCC messages are made of. */
export interface OccFacts {
  readonly optionsString: string;
  /** --tun-mtu: no load is larger than what a packet of that size becomes. */
  readonly tunMtu: number;
  /** Undefined before there is a key. */
  readonly shape: DataPacketShape | undefined;
  readonly counters: Pick<PeerCounters, 'largestReceived' | 'largestSent'>;
}

/** Magic and opcode. */
const OCC_HEADER_BYTES = OCC_MAGIC.length + 1;

/** The answer to an OCC message of the peer; undefined when it asks for nothing. OpenVPN: process_received_occ_msg(). */
export function occAnswer(message: OccMessage, facts: OccFacts): OccMessage | undefined {
  switch (message.type) {
    case 'REQUEST':
      return { type: 'REPLY', optionsString: facts.optionsString };
    case 'MTU_LOAD_REQUEST':
      return facts.shape && mtuLoad(message.bytes, facts.tunMtu, facts.shape);
    case 'MTU_REQUEST':
      return {
        type: 'MTU_REPLY',
        largestReceived: Math.min(facts.counters.largestReceived, 0xffff),
        largestSent: Math.min(facts.counters.largestSent, 0xffff),
      };
    case 'REPLY':
    case 'MTU_LOAD':
    case 'MTU_REPLY':
    case 'EXIT':
      return undefined;
  }
}

/** A load that makes a packet of `bytes` for the UDP socket, as near from below as the format can, and never of more than a full packet. */
export function mtuLoad(bytes: number, tunMtu: number, shape: DataPacketShape): OccMessage {
  const most = Math.min(bytes, sealedBytesOf(tunMtu, shape));
  return { type: 'MTU_LOAD', fillerBytes: Math.max(0, payloadWithin(most, shape) - OCC_HEADER_BYTES) };
}
