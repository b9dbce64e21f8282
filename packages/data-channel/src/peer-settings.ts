import type { CompressionSetting } from './compression-framing.js';
import type { ReplayWindowOptions } from './replay-window.js';

/** What the options say about one peer's data channel. Everything that is missing is off, or has OpenVPN's default. */
export interface PeerSettings {
  /** `--ping`: a keep-alive is sent when nothing was for this long. */
  readonly pingMs?: number;
  /** `--ping-restart`, `--ping-exit`: what to signal when nothing authentic came for `ms`. The later of the two options counts. */
  readonly silence?: { readonly ms: number; readonly signal: 'ping-restart' | 'ping-exit' };
  /** `--inactive`: signal when fewer than `bytes` of payload (both ways together) passed for `ms`; 0 bytes: none at all. */
  readonly inactive?: { readonly ms: number; readonly bytes: number };
  /** `--replay-window`; for keys that are installed later. */
  readonly replayWindow?: ReplayWindowOptions;
  /** `--reneg-bytes`: of both directions, as they are on the wire. */
  readonly renegotiateBytes?: number;
  /** `--reneg-pkts`: of both directions. */
  readonly renegotiatePackets?: number;
  /** `--comp-lzo`, `--compress`. */
  readonly compression?: CompressionSetting;
  /** `--fragment`: the longest part that is sent, without its header; keygen's `fragmentPartOf()` works it out. */
  readonly fragment?: { readonly partBytes: number };
}
