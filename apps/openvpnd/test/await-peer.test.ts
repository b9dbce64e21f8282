import { parseConfigText } from '@openvpnd/config';
import type { LinkFactory, ListenWatcher } from '@openvpnd/external-mux';
import { afterEach, describe, expect, test } from 'vitest';
import { awaitPeer } from '../src/client/await-peer.js';
import type { ClientLinkRequest, ClientLinks } from '../src/client/client-link-request.js';
import { SignalInbox } from '../src/host/signals.js';

const inboxes: SignalInbox[] = [];
afterEach(() => {
  for (const inbox of inboxes.splice(0)) inbox.close();
});

/** A point that waits at two addresses, over a transport that answers when it is told to. */
function waiting(transport: 'udp' | 'tcp'): {
  readonly inbox: SignalInbox;
  readonly links: Promise<ClientLinks>;
  readonly watchers: ListenWatcher[];
  readonly closed: string[];
} {
  const text = `dev tun\nsecret key\nifconfig 10.0.0.1 10.0.0.2\nlocal 127.0.0.1\nproto ${transport === 'tcp' ? 'tcp-server' : 'udp'}\n`;
  const parsed = parseConfigText(text, 'point.conf');
  if (!parsed.ok || parsed.standAlone !== undefined) throw new Error(JSON.stringify(parsed));
  const { options } = parsed;
  const inbox = new SignalInbox();
  inboxes.push(inbox);
  const watchers: ListenWatcher[] = [];
  const closed: string[] = [];
  const factory: LinkFactory = {
    protocol: transport,
    connect: () => {
      throw new Error('it waits');
    },
    listen: (_where, watcher) => {
      watchers.push(watcher);
      return { close: () => closed.push('listener') };
    },
  };
  const log = { say: () => {}, events: () => ({ warn: () => {} }) };
  const run = { options, inbox, log, passedSockets: [] } as never;
  const request = { entry: options.connections[0], factory, remotes: [], locals: undefined } as unknown;
  return { inbox, links: awaitPeer(run, request as ClientLinkRequest), watchers, closed };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe.each(['udp', 'tcp'] as const)('a point that waits for its peer, %s', (transport) => {
  test('ends at a signal while its transport has not answered', async () => {
    const { inbox, links, watchers, closed } = waiting(transport);
    await turn();
    expect(watchers).toHaveLength(1);
    inbox.raise({ signal: 'SIGTERM', source: 'hard', text: '' });
    expect(await links).toMatchObject({ ok: false, info: { signal: 'SIGTERM' } });
    expect(closed).toEqual(['listener']);
    expect(inbox.pending).toBeUndefined();
  });

  test('is told why its transport does not listen', async () => {
    const { links, watchers } = waiting(transport);
    await turn();
    watchers[0].failed(new Error('the address is taken'));
    await expect(links).rejects.toThrow('the address is taken');
  });
});
