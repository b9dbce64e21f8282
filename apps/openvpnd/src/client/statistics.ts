import type { PeerCounters } from '@openvpnd/data-channel';
import { PING_PAYLOAD } from '@openvpnd/wire';
import { localTime } from '../local-time.js';

/** What a client has counted. */
export interface ClientTraffic {
  readonly counters: PeerCounters;
  /** Bytes of the control channel, as they are on the wire without IP and UDP headers. */
  readonly controlBytesIn: number;
  readonly controlBytesOut: number;
}

/** The lines of a client's --status, and of SIGUSR2. `now` is Unix seconds. OpenVPN: print_status(). */
export function clientStatistics(traffic: ClientTraffic, now: number): readonly string[] {
  const { counters } = traffic;
  return [
    'OpenVPN STATISTICS',
    `Updated,${localTime(now)}`,
    `TUN/TAP read bytes,${counters.payloadBytesOut}`,
    `TUN/TAP write bytes,${counters.payloadBytesIn}`,
    `TCP/UDP read bytes,${traffic.controlBytesIn + counters.receivedBytes}`,
    `TCP/UDP write bytes,${traffic.controlBytesOut + counters.sentBytes}`,
    `Auth read bytes,${counters.payloadBytesIn + counters.pingsIn * PING_PAYLOAD.length}`,
    'END',
  ];
}
