import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  FATE_TO_DEVICE,
  FATE_TO_LINK,
  type LinkAddress,
  type PacketVector,
} from '@openvpnd/memory';
import { type Instant, NEVER } from '@openvpnd/sans-io';
import { SeededRandom, SimNetwork, SimTun, VirtualClock } from '@openvpnd/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ImportedOptions } from '../src/client/import-options.js';
import { DEVICE_LOST, type RunSignal, SignalInbox, type SignalInfo } from '../src/host/signals.js';
import { DaemonLog } from '../src/log/daemon-log.js';
import type { LineWriter } from '../src/log/line-writer.js';
import { NO_ACTIONS, type TunnelAction } from '../src/tunnel-action.js';
import { type EndableTunnel, TunnelDriver, type TunnelDriverOptions } from '../src/tunnel-driver.js';

const SOFT: SignalInfo = { signal: 'SIGUSR1', source: 'soft', text: 'tls-error' };

/** A tunnel that carries packets as they are, and says what the test puts into `next`. */
class PlainTunnel implements EndableTunnel {
  next: readonly TunnelAction[] = NO_ACTIONS;
  remote: LinkAddress | undefined;
  readonly exits: RunSignal[] = [];
  readonly lost: number[] = [];
  turns = 0;

  handleLinkBatch(_now: Instant, rx: PacketVector): readonly TunnelAction[] {
    rx.fate.fill(FATE_TO_DEVICE, 0, rx.count);
    return this.#take();
  }

  handleDeviceBatch(_now: Instant, tx: PacketVector): readonly TunnelAction[] {
    for (let row = 0; row < tx.count; row += 1) {
      tx.fate[row] = FATE_TO_LINK;
      if (this.remote) tx.addresses.set(this.remote, row * ADDRESS_WORDS);
    }
    return this.#take();
  }

  handleLinkLost(_now: Instant, link: number): readonly TunnelAction[] {
    this.lost.push(link);
    return this.#take();
  }

  handleTimeout(): readonly TunnelAction[] {
    this.turns += 1;
    return this.#take();
  }

  nextTimeout(): Instant {
    return NEVER;
  }

  beginExit(_now: Instant, signal: RunSignal): readonly TunnelAction[] {
    this.exits.push(signal);
    return [{ type: 'signal', info: { signal, source: 'hard', text: '' } }];
  }

  #take(): readonly TunnelAction[] {
    const { next } = this;
    this.next = NO_ACTIONS;
    return next;
  }
}

let inbox: SignalInbox;
beforeEach(() => {
  inbox = new SignalInbox();
});
afterEach(() => inbox.close());

