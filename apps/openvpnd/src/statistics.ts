import type { PeerCounters } from '@openvpnd/data-channel';
import type { Say } from './host/interface.js';

/** The statistics of a tunnel, as OpenVPN prints them on SIGUSR2. OpenVPN: print_status(). */
export function printStatistics(say: Say, counters: PeerCounters): void {
  const now = new Date();
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  say('OpenVPN STATISTICS');
  say(`Updated,${date} ${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`);
  say(`TUN/TAP read bytes,${counters.payloadBytesOut}`);
  say(`TUN/TAP write bytes,${counters.payloadBytesIn}`);
  say(`TCP/UDP read bytes,${counters.receivedBytes}`);
  say(`TCP/UDP write bytes,${counters.sentBytes}`);
  say(`Auth read bytes,${counters.receivedBytes}`);
  say('END');
}
