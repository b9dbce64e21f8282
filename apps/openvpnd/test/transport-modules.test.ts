import type { ConnectionEntry } from '@openvpnd/config';
import type { LinkFactory, ListenWatcher } from '@openvpnd/external-mux';
import { describe, expect, test } from 'vitest';
import { transportLinks } from '../src/link/transport-modules.js';

/** The links of a module whose default export is `make`, in a server with `proto udp`. */
function linksOf(make: () => unknown): LinkFactory | undefined {
  return transportLinks({
    modules: new Map([['./mine.mjs', make as never]]),
    entry: {
      transport: { module: './mine.mjs', args: [] },
      protocol: { transport: 'udp' },
    } as unknown as ConnectionEntry,
    role: 'server',
    links: {} as never,
    say: () => {},
  });
}

const WORKS: LinkFactory = {
  protocol: 'udp',
  connect: () => ({ cancel: () => {} }),
  listen: () => ({ close: () => {} }),
};
const WATCHER: ListenWatcher = { listening: () => {}, link: () => {}, crowded: () => {}, failed: () => {} };
const FATAL = { code: 'ERR_FATAL' };

describe('a module of --transport', () => {
  test('is used when it makes links', () => {
    const links = linksOf(() => WORKS);
    expect(links?.protocol).toBe('udp');
    expect(links?.connect({} as never, () => {})).toHaveProperty('cancel');
    expect(links?.listen({} as never, WATCHER)).toHaveProperty('close');
  });

  test.each([null, undefined, 'text', {}, { protocol: 'udp' }, { ...WORKS, protocol: 'sctp' }, Promise.resolve(WORKS)])(
    'that makes none is refused with what it should have made: %o',
    (made) => {
      expect(() => linksOf(() => made)).toThrow(
        expect.objectContaining({ ...FATAL, message: expect.stringMatching(/mine\.mjs: .*returned no LinkFactory/) }),
      );
    },
  );

  test('of another kind than --proto is refused, with the cure', () => {
    expect(() => linksOf(() => ({ ...WORKS, protocol: 'tcp' }))).toThrow("write 'proto tcp' beside it");
  });

  test.each([
    [new Error('no'), 'no'],
    ['text', 'text'],
    [null, 'null'],
    [undefined, 'undefined'],
  ])('may throw %o at any time, and is named', (thrown, text) => {
    const fail = (): never => {
      throw thrown;
    };
    const message = `--transport ./mine.mjs: ${text}`;
    const expected = expect.objectContaining({ ...FATAL, message });
    expect(() => linksOf(fail)).toThrow(expected);
    const links = linksOf(() => ({ ...WORKS, connect: fail, listen: fail }));
    expect(() => links?.connect({} as never, () => {})).toThrow(expected);
    expect(() => links?.listen({} as never, WATCHER)).toThrow(expected);
    const told: unknown[] = [];
    linksOf(() => ({
      ...WORKS,
      listen: (_where: unknown, watcher: ListenWatcher) => {
        watcher.failed(thrown as Error);
        return { close: () => {} };
      },
    }))?.listen({} as never, { ...WATCHER, failed: (error) => told.push(error) });
    expect(told).toEqual([expected]);
  });

  test('that gives something else than a link is named, in its own callback', () => {
    const link = Object.fromEntries(
      ['localAddress', 'receiveBatch', 'sendBatch', 'send', 'watch', 'pause', 'resume', 'close'].map((name) => [
        name,
        () => {},
      ]),
    );
    const opened: unknown[] = [];
    let tell: (result: never) => void = () => {};
    let arrived: (link: never) => void = () => {};
    const links = linksOf(() => ({
      ...WORKS,
      connect: (_where: unknown, callback: typeof tell) => {
        tell = callback;
        return { cancel: () => {} };
      },
      listen: (_where: unknown, watcher: ListenWatcher) => {
        arrived = (value) => watcher.link(value, undefined);
        return { close: () => {} };
      },
    }));
    links?.connect({} as never, (result) => opened.push(result));
    links?.listen({} as never, { ...WATCHER, link: (value) => opened.push(value) });
    const noLink = expect.objectContaining({
      ...FATAL,
      message: expect.stringMatching(/mine\.mjs: it gave .* no link/),
    });
    const remote = new Uint32Array(8);
    for (const junk of [undefined, null, 1, {}, { ok: true }, { ok: true, link: {}, remote }, { ok: true, link }]) {
      expect(() => tell(junk as never)).toThrow(noLink);
      expect(() => arrived(junk as never)).toThrow(noLink);
    }
    expect(opened).toEqual([]);
    tell({ ok: true, link, remote } as never);
    tell({ ok: false, error: 'text' } as never);
    arrived(link as never);
    expect(opened).toEqual([
      { ok: true, link, remote },
      { ok: false, error: expect.objectContaining({ message: '--transport ./mine.mjs: text' }) },
      link,
    ]);
  });

  test('has to answer with what takes links back', () => {
    const links = linksOf(() => ({ ...WORKS, connect: () => null, listen: () => undefined }));
    expect(() => links?.connect({} as never, () => {})).toThrow('connect() returned nothing with cancel()');
    expect(() => links?.listen({} as never, WATCHER)).toThrow('listen() returned nothing with close()');
  });
});
