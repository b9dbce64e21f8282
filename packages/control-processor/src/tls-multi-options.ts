import type { TlsEngineFactory } from '@openvpnd/control-tls';
import type { ControlWrap, ControlWrapFactory } from '@openvpnd/control-wrap';
import type { Log, Random } from '@openvpnd/sans-io';
import type { ControlSettings, UnixTime } from './control-settings.js';

/** What the stateless handshake of a UDP server hands over when a peer has shown its cookie. The taker closes the wrap. */
export interface AcceptedSession {
  /** Our session id: the cookie. */
  readonly sessionId: Uint8Array;
  readonly peerSessionId: Uint8Array;
  /** The wrap that has opened the peer's packet and whose counter is past our reset. */
  readonly wrap: ControlWrap;
}

/** What a {@link TlsMulti} is made with. */
export interface TlsMultiOptions {
  /** The TLS role, which never changes: in p2p mode `tls-client` is the client. */
  readonly role: 'client' | 'server';
  /** `p2mp`: the client pulls, the server pushes. `p2p`: nothing is pushed. */
  readonly mode: 'p2mp' | 'p2p';
  readonly settings: ControlSettings;
  readonly engines: TlsEngineFactory;
  readonly wraps: ControlWrapFactory;
  /** For session ids, key exchange randoms and the jitter of --reneg-sec. */
  readonly random: Random;
  readonly unixTime: UnixTime;
  /** Called when a TLS engine has something to tell: call `handleWake` soon. Never called from inside a call to the multi. */
  readonly wake: () => void;
  readonly log?: Log;
}
