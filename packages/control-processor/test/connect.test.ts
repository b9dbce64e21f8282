import { describe, expect, test } from 'vitest';
import { World } from './two-peers.js';

describe('a client and a server', () => {
  test('connect, agree and have each other’s keys', () => {
    const world = new World();
    world.connect();
    const { client, server } = world;
    expect(client.multi.negotiated).toEqual(server.multi.negotiated);
    expect(client.multi.negotiated).toEqual({
      cipher: 'AES-256-GCM',
      peerId: 5,
      keyDerivation: 'tls-ekm',
      ccExit: true,
      dynamicTlsCrypt: false,
    });
    world.traffic(10, world.clock.now() + 100);
    world.clock.advanceBy(200);
    expect(client.received).toBe(server.sent);
    expect(server.received).toBe(client.sent);
    expect(client.undecipherable + server.undecipherable).toBe(0);
    expect(client.all('pull')[0]?.options).toEqual([
      'route 10.0.0.0 255.0.0.0',
      'ifconfig 10.8.0.2 255.255.255.0',
      'peer-id 5',
      'cipher AES-256-GCM',
      'protocol-flags cc-exit tls-ekm',
      'tun-mtu 1500',
    ]);
  });
});
