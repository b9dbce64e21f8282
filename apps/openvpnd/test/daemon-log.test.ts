import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { DaemonLog } from '../src/log/daemon-log.js';
import { EVENT_LINES } from '../src/log/event-lines.js';
import type { LineWriter } from '../src/log/line-writer.js';
import { root } from './fences/fences.js';

/** A log of that verbosity, and the lines it has printed. */
function log(verbosity: number, mute = 0): { log: DaemonLog; lines: string[] } {
  const lines: string[] = [];
  const writer: Pick<LineWriter, 'write'> = { write: (line) => lines.push(line) };
  return { log: new DaemonLog(writer as LineWriter, verbosity, mute), lines };
}

describe('the log', () => {
  test('prints from a verbosity on', () => {
    const { log: daemonLog, lines } = log(3);
    daemonLog.say(0, 'always');
    daemonLog.say(3, 'usual');
    daemonLog.say(4, 'detail');
    expect(lines).toEqual(['always', 'usual']);
  });

  test('--mute keeps back what repeats, says how much, and lets the next kind through', () => {
    const { log: daemonLog, lines } = log(3, 2);
    const events = daemonLog.events(() => '');
    for (let i = 0; i < 5; i++) events.info('verify.eku-ok');
    events.info('verify.ku-ok');
    events.info('verify.eku-ok');
    expect(lines).toEqual([
      'VERIFY EKU OK',
      'VERIFY EKU OK',
      '3 variation(s) on previous 2 message(s) suppressed by --mute',
      'VERIFY KU OK',
      'VERIFY EKU OK',
    ]);
    const unmuted = log(3);
    const all = unmuted.log.events(() => '');
    for (let i = 0; i < 5; i++) all.info('verify.eku-ok');
    expect(unmuted.lines).toHaveLength(5);
  });

  test('says events in OpenVPN’s words, with what stands in front and what surrounds them at that moment', () => {
    const { log: daemonLog, lines } = log(3);
    let name = '192.0.2.7:40112';
    const events = daemonLog.events(
      () => `${name} `,
      () => ({ from: `[AF_INET]${name}` }),
    );
    events.info('session.peer-initiated', { commonName: 'anna' });
    name = 'anna/192.0.2.7:40112';
    events.info('verify.ku-ok');
    events.info('verify.eku', { name: 'TLS Web Client Authentication', expected: 'TLS Web Client Authentication' });
    expect(lines).toEqual([
      '192.0.2.7:40112 [anna] Peer Connection Initiated with [AF_INET]192.0.2.7:40112',
      'anna/192.0.2.7:40112 VERIFY KU OK',
      'anna/192.0.2.7:40112 Validating certificate extended key usage',
      'anna/192.0.2.7:40112 ++ Certificate has EKU (str) TLS Web Client Authentication, expects TLS Web Client Authentication',
    ]);
  });

  test('leaves out events of a higher verbosity', () => {
    const quiet = log(1);
    quiet.log.events(() => '').info('push.received', { text: 'PUSH_REPLY' });
    expect(quiet.lines).toEqual([]);
    const usual = log(3);
    usual.log.events(() => '').info('push.received', { text: 'PUSH_REPLY' });
    expect(usual.lines).toEqual(["PUSH: Received control message: 'PUSH_REPLY'"]);
  });

  test('prints events without a line as they are from verb 7 on', () => {
    const detail = log(7);
    detail.log.events(() => 'x ').debug('reliability.retransmit', { messageId: 3, attempt: 2, note: undefined });
    expect(detail.lines).toEqual(['x reliability.retransmit messageId=3 attempt=2']);
    const usual = log(6);
    usual.log.events(() => 'x ').debug('reliability.retransmit', { messageId: 3 });
    expect(usual.lines).toEqual([]);
  });

  test('what strangers can cause fills no disk', () => {
    const { log: daemonLog, lines } = log(4);
    const events = daemonLog.events(() => '');
    for (let packet = 0; packet < 1000; packet += 1) {
      events.warn('server.stranger-refused', {
        reason: 'tls-crypt: authentication failed',
        from: '[AF_INET]192.0.2.7:1',
      });
    }
    // Two lines each; a second may have ended meanwhile.
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThanOrEqual(40);
  });
});

describe('lines and events', () => {
  /** Source texts of all packages and of this app, without the lines themselves. */
  const sources = ['packages', 'apps/openvpnd'].flatMap((place) =>
    readdirSync(`${root}${place}`, { recursive: true, encoding: 'utf8' })
      .filter(
        (name) => /(^|\/)src\/.*\.ts$/.test(name) && !name.includes('node_modules') && !name.endsWith('event-lines.ts'),
      )
      .map((name) => readFileSync(`${root}${place}/${name}`, 'utf8')),
  );
  /** What is told at info, warn or error: for people. */
  const told = new Set(
    sources.flatMap((text) =>
      [...text.matchAll(/[lL]og\??\.(?:info|warn|error)\(\s*'([\w.-]+)'/g)].map((match) => match[1]),
    ),
  );

  test('every event for people has its line', () => {
    expect(told.size).toBeGreaterThan(40);
    const silent = [...told].filter((event) => EVENT_LINES[event] === undefined);
    // `data-channel.negotiated` tells both, in OpenVPN's words.
    expect(silent.sort()).toEqual(['data-channel.options', 'ncp.chosen']);
  });

  test('every line has its event', () => {
    const all = sources.join('\n');
    const unknown = Object.keys(EVENT_LINES).filter((event) => {
      const [family, ...rest] = event.split('.');
      // Some names are put together from what happened.
      return !all.includes(`'${event}'`) && !(all.includes(`\`${family}.\${`) && all.includes(`'${rest.join('.')}'`));
    });
    expect(unknown).toEqual([]);
  });

  test('none of them is empty or breaks without its fields', () => {
    for (const [event, line] of Object.entries(EVENT_LINES)) {
      const text = line.text({});
      for (const part of typeof text === 'string' ? [text] : text) expect(part, event).toBeTypeOf('string');
    }
  });
});
