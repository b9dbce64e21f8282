import type { RefusalSignal } from '@openvpnd/data-channel';
import type { Log } from '@openvpnd/sans-io';

/** Tells of packets that the data channel refused. `replayWarnings`: false with --mute-replay-warnings. */
export function logRefusal(log: Log | undefined, signal: RefusalSignal, replayWarnings: boolean): void {
  const { reason, aead, packetId, packetTime, packets } = signal;
  if (reason === 'replay' && !replayWarnings) return;
  log?.warn(`data-channel.${reason}`, { aead, packetId, packetTime, packets });
}
