import { IV_PROTO_PUSH_UPDATE } from '@openvpnd/wire';
import { describe, expect, test } from 'vitest';
import { ownIvProto } from '../src/index.js';
import { World } from './two-peers.js';

const ALL = ownIvProto('p2mp', { exporter: true });

function connected(options: ConstructorParameters<typeof World>[0] = {}): World {
  const world = new World(options);
  world.connect();
  world.clock.advanceBy(3000);
  return world;
}

function update(world: World, ...messages: string[]): void {
  const { server } = world;
  server.run(server.multi.sendPushUpdate(world.clock.now(), messages));
  world.clock.advanceBy(3000);
}

describe('PUSH_UPDATE', () => {
  test('is announced, and its parts come as one change', () => {
    const world = connected();
    expect(ALL & IV_PROTO_PUSH_UPDATE).not.toBe(0);
    expect(world.server.multi.takesPushUpdate).toBe(true);
    update(
      world,
      'PUSH_UPDATE,-dns,route 10.1.0.0,push-continuation 2',
      'PUSH_UPDATE, route 10.2.0.0,push-continuation 2',
      'PUSH_UPDATE,?block-ipv6,push-continuation 1',
    );
    expect(world.client.all('push-update')).toEqual([
      { type: 'push-update', options: ['-dns', 'route 10.1.0.0', ' route 10.2.0.0', '?block-ipv6'] },
    ]);
    update(world, 'PUSH_UPDATE,topology subnet');
    expect(world.client.all('push-update')).toHaveLength(2);
    // The options that were pulled stay as they were told.
    expect(world.client.all('pull')).toHaveLength(1);
  });

  test('does not go to a client that has not announced it', () => {
    const world = connected({ client: { settings: { ivProto: ALL & ~IV_PROTO_PUSH_UPDATE } } });
    expect(world.server.multi.takesPushUpdate).toBe(false);
    update(world, 'PUSH_UPDATE,topology subnet');
    expect(world.client.all('push-update')).toEqual([]);
    expect(world.server.logged('control.sent').filter(({ text }) => `${text}`.startsWith('PUSH_UPDATE'))).toEqual([]);
  });

  test('does not go to a client that has no options yet, and is not taken by one', () => {
    const world = new World({ server: { automatic: false } });
    world.start();
    world.clock.advanceBy(3000);
    const { server, client } = world;
    server.run(server.multi.handleVerdict(server.now, server.all('verify')[0]!.requestId, { type: 'accept' }));
    world.clock.advanceBy(3000);
    expect(server.all('push-request')).toHaveLength(1);
    expect(server.multi.takesPushUpdate).toBe(false);
    // A server that does so all the same.
    server.run(server.multi.sendControlMessage(server.now, 'PUSH_UPDATE,topology subnet'));
    world.clock.advanceBy(3000);
    expect(client.logged('push.update-too-early')).toHaveLength(1);
    expect(client.all('push-update')).toEqual([]);
  });

  test('waits for the end of a renegotiation, and passes a lossy path', () => {
    const world = connected({ conditions: { loss: 0.3, delayMs: 20 }, seed: 3 });
    const { server, client } = world;
    server.run(server.multi.renegotiate(server.now, 'sec'));
    update(world, 'PUSH_UPDATE,route 10.1.0.0');
    world.clock.advanceBy(60_000);
    expect(client.all('push-update')).toEqual([{ type: 'push-update', options: ['route 10.1.0.0'] }]);
    expect(server.keys.has(1)).toBe(true);
  });

  test('without end is refused', () => {
    const world = connected();
    const { server, client } = world;
    for (let part = 0; part < 1200; part += 1) {
      const options = `route 10.0.0.${part % 255}`.padEnd(900, ' ');
      server.run(server.multi.sendPushUpdate(server.now, [`PUSH_UPDATE,${options},push-continuation 2`]));
      world.clock.advanceBy(20);
    }
    world.clock.advanceBy(3000);
    expect(client.logged('push.too-large')).toHaveLength(1);
    expect(client.all('push-update')).toEqual([]);
    update(world, 'PUSH_UPDATE,topology subnet,push-continuation 1');
    expect(client.all('push-update')).toHaveLength(1);
  });

  test('is nothing that a client sends', () => {
    const world = connected();
    const { server, client } = world;
    client.run(client.multi.sendControlMessage(client.now, 'PUSH_UPDATE,topology subnet'));
    world.clock.advanceBy(3000);
    expect(server.all('push-update')).toEqual([]);
    expect(client.multi.takesPushUpdate).toBe(false);
  });
});
