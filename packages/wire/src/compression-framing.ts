/** comp-lzo framing: an uncompressed payload follows. OpenVPN: NO_COMPRESS_BYTE. */
export const COMPRESS_LZO_NONE = 0xfa;
/** comp-lzo framing: an LZO1X block follows. OpenVPN: LZO_COMPRESS_BYTE. */
export const COMPRESS_LZO = 0x66;
/** Framing with swap, uncompressed: the payload's first byte stands at the end. OpenVPN: NO_COMPRESS_BYTE_SWAP. */
export const COMPRESS_NONE_SWAP = 0xfb;
/** Framing with swap: an LZ4 block whose first byte stands at the end. OpenVPN: LZ4_COMPRESS_BYTE. */
export const COMPRESS_LZ4_SWAP = 0x69;
/** First byte of a v2 header; a payload that begins with any other byte has no header. OpenVPN: COMP_ALGV2_INDICATOR_BYTE. */
export const COMPRESS_V2_INDICATOR = 0x50;
/** Second byte of a v2 header: the payload follows as it is. */
export const COMPRESS_V2_NONE = 0x00;
/** What OpenVPN 2.4 to 2.8 write by mistake where {@link COMPRESS_V2_NONE} is meant: accept it, never send it. */
export const COMPRESS_V2_NONE_MISTAKEN = 0x0a;
/** Second byte of a v2 header: an LZ4 block follows. */
export const COMPRESS_V2_LZ4 = 0x01;
/** Bytes of a v2 header. */
export const COMPRESS_V2_HEADER_BYTES = 2;
