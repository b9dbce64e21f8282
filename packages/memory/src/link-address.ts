/**
 * A transport address together with the link it belongs to, as eight 32-bit words, so that rows of a vector can
 * carry, compare and hash it without an allocation:
 *
 * | word | content |
 * |---|---|
 * | 0 | family: 4, 6, or 0 for no address |
 * | 1 | port |
 * | 2–5 | the address in network order, most significant word first; IPv4 in word 2, the others zero |
 * | 6 | IPv6 scope id |
 * | 7 | id of the link (a socket) |
 */
export type LinkAddress = Uint32Array;

export const ADDRESS_WORDS = 8;
export const ADDRESS_FAMILY = 0;
export const ADDRESS_PORT = 1;
export const ADDRESS_HOST = 2;
export const ADDRESS_SCOPE = 6;
export const ADDRESS_LINK = 7;
