import type { DataSignal } from '@openvpnd/data-channel';
import type { Log } from '@openvpnd/sans-io';
import type { RunSignal } from '../host/signals.js';
import { logRefusal } from '../log-refusal.js';

/** The signals of a data channel after which a connection may be over. */
export type DataChannelEnd = Extract<
  DataSignal,
  { readonly type: 'ping-restart' | 'ping-exit' | 'inactive' | 'refused' }
>;

/**
 * Logs what a data channel has told and says how the connection ends by it; undefined: it goes on. OpenVPN: check_ping_restart(),
 * check_inactivity_timeout(), process_incoming_link_part1().
 */
export function dataChannelEnd(
  signal: DataChannelEnd,
  settings: { readonly log?: Log; readonly stream: boolean; readonly replayWarnings: boolean },
): { readonly signal: RunSignal; readonly text: string } | undefined {
  const { log } = settings;
  if (signal.type === 'refused') {
    logRefusal(log, signal, settings.replayWarnings);
    if (!settings.stream) return undefined;
    // Nothing is damaged or repeated on a stream by accident.
    log?.error('link.decryption-error');
    return { signal: 'SIGUSR1', text: 'decryption-error' };
  }
  log?.info('client.inactivity-timeout', { action: signal.type });
  return { signal: signal.type === 'ping-restart' ? 'SIGUSR1' : 'SIGTERM', text: signal.type };
}
