/**
 * The half of control-wrap's `ControlWrap` that a key state needs: how a plain control packet becomes the one on the wire.
 * One instance serves all key states of a session.
 */
export interface PacketWrap {
  /** `none`, `tls-auth`, `tls-crypt` … */
  readonly name: string;
  /** Bytes that wrapping adds, a wrapped client key not counted. */
  readonly overheadBytes: number;
  /** Wraps an emitted plain control packet; each call takes a new packet id. The caller owns the result. */
  wrap(packet: Uint8Array): Uint8Array;
}
