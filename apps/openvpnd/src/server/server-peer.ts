import type { ClientConfig } from '@openvpnd/config';
import type { AcceptedSession, TlsMulti, TokenSession } from '@openvpnd/control-processor';
import type { ClientKeyMetadata } from '@openvpnd/control-wrap';
import type { Prefix } from '@openvpnd/internal-mux';
import type { DataPacketShape } from '@openvpnd/keygen';
import { type Instant, type Log, NEVER } from '@openvpnd/sans-io';
import type { KeyUse } from '../install-keys.js';
import type { VirtualAddresses } from './pushed-options.js';
import type { ServerListener } from './server-listener.js';

/** How log lines call a client. */
export interface PeerDescription {
  /** `client1/192.0.2.7:40112`, and before it is known by its address alone. */
  readonly name: string;
  /** `[AF_INET]192.0.2.7:40112` */
  readonly from: string;
  readonly commonName: string | undefined;
  readonly [field: string]: string | undefined;
}

/** The packet with which a client begins, unwrapped where it came through the stateless handshake. */
export interface FirstPacket {
  readonly packet: Uint8Array;
  readonly accepted?: AcceptedSession;
}

/** What makes the modules of a client: its log first, because the control channel writes to it. */
export interface ServerPeerOptions {
  readonly address: string;
  /** Where it came. */
  readonly listener: ServerListener;
  readonly clientId: number;
  readonly keyMetadata: ClientKeyMetadata | undefined;
  readonly createLog: (describe: () => PeerDescription) => Log;
  readonly createMulti: (log: Log) => TlsMulti;
  /** Of all clients; this one's file may change it. */
  readonly keyUse: KeyUse;
}

/** What a server holds for one client beside its slot. OpenVPN: the context inside a multi_instance. */
export class ServerPeer {
  readonly multi: TlsMulti;
  readonly log: Log;
  /** In OpenVPN's notation, `[AF_INET]192.0.2.7:40112`; changes when the client floats. */
  address: string;
  readonly listener: ServerListener;
  /** Known once the client has authenticated. */
  commonName: string | undefined;
  /** With which it was let in, where the server asks for one. */
  username: string | undefined;
  /** SHA-256 of the certificates that it has shown, the last one's issuer first; undefined before and when there are none. */
  certificates: string | undefined;
  /** Its file in --client-config-dir, if there is one. */
  config: ClientConfig | undefined;
  /** How its keys are used. */
  keyUse: KeyUse;
  /** The form of the packets under the key that was installed last. */
  shape: DataPacketShape | undefined;
  /** As the management interface counts clients: from 0, never again the same. */
  readonly clientId: number;
  /** Its addresses in the tunnel, and all that is routed to it, since `at`. */
  assigned:
    | { readonly addresses: VirtualAddresses; readonly routes: readonly Prefix[]; readonly at: Instant }
    | undefined;
  /** Bytes of the control channel, as they are on the wire without IP and UDP headers. */
  controlBytesIn = 0;
  controlBytesOut = 0;
  /** OpenVPN's name of the cipher of that key. */
  cipherName: string | undefined;
  /** When --session-timeout ends it. */
  sessionEnd: Instant = NEVER;
  /** The tunnel carries data. */
  established = false;
  /** What the tls-crypt-v2 client key says that it came with. */
  readonly keyMetadata: ClientKeyMetadata | undefined;
  /** What it has in place of its password: its user name, the session that stays, the newest token, and when the next one is due. */
  token:
    | { readonly username: string; readonly session: TokenSession; readonly text: string; readonly renewAt: Instant }
    | undefined;
  /** Its first packet, which waits until its client key is judged; everything else from it is dropped meanwhile. */
  held: { readonly requestId: number; readonly first: FirstPacket } | undefined;
  /** The instance is gone; whatever was still to be done for it is void. */
  removed = false;

  constructor(options: ServerPeerOptions) {
    this.address = options.address;
    this.listener = options.listener;
    this.clientId = options.clientId;
    this.keyUse = options.keyUse;
    this.keyMetadata = options.keyMetadata;
    this.log = options.createLog(() => this.describe());
    this.multi = options.createMulti(this.log);
  }

  /** How log lines call the client now. */
  describe(): PeerDescription {
    const { address, commonName } = this;
    const { tag } = this.listener;
    const bare = address.replace(/^\[AF_INET6?\]/, '');
    return {
      name: commonName === undefined ? bare : `${commonName}/${bare}`,
      from: tag === undefined ? address : `${address} (listener ${tag})`,
      commonName,
    };
  }
}
