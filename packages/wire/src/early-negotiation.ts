import { accepted, type Parsed, refused } from './parsed.js';

const TLV_FLAGS = 0x0001;
const FLAG_RESEND_WKC = 0x0001;

/** What the payload of a hard reset announces. OpenVPN: doc/tls-crypt-v2.txt, early negotiation. */
export interface EarlyNegotiation {
  /** The server asks for the wrapped client key once more, on message id 1 as P_CONTROL_WKC_V1. */
  readonly resendWkc: boolean;
}

/**
 * Parses the payload of a hard reset: a row of `u16 type, u16 length, value`. An empty payload is the usual case.
 * Unknown types are skipped. OpenVPN: parse_early_negotiation_tlvs().
 */
export function parseEarlyNegotiation(payload: Uint8Array): Parsed<EarlyNegotiation> {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  let offset = 0;
  let resendWkc = false;
  while (offset < payload.length) {
    if (payload.length - offset < 4) return refused('early negotiation: header cut short');
    const type = view.getUint16(offset);
    const length = view.getUint16(offset + 2);
    offset += 4;
    if (length > payload.length - offset) return refused('early negotiation: length beyond the packet');
    if (type === TLV_FLAGS) {
      if (length !== 2) return refused('early negotiation: flags of a wrong length');
      if (view.getUint16(offset) & FLAG_RESEND_WKC) resendWkc = true;
    }
    offset += length;
  }
  return accepted({ resendWkc });
}

/** Writes the payload of a hard reset. Nothing to announce is an empty payload. */
export function emitEarlyNegotiation(announced: EarlyNegotiation): Uint8Array {
  return announced.resendWkc ? Uint8Array.of(0, TLV_FLAGS, 0, 2, 0, FLAG_RESEND_WKC) : new Uint8Array(0);
}
