import type { DataChannel } from '@openvpnd/data-channel';
import type { ExternalMux } from '@openvpnd/external-mux';
import type { InternalMux } from '@openvpnd/internal-mux';
import type { LinkAddress } from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';
import type { TunnelAction } from '../tunnel-action.js';
import type { EndableTunnel } from '../tunnel-driver.js';
import type { ClientTraffic } from './statistics.js';

/** A tunnel with one peer, a server or the other of two points: what runs a connection has to know of it. */
export interface PeerTunnel extends EndableTunnel {
  /** Sends the first packet, or waits for that of the peer. Call once, before anything else. */
  start(now: Instant): readonly TunnelAction[];
  /** What was sent and received so far, for --status. */
  readonly traffic: ClientTraffic;
  /** Where the peer is or was looked for last; undefined while nobody knows. A copy. */
  readonly peerAddress: LinkAddress | undefined;
  /** Frees keys and sessions. Idempotent. */
  close(): void;
}

/** A tunnel with one peer, and those of its modules that others ask for their counters. */
export interface ComposedPeer {
  readonly tunnel: PeerTunnel;
  readonly mux: ExternalMux;
  readonly internalMux: InternalMux;
  readonly dataChannel: DataChannel;
}
