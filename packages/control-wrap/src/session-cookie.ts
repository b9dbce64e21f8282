import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Instant, type Random, Secret } from '@openvpnd/sans-io';
import { SESSION_ID_BYTES } from '@openvpnd/wire';

/** Slots before the current one in which a cookie is still good. */
const PAST_SLOTS = 2;
/** Words of a LinkAddress. */
const ADDRESS_WORDS = 8;

/**
 * Session ids that a server can recognise without having kept them: a keyed hash over a time slot, the client's address
 * and port, and the client's session id. Only the server that made one can check it. OpenVPN: calculate_session_id_hmac(),
 * check_session_hmac_and_pkt_id().
 */
export class SessionCookies {
  readonly #key: Secret;
  readonly #slotMs: number;

  /** @param options.handshakeWindowSeconds of `--hand-window`: a cookie is good for between one and one and a half of it */
  constructor(options: { readonly random: Random; readonly handshakeWindowSeconds: number }) {
    const bytes = new Uint8Array(32);
    options.random.fill(bytes);
    this.#key = new Secret(bytes);
    bytes.fill(0);
    this.#slotMs = Math.max(1, Math.floor((options.handshakeWindowSeconds + 1) / 2)) * 1000;
  }

  /** The cookie for a client that speaks now: 8 bytes, owned by the caller. */
  make(now: Instant, address: Uint32Array, clientSessionId: Uint8Array): Uint8Array {
    return this.#compute(this.slotOf(now), address, clientSessionId);
  }

  /** Tells whether this server made the cookie for that client, in this slot or one of the two before. In constant time. */
  check(now: Instant, address: Uint32Array, clientSessionId: Uint8Array, cookie: Uint8Array): boolean {
    if (cookie.length !== SESSION_ID_BYTES) return false;
    const slot = this.slotOf(now);
    let good = false;
    for (let age = 0; age <= PAST_SLOTS; age++) {
      // Every slot is computed: which one matched shall not show.
      if (timingSafeEqual(this.#compute(slot - age, address, clientSessionId), cookie)) good = true;
    }
    return good;
  }

  /** The time slot of an instant. */
  slotOf(now: Instant): number {
    return Math.floor(now / this.#slotMs);
  }

  #compute(slot: number, address: Uint32Array, clientSessionId: Uint8Array): Uint8Array {
    const message = new Uint8Array(8 + 4 * ADDRESS_WORDS + SESSION_ID_BYTES);
    const view = new DataView(message.buffer);
    view.setFloat64(0, slot);
    for (let i = 0; i < ADDRESS_WORDS; i++) view.setUint32(8 + 4 * i, address[i]!);
    message.set(clientSessionId, 8 + 4 * ADDRESS_WORDS);
    return createHmac('sha256', this.#key.bytes).update(message).digest().subarray(0, SESSION_ID_BYTES);
  }
}