function scene(options: Partial<TunnelDriverOptions> = {}) {
  const clock = new VirtualClock();
  const network = new SimNetwork({ clock, random: new SeededRandom(1) });
  const link = network.openLink('192.0.2.1', 1194);
  const peer = network.openLink('192.0.2.2', 1194);
  const received: string[] = [];
  const home = network.publicAddress(link).join();
  network.tap((packet, from) => {
    if (from.join() === home) received.push(new TextDecoder().decode(packet));
  });
  const tunnel = new PlainTunnel();
  const lines: string[] = [];
  const writer: Pick<LineWriter, 'write'> = { write: (line) => lines.push(line) };
  const run = { log: new DaemonLog(writer as LineWriter, 3), inbox, clock };
  const driver = new TunnelDriver(run, { tunnel, link, tunMtu: 1500, ...options });
  const remote = network.publicAddress(peer);
  remote[ADDRESS_LINK] = link.id;
  tunnel.remote = remote;
  return { clock, network, link, peer, received, tunnel, lines, driver, remote };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const imported = {} as ImportedOptions;

describe('what a tunnel asks for', () => {
  test('control packets leave through the link, in a turn or outside of one', () => {
    const { clock, driver, tunnel, received, remote } = scene();
    driver.execute([{ type: 'send-control', packet: bytes('outside'), to: remote }]);
    tunnel.next = [{ type: 'send-control', packet: bytes('inside'), to: remote }];
    driver.wake();
    clock.advanceBy(10);
    expect(received).toEqual(['outside', 'inside']);
  });

  test('packets go from the device to the link and back, once there is a device', () => {
    const { clock, driver, received, peer, link } = scene();
    const device = new SimTun({ clock });
    device.inject(bytes('early'));
    clock.advanceBy(10);
    expect(received).toEqual([]);
    driver.setDevice(device);
    clock.advanceBy(10);
    expect(received).toEqual(['early']);
    peer.send(bytes('back'), link.localAddress());
    clock.advanceBy(10);
    expect(device.takeWritten().map((packet) => new TextDecoder().decode(packet))).toEqual(['back']);
  });

  test('configure is carried out; what it cannot do ends the run', async () => {
    const asked: unknown[] = [];
    const good = scene({ configure: async (options) => void asked.push(options) });
    good.driver.execute([{ type: 'configure', imported }]);
    expect(asked).toEqual([imported]);
    const failure = new Error('no such device');
    const bad = scene({ configure: () => Promise.reject(failure) });
    bad.driver.execute([{ type: 'configure', imported }]);
    await expect(bad.driver.ended).rejects.toBe(failure);
  });

  test('a client key is judged; what the judge cannot do ends the run', async () => {
    const action = {
      type: 'verify-client-key',
      requestId: 3,
      metadata: { type: 0, value: new Uint8Array(1) },
      describe: () => 'client',
    } as unknown as Extract<TunnelAction, { type: 'verify-client-key' }>;
    const asked: number[] = [];
    const good = scene({ verifyClientKey: async ({ requestId }) => void asked.push(requestId) });
    good.driver.execute([action]);
    expect(asked).toEqual([3]);
    const failure = new Error('no such program');
    const bad = scene({ verifyClientKey: () => Promise.reject(failure) });
    bad.driver.execute([action]);
    await expect(bad.driver.ended).rejects.toBe(failure);
  });

  test('a signal ends it, the first one counts', async () => {
    const { driver } = scene();
    driver.execute([
      { type: 'signal', info: SOFT },
      { type: 'signal', info: { ...SOFT, text: 'later' } },
    ]);
    expect(await driver.ended).toEqual(SOFT);
  });
});

describe('streams', () => {
  test('are read beside the other links, answered through their own, and closed when the tunnel says so', () => {
    const { clock, network, driver, tunnel } = scene();
    const [client, server] = network.openStream(['192.0.2.3', 4000], ['192.0.2.1', 1194]);
    driver.addLink(server);
    const to = network.publicAddress(client);
    to[ADDRESS_LINK] = server.id;
    const before = client.counters.received;
    driver.execute([{ type: 'send-control', packet: bytes('hello'), to }]);
    let heard = 0;
    client.watch({ readable: () => void heard++, writable: () => {}, failed: () => {} });
    clock.advanceBy(10);
    expect(heard).toBeGreaterThan(before);
    driver.execute([
      { type: 'close-link', link: server.id },
      { type: 'close-link', link: server.id },
      { type: 'send-control', packet: bytes('late'), to },
    ]);
    expect(server.isClosed).toBe(true);
    expect(tunnel.lost).toEqual([]);
  });

  test('that end are closed and told of; a datagram link that breaks ends the run', async () => {
    const { clock, network, driver, tunnel, link } = scene();
    const [client, server] = network.openStream(['192.0.2.3', 4000], ['192.0.2.1', 1194]);
    driver.addLink(server);
    client.close();
    clock.advanceBy(10);
    expect(tunnel.lost).toEqual([server.id]);
    expect(server.isClosed).toBe(true);
    link.fail(new Error('gone'));
    clock.advanceBy(10);
    await expect(driver.ended).rejects.toThrow('gone');
  });
});

describe('signals of the system', () => {
  test('let the tunnel say goodbye', async () => {
    const { driver, tunnel } = scene();
    inbox.raise({ signal: 'SIGTERM', source: 'hard', text: '' });
    expect(tunnel.exits).toEqual(['SIGTERM']);
    expect(await driver.ended).toEqual({ signal: 'SIGTERM', source: 'hard', text: '' });
    expect(inbox.pending).toBeUndefined();
  });

  test('that came before it was made count too', async () => {
    inbox.raise({ signal: 'SIGHUP', source: 'hard', text: '' });
    const { driver, tunnel } = scene();
    expect(tunnel.exits).toEqual(['SIGHUP']);
    expect((await driver.ended).signal).toBe('SIGHUP');
  });

  test('raised by the program end it at once', async () => {
    const { driver, tunnel } = scene();
    inbox.raise(SOFT);
    expect(tunnel.exits).toEqual([]);
    expect(await driver.ended).toEqual(SOFT);
  });

  test('wait for whoever comes next once it is stopped', () => {
    const { driver, tunnel } = scene();
    driver.stop();
    inbox.raise({ signal: 'SIGTERM', source: 'hard', text: '' });
    expect(tunnel.exits).toEqual([]);
    expect(inbox.pending?.signal).toBe('SIGTERM');
  });
});

describe('what may break', () => {
  test('a device that vanishes: the run starts anew', async () => {
    const { clock, driver, lines } = scene();
    const device = new SimTun({ clock, name: 'tun7' });
    driver.setDevice(device);
    device.fail(new Error('file descriptor in bad state'));
    clock.advanceBy(1);
    expect(await driver.ended).toEqual({ signal: 'SIGUSR1', source: 'soft', text: DEVICE_LOST });
    expect(lines).toEqual(['file descriptor in bad state']);
  });

  test('a link that is lost: the run fails', async () => {
    const { clock, driver, link } = scene();
    const failure = new Error('network is gone');
    link.fail(failure);
    clock.advanceBy(1);
    await expect(driver.ended).rejects.toBe(failure);
  });

  test('nothing is called after stop, and its links are closed', () => {
    const { clock, driver, tunnel, link, peer } = scene();
    clock.advanceBy(1);
    const { turns } = tunnel;
    driver.stop();
    driver.wake();
    peer.send(bytes('late'), link.localAddress());
    clock.advanceBy(100);
    expect(tunnel.turns).toBe(turns);
    expect(link.isClosed).toBe(true);
  });
});
