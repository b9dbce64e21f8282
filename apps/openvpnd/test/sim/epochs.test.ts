import { formatLinkAddress } from '@openvpnd/external-mux';
import { opcodeOf, P_DATA_V2 } from '@openvpnd/wire';
import { describe, expect, test } from 'vitest';
import { SimWorld } from './sim-world.js';
import { NO_FAULTS } from './traffic.js';

/** Some 17 packets of a flow: a block is 16 bytes, and a packet has 64, the headers of UDP and IP, and counts itself. */
const SMALL = { usage: 120, failures: 100 };

const BAD = { delayMs: 20, loss: 1 / 16, reorder: 1 / 8, reorderMs: 60, duplicate: 1 / 32, corrupt: 1 / 32 };

interface Seen {
  /** Epochs of the packets of each sender, in their order, each change once. */
  readonly epochs: Map<string, number[]>;
}

/** Notes the epochs that data packets are in. */
function watchEpochs(world: SimWorld): Seen {
  const epochs = new Map<string, number[]>();
  world.network.tap((packet, from) => {
    if (opcodeOf(packet[0] ?? 0) !== P_DATA_V2) return;
    const epoch = ((packet[4] ?? 0) << 8) | (packet[5] ?? 0);
    const sender = formatLinkAddress(from);
    const list = epochs.get(sender) ?? [];
    if (list.at(-1) !== epoch) list.push(epoch);
    epochs.set(sender, list);
  });
  return { epochs };
}

describe('epoch data keys between two of ours', () => {
  test('worn keys are left on both sides without a lost packet, with renegotiations in between', () => {
    const world = new SimWorld({ seed: 1, aeadLimits: SMALL });
    const seen = watchEpochs(world);
    world.server({ config: ['reneg-sec 20'] });
    const client = world.client('client', { config: ['reneg-sec 0'] });
    world.until('connected', () => client.connected, 10);
    world.traffic.between('client', 'server', { intervalMs: 20 });
    world.finishTraffic(60);
    expect(world.traffic.flows.map(({ sent, lost }) => [sent, lost])).toEqual([
      [3000, 0],
      [3000, 0],
    ]);
    expect(world.traffic.faults).toEqual(NO_FAULTS);
    expect(world.journal.of('signal')).toEqual([]);
    expect(seen.epochs.size).toBe(2);
    for (const epochs of seen.epochs.values()) {
      // Each key exchange begins with epoch 1, and no epoch is left out or come back to within one.
      expect(epochs.filter((epoch) => epoch === 1).length).toBeGreaterThanOrEqual(3);
      expect(Math.max(...epochs)).toBeGreaterThan(10);
      for (const [index, epoch] of epochs.entries()) {
        if (index > 0 && epoch !== 1) expect(epoch).toBe((epochs[index - 1] ?? 0) + 1);
      }
    }
  });

  test('on a bad network no more is lost than the network takes', () => {
    const world = new SimWorld({ seed: 3, conditions: BAD, aeadLimits: SMALL });
    const seen = watchEpochs(world);
    world.server({ config: ['reneg-sec 0'] });
    const client = world.client('client', { config: ['reneg-sec 0'] });
    world.until('connected', () => client.connected, 60);
    world.traffic.between('client', 'server', { intervalMs: 20 });
    world.finishTraffic(60);
    // One packet in 16 is lost, one in 32 spoilt.
    expect(world.traffic.lost / world.traffic.sent).toBeLessThan(0.12);
    expect(world.traffic.faults).toEqual(NO_FAULTS);
    for (const epochs of seen.epochs.values()) expect(Math.max(...epochs)).toBeGreaterThan(30);
  });

  test('who hears nothing goes four epochs ahead and asks for new keys', () => {
    const world = new SimWorld({ seed: 1, aeadLimits: SMALL });
    const seen = watchEpochs(world);
    world.server({ config: ['reneg-sec 0'] });
    const client = world.client('client', { config: ['reneg-sec 0'] });
    world.until('connected', () => client.connected, 10);
    const flow = world.traffic.flow('client', 'server', { intervalMs: 20 });
    // The server's first ping comes after ten seconds.
    world.advanceSeconds(8);
    flow.stop();
    world.advanceSeconds(1);
    expect(flow.lost).toBe(0);
    const [epochs] = [...seen.epochs.values()];
    expect(epochs?.slice(0, 6)).toEqual([1, 2, 3, 4, 5, 1]);
    expect(world.journal.of('tls.soft-reset', 'client').length).toBeGreaterThan(0);
  });
});
