import { describe, expect, it } from 'vitest';
import { HandshakeStorms } from '../src/server/handshake-storms.js';

const at = (storms: HandshakeStorms, ...times: number[]): readonly (string | undefined)[] =>
  times.map((time) => storms.handleHandshake(time));

describe('HandshakeStorms', () => {
  it('begins with the fourth handshake of a second, and goes on', () => {
    expect(at(new HandshakeStorms(), 0, 300, 600, 1000, 1001)).toEqual([
      undefined,
      undefined,
      undefined,
      'begins',
      'goes-on',
    ]);
  });

  it('does not begin with handshakes that come one after the other', () => {
    const storms = new HandshakeStorms();
    for (let time = 0; time < 100_000; time += 334) expect(storms.handleHandshake(time)).toBeUndefined();
  });

  it('is looked for in the last second, whatever came before', () => {
    const storms = new HandshakeStorms();
    expect(at(storms, 0, 5000, 9000, 20_000)).not.toContain('begins');
    expect(at(storms, 20_001, 20_002, 20_003)).toEqual([undefined, undefined, 'begins']);
  });

  it('comes once a minute at most, for three seconds, however long handshakes go on', () => {
    const storms = new HandshakeStorms();
    const begun: number[] = [];
    let last = 0;
    for (let time = 0; time < 180_000; time += 10) {
      const storm = storms.handleHandshake(time);
      if (storm === 'begins') begun.push(time);
      if (storm === 'goes-on' && begun.length === 1) last = time;
    }
    expect(begun).toEqual([30, 60_030, 120_030]);
    expect(last).toBe(3020);
  });
});
