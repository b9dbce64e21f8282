import { describe, expect, it } from 'vitest';
import { HandshakeStorms } from '../src/server/handshake-storms.js';

const at = (storms: HandshakeStorms, ...times: number[]): readonly boolean[] =>
  times.map((time) => storms.handleHandshake(time));

describe('HandshakeStorms', () => {
  it('begins with the fourth handshake of a second', () => {
    expect(at(new HandshakeStorms(), 0, 300, 600, 1000, 1001)).toEqual([false, false, false, true, false]);
  });

  it('does not begin with handshakes that come one after the other', () => {
    const storms = new HandshakeStorms();
    for (let time = 0; time < 100_000; time += 334) expect(storms.handleHandshake(time)).toBe(false);
  });

  it('is looked for in the last second, whatever came before', () => {
    const storms = new HandshakeStorms();
    expect(at(storms, 0, 5000, 9000, 20_000)).not.toContain(true);
    expect(at(storms, 20_001, 20_002, 20_003)).toEqual([false, false, true]);
  });

  it('comes once a minute at most, however long it lasts', () => {
    const storms = new HandshakeStorms();
    const begun: number[] = [];
    for (let time = 0; time < 180_000; time += 10) if (storms.handleHandshake(time)) begun.push(time);
    expect(begun).toEqual([30, 60_030, 120_030]);
  });
});
