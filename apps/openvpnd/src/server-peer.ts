import type { ClientConfig } from '@openvpnd/config';
import type { TlsMulti } from '@openvpnd/control-processor';
import type { Log } from '@openvpnd/sans-io';

/** What makes the modules of a client: its log first, because the control channel writes to it. */
export interface ServerPeerOptions {
  readonly address: string;
  readonly createLog: (name: () => string) => Log;
  readonly createMulti: (log: Log) => TlsMulti;
}

/** What a server holds for one client beside its slot. OpenVPN: the context inside a multi_instance. */
export class ServerPeer {
  readonly multi: TlsMulti;
  readonly log: Log;
  /** In OpenVPN's notation without the family; changes when the client floats. */
  address: string;
  /** Known once the client has authenticated. */
  commonName: string | undefined;
  /** Its file in --client-config-dir, if there is one. */
  config: ClientConfig | undefined;
  /** The tunnel carries data. */
  established = false;
  /** The instance is gone; whatever was still to be done for it is void. */
  removed = false;

  constructor(options: ServerPeerOptions) {
    this.address = options.address;
    this.log = options.createLog(() => this.name);
    this.multi = options.createMulti(this.log);
  }

  /** How the log calls the client: `client1/192.0.2.7:40112`, and before it is known by its address alone. */
  get name(): string {
    return this.commonName === undefined ? this.address : `${this.commonName}/${this.address}`;
  }
}
