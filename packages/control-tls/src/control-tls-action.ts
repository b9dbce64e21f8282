import type { TlsEvent } from './ports.js';

/** What a {@link ControlTls} wants done, in this order. */
export type ControlTlsAction =
  /** A whole packet for the peer, wrapped. Owned by the taker. It is never the same bytes twice: a retransmission is wrapped anew. */
  | { readonly type: 'send'; readonly packet: Uint8Array }
  /** Our side of the TLS handshake is done and the peer's chain is verified. */
  | Extract<TlsEvent, { type: 'secure' }>
  /** One TLS record of the peer. Owned by the taker. */
  | Extract<TlsEvent, { type: 'plaintext' }>
  /** The peer ended TLS in order. Nothing can be sent any more. */
  | Extract<TlsEvent, { type: 'closed' }>
  /** TLS or the start of the session failed; comes last and once. */
  | Extract<TlsEvent, { type: 'failed' }>;

/** Why a packet was dropped without an acknowledgement. */
export type ControlTlsDrop =
  /** The packet belongs to another key state. */
  | 'key-id'
  /** It comes from another session, or from an unknown one and is no hard reset. */
  | 'session-id'
  /** Its acknowledgements are for another session of ours. */
  | 'ack-session-id'
  /** A reset that only our own side may send, or a wrapped client key sent to a client. */
  | 'direction'
  /** A reset whose message id is not 0. */
  | 'reset-message-id'
  /** The message lies beyond the receive window. Its acknowledgements were used. */
  | 'out-of-window';
