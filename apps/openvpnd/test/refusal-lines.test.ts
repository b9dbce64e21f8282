import { describe, expect, test } from 'vitest';
import { DaemonLog } from '../src/log/daemon-log.js';
import type { LineWriter } from '../src/log/line-writer.js';

function logWith(verbosity: number): { log: DaemonLog; lines: string[] } {
  const lines: string[] = [];
  const writer = { write: (line: string) => lines.push(line) } as unknown as LineWriter;
  return { log: new DaemonLog(writer, verbosity), lines };
}

const FROM = '[AF_INET]192.0.2.7:1194';

describe('control packets that do not open', () => {
  test("are told in OpenVPN's words", () => {
    const { log, lines } = logWith(1);
    const events = log.events(() => '');
    events.warn('server.stranger-refused', { reason: 'tls-crypt: authentication failed', from: FROM });
    expect(lines).toEqual([
      'tls-crypt unwrap error: packet authentication failed',
      `TLS Error: tls-crypt unwrapping failed from ${FROM}`,
    ]);
  });

  test('are not told where OpenVPN is silent', () => {
    const { log, lines } = logWith(3);
    log.events(() => '').debug('session.drop', { reason: 'unknown session', from: FROM });
    expect(lines).toEqual([]);
  });

  test('cannot fill the log', () => {
    const { log, lines } = logWith(1);
    const events = log.events(() => '');
    for (let i = 0; i < 10_000; i++) {
      events.warn('server.stranger-refused', { reason: 'tls-auth: too short', from: FROM });
    }
    // Ten a second; the loop may meet the turn of a second.
    expect(lines.length).toBeGreaterThanOrEqual(10);
    expect(lines.length).toBeLessThanOrEqual(30);
  });
});
