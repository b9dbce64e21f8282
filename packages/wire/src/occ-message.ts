import { accepted, type Parsed, refused } from './parsed.js';

/** What an options consistency check inside the data channel begins with. Do not write into it. OpenVPN: occ_magic. */
export const OCC_MAGIC: Uint8Array = Uint8Array.of(
  0x28,
  0x7f,
  0x34,
  0x6b,
  0xd4,
  0xef,
  0x7a,
  0x81,
  0x2d,
  0x56,
  0xb8,
  0xd3,
  0xaf,
  0xc5,
  0x45,
  0x9c,
);

/** A message of the options consistency check and its path MTU test. OpenVPN: occ.h. */
export type OccMessage =
  | { readonly type: 'REQUEST' }
  | { readonly type: 'REPLY'; readonly optionsString: string }
  /** Asks the peer to send a packet of `bytes` bytes. */
  | { readonly type: 'MTU_LOAD_REQUEST'; readonly bytes: number }
  /** `fillerBytes` zero bytes follow the opcode. */
  | { readonly type: 'MTU_LOAD'; readonly fillerBytes: number }
  | { readonly type: 'MTU_REQUEST' }
  /** Largest packet that the peer received and sent. */
  | { readonly type: 'MTU_REPLY'; readonly largestReceived: number; readonly largestSent: number }
  | { readonly type: 'EXIT' };

/** Tells whether the decrypted payload at `offset` is a message of the options consistency check. Allocates nothing. */
export function isOcc(bytes: Uint8Array, offset: number, length: number): boolean {
  if (length <= OCC_MAGIC.length) return false;
  for (let i = 0; i < OCC_MAGIC.length; i++) if (bytes[offset + i] !== OCC_MAGIC[i]) return false;
  return true;
}

/** Parses such a payload, magic included. */
export function parseOccMessage(bytes: Uint8Array): Parsed<OccMessage> {
  if (!isOcc(bytes, 0, bytes.length)) return refused('occ: no magic');
  const body = bytes.subarray(OCC_MAGIC.length + 1);
  const u16 = (offset: number): number => (body[offset]! << 8) | body[offset + 1]!;
  switch (bytes[OCC_MAGIC.length]) {
    case 0:
      return accepted({ type: 'REQUEST' });
    case 1: {
      const nul = body.indexOf(0);
      if (nul < 0) return refused('occ: reply without NUL');
      return accepted({ type: 'REPLY', optionsString: decoder.decode(body.subarray(0, nul)) });
    }
    case 2:
      return body.length < 2 ? refused('occ: cut short') : accepted({ type: 'MTU_LOAD_REQUEST', bytes: u16(0) });
    case 3:
      return accepted({ type: 'MTU_LOAD', fillerBytes: body.length });
    case 4:
      return accepted({ type: 'MTU_REQUEST' });
    case 5:
      if (body.length < 4) return refused('occ: cut short');
      return accepted({ type: 'MTU_REPLY', largestReceived: u16(0), largestSent: u16(2) });
    case 6:
      return accepted({ type: 'EXIT' });
    default:
      return refused('occ: unknown opcode');
  }
}

/** Writes such a payload, magic included. The caller owns the result. */
export function emitOccMessage(message: OccMessage): Uint8Array {
  switch (message.type) {
    case 'REQUEST':
      return withMagic(0, NOTHING);
    case 'REPLY': {
      const text = new TextEncoder().encode(message.optionsString);
      const body = new Uint8Array(text.length + 1);
      body.set(text);
      return withMagic(1, body);
    }
    case 'MTU_LOAD_REQUEST':
      return withMagic(2, Uint8Array.of(message.bytes >> 8, message.bytes));
    case 'MTU_LOAD':
      return withMagic(3, new Uint8Array(message.fillerBytes));
    case 'MTU_REQUEST':
      return withMagic(4, NOTHING);
    case 'MTU_REPLY': {
      const { largestReceived, largestSent } = message;
      return withMagic(5, Uint8Array.of(largestReceived >> 8, largestReceived, largestSent >> 8, largestSent));
    }
    case 'EXIT':
      return withMagic(6, NOTHING);
    default:
      return unreachable(message);
  }
}

const NOTHING = new Uint8Array(0);
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

function withMagic(opcode: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(OCC_MAGIC.length + 1 + body.length);
  bytes.set(OCC_MAGIC);
  bytes[OCC_MAGIC.length] = opcode;
  bytes.set(body, OCC_MAGIC.length + 1);
  return bytes;
}

function unreachable(message: never): never {
  throw new TypeError(`unexpected variant: ${JSON.stringify(message)}`);
}
