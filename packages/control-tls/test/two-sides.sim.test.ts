import { OPENVPN_TIMING, type RetransmitTiming } from '@openvpnd/reliability';
import { FakeTlsFactory } from '@openvpnd/testkit';
import { describe, expect, it } from 'vitest';
import { type Faults, Side, simulate } from './two-sides.js';

/** OpenVPN: --hand-window. */
const HAND_WINDOW_MS = 60_000;

/**
 * One handshake with the traffic of a real one: TLS, then a key-method-2 message each way, then a request and its answer.
 * The time until all is acknowledged, or Infinity.
 */
function handshake(faults: Faults, timing?: RetransmitTiming): number {
  const options = timing === undefined ? {} : { timing };
  const client = new Side('client', new FakeTlsFactory({ seed: faults.seed }), options);
  const server = new Side('server', new FakeTlsFactory({ seed: faults.seed + 1000 }), options);
  client.take(client.control.start(0));
  let said = 0;
  const step = (now: number): void => {
    const heard = [client, server].map((side) => side.all('plaintext').length);
    if (said === 0 && client.control.secure) {
      said = 1;
      client.take(client.control.sendMessage(now, new Uint8Array(500)));
    } else if (said === 1 && heard[1] === 1) {
      said = 2;
      server.take(server.control.sendMessage(now, new Uint8Array(300)));
    } else if (said === 2 && heard[0] === 1) {
      said = 3;
      client.take(client.control.sendMessage(now, new Uint8Array(13)));
    } else if (said === 3 && heard[1] === 2) {
      said = 4;
      server.take(server.control.sendMessage(now, new Uint8Array(200)));
    }
  };
  const done = (): boolean =>
    client.all('plaintext').length === 2 && server.control.allAcked() && client.control.allAcked();
  const elapsed = simulate(client, server, faults, HAND_WINDOW_MS, step, done);
  expect([...client.all('failed'), ...server.all('failed')]).toEqual([]);
  return elapsed;
}

function times(runs: number, faults: Omit<Faults, 'seed'>, timing?: RetransmitTiming): number[] {
  return Array.from({ length: runs }, (_, seed) => handshake({ ...faults, seed: seed + 1 }, timing)).sort(
    (a, b) => a - b,
  );
}

const quantile = (sorted: readonly number[], part: number): number => sorted[Math.ceil(sorted.length * part) - 1]!;

describe('a handshake over a bad carrier', () => {
  const rough = { duplicate: 0.2, corrupt: 0.01, delayMs: 20, jitterMs: 40 };

  it('needs six round trips and a half when nothing goes wrong', () => {
    const faults = { seed: 1, loss: 0, duplicate: 0, corrupt: 0, delayMs: 50, jitterMs: 0 };
    expect(handshake(faults)).toBeLessThanOrEqual(650);
  });

  it('ends in time with 10 % lost each way', () => {
    const sorted = times(100, { ...rough, loss: 0.1 });
    expect(quantile(sorted, 1)).toBeLessThan(HAND_WINDOW_MS);
    expect(quantile(sorted, 0.99)).toBeLessThan(5000);
  });

  it('ends in time with 30 % lost each way, far sooner than with OpenVPN timing', () => {
    const sorted = times(200, { ...rough, loss: 0.3 });
    expect(quantile(sorted, 0.995)).toBeLessThan(HAND_WINDOW_MS);
    expect(quantile(sorted, 0.5)).toBeLessThan(4000);
    expect(quantile(sorted, 0.99)).toBeLessThan(20_000);
    const openvpn = times(50, { ...rough, loss: 0.3 }, OPENVPN_TIMING);
    expect(quantile(sorted, 0.5)).toBeLessThan(quantile(openvpn, 0.5) / 2);
  });

  it('mostly ends in time with 50 % lost each way', () => {
    expect(quantile(times(100, { ...rough, loss: 0.5 }), 0.9)).toBeLessThan(HAND_WINDOW_MS);
  });

  it('ends with 2 s of delay, and the same way each time', () => {
    const faults = { seed: 9, loss: 0.05, duplicate: 0.2, corrupt: 0.01, delayMs: 1000, jitterMs: 100 };
    const first = handshake(faults);
    expect(first).toBeLessThan(40_000);
    expect(handshake(faults)).toBe(first);
  });
});
