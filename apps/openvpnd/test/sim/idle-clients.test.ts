import { queryObjects } from 'node:v8';
import { Secret } from '@openvpnd/sans-io';
import { expect, test } from 'vitest';
import { SimWorld } from './sim-world.js';

/** A client's and its server's: of the data channel's two directions eight, of epochs two and the next one's. */
const SECRETS_OF_BOTH_ENDS = 2 * (2 * 4 + 3);

test('an idle client and its server keep the secrets of their keys and no others', () => {
  const world = new SimWorld({ seed: 3 });
  const server = world.server();
  const before = queryObjects(Secret, { format: 'count' });
  const clients = world.clients(20);
  world.until('connected', () => server.connected === 20 && clients.every((client) => client.connected), 60);
  world.advanceSeconds(60);
  expect((queryObjects(Secret, { format: 'count' }) - before) / 20).toBeLessThanOrEqual(SECRETS_OF_BOTH_ENDS);
});
