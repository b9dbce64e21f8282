import type { TlsMulti } from '@openvpnd/control-processor';
import type { ClientKeyMetadata, StatelessHandshake } from '@openvpnd/control-wrap';
import { formatLinkAddress } from '@openvpnd/external-mux';
import type { LinkAddress } from '@openvpnd/memory';
import type { Log } from '@openvpnd/sans-io';
import type { OccFacts } from '../occ-answer.js';
import type { FrequencyLimit } from './frequency-limit.js';

/** What one of a server's listeners is to those who come there: its keys, its limits, and what it says of itself. */
export interface ServerListener {
  /** `tag` of a `<listen>` block. */
  readonly tag: string | undefined;
  /** Answers first packets, with the control channel keys of this listener. */
  readonly handshake: StatelessHandshake;
  /** Makes the control channel of a new client, whose tls-crypt-v2 key says `metadata`. Its `wake` is to call `ServerTunnel.wakePeer` with the slot. */
  readonly createMulti: (slot: number, metadata: ClientKeyMetadata | undefined, log: Log) => TlsMulti;
  /** --connect-freq, of its own or shared with others; undefined: no limit. */
  readonly connectLimit: FrequencyLimit | undefined;
  /** --max-clients of this listener alone; Infinity: only that of the server counts. */
  readonly maxClients: number;
  /** What OCC messages are answered with. */
  readonly occ: Pick<OccFacts, 'optionsString' | 'tunMtu'>;
  /** --explicit-exit-notify: 0 not at all, 1 RESTART, 2 RESTART,[N]. */
  readonly exitNotify: number;
}

/** How log lines call an address at a listener: `[AF_INET]192.0.2.7:40112 (listener office)`, or without a tag the address alone. */
export function formatArrival(address: LinkAddress, { tag }: Pick<ServerListener, 'tag'>): string {
  const from = formatLinkAddress(address);
  return tag === undefined ? from : `${from} (listener ${tag})`;
}
