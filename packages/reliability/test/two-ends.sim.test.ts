import { MEASURED_TIMING, OPENVPN_TIMING, ReliableChannel } from '@openvpnd/reliability';
import { expect, it } from 'vitest';
import { End, type Faults, run } from './lossy-carrier.js';

const TOTAL = 40;

/** Far beyond any handshake: without a cap on the doubling an unlucky message waits for days. */
const LIMIT_MS = 1e12;
const numbers = Array.from({ length: TOTAL }, (_, n) => n);

function exchange(faults: Faults): { elapsedMs: number; packets: number } {
  const make = (): End => new End(new ReliableChannel<number>({ timing: faults.timing }), TOTAL);
  const [a, b] = [make(), make()];
  const result = run(a, b, faults, LIMIT_MS);
  expect(a.received).toEqual(numbers);
  expect(b.received).toEqual(numbers);
  return result;
}

function median(values: number[]): number {
  return values.sort((x, y) => x - y)[values.length >> 1] ?? Number.NaN;
}

it('needs one packet for a message and few for acks when nothing is lost', () => {
  const faults = { seed: 1, loss: 0, duplicate: 0, delayMs: 10, jitterMs: 0, timing: OPENVPN_TIMING };
  const { elapsedMs, packets } = exchange(faults);
  expect(elapsedMs).toBeLessThanOrEqual(20 * Math.ceil(TOTAL / 6));
  expect(packets).toBeLessThanOrEqual(2 * (TOTAL + Math.ceil(TOTAL / 6)));
});

it.each([0.1, 0.3, 0.5])('delivers in order, exactly once, with %s lost each way, doubled and reordered', (loss) => {
  const times = { measured: [] as number[], openvpn: [] as number[] };
  for (let seed = 1; seed <= 100; seed += 1) {
    const faults = { seed, loss, duplicate: 0.2, delayMs: 20, jitterMs: 60 };
    times.measured.push(exchange({ ...faults, timing: MEASURED_TIMING }).elapsedMs);
    times.openvpn.push(exchange({ ...faults, timing: OPENVPN_TIMING }).elapsedMs);
  }
  // With little loss a steady stream repairs itself by later acks, whatever the timing.
  expect(median(times.measured)).toBeLessThan(median(times.openvpn) * (loss > 0.1 ? 0.5 : 1));
});

it('runs the same way for the same seed', () => {
  const faults = { seed: 7, loss: 0.3, duplicate: 0.2, delayMs: 20, jitterMs: 60, timing: MEASURED_TIMING };
  expect(exchange(faults)).toEqual(exchange(faults));
});

it('goes on where OpenVPN timing meets measured timing and a long delay', () => {
  const ends = [
    new End(new ReliableChannel<number>({ timing: MEASURED_TIMING }), TOTAL),
    new End(new ReliableChannel<number>(), TOTAL),
  ] as const;
  const faults = { seed: 3, loss: 0.1, duplicate: 0.1, delayMs: 2000, jitterMs: 500, timing: OPENVPN_TIMING };
  run(...ends, faults, LIMIT_MS);
  expect(ends.map(({ received }) => received)).toEqual([numbers, numbers]);
});
