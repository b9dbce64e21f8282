import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ConnectionEntry, Options } from '@openvpnd/config';
import type { LinkFactory, LinkMaker, LinkOpening, LinkSocket, ListenWatcher, Transport } from '@openvpnd/external-mux';
import { FatalError } from '../run.js';
import { moduleLoaded } from './module-faults.js';

/** The modules of `--transport`, by the names that the configuration gives them. */
export type TransportModules = ReadonlyMap<string, Transport>;

/**
 * Loads the transports that the configuration names, each once: a file when the name begins with `/` or `.`, seen from the working directory; else a package that is
 * installed beside the daemon.
 *
 * @throws FatalError that names the module and what is wrong with it
 */
export async function loadTransports(options: Options): Promise<TransportModules> {
  const modules = new Map<string, Transport>();
  for (const { transport } of [...options.connections, ...options.listeners]) {
    if (transport !== undefined && !modules.has(transport.module)) {
      modules.set(transport.module, await load(transport.module));
    }
  }
  return modules;
}

async function load(module: string): Promise<Transport> {
  let loaded: { readonly default?: unknown };
  try {
    const place = /^[./]/.test(module) ? pathToFileURL(resolve(module)).href : import.meta.resolve(module);
    moduleLoaded(module, place);
    loaded = await import(place);
  } catch (error) {
    throw new FatalError(`--transport: cannot load '${module}': ${reasonOf(error)}`, { cause: error });
  }
  if (typeof loaded.default !== 'function') {
    throw new FatalError(`--transport: '${module}' has no default export that is a function: see docs/sockets.md`);
  }
  return loaded.default as Transport;
}

/** What makes the links of an entry or listener with a transport. */
export interface TransportLinkOptions {
  readonly modules: TransportModules;
  readonly entry: ConnectionEntry;
  readonly role: 'client' | 'server';
  readonly links: LinkMaker;
  readonly say: (line: string) => void;
}

/**
 * The links of an entry or listener that a module carries; undefined when none is asked for.
 *
 * @throws FatalError when the module refuses, or carries another kind of link than `--proto` says
 */
export function transportLinks({ modules, entry, role, links, say }: TransportLinkOptions): LinkFactory | undefined {
  const { transport, remote, protocol } = entry;
  if (transport === undefined) return undefined;
  const { module, args } = transport;
  const make = modules.get(module);
  if (make === undefined) throw new TypeError(`the transport ${module} was not loaded`);
  let made: unknown;
  try {
    made = make({ args, role, links, log: say, ...(remote === undefined ? {} : { remote }) });
  } catch (error) {
    throw refused(module, error);
  }
  if (!isLinkFactory(made)) {
    throw new FatalError(
      `--transport ${module}: its default export returned no LinkFactory, an object with protocol 'udp' or 'tcp', connect() and listen(), and no promise of one: see docs/sockets.md`,
    );
  }
  if (made.protocol !== protocol.transport) {
    throw new FatalError(
      `--transport ${module} carries packets as ${made.protocol} does, and this is --proto ${protocol.transport}: write 'proto ${made.protocol}' beside it`,
    );
  }
  return answerable(made, module);
}

/** The module is not ours: its code has been checked by nobody. */
function isLinkFactory(value: unknown): value is LinkFactory {
  if (typeof value !== 'object' || value === null) return false;
  const { protocol, connect, listen } = value as Partial<LinkFactory>;
  return (protocol === 'udp' || protocol === 'tcp') && typeof connect === 'function' && typeof listen === 'function';
}

/** The same links; what the module throws or refuses when they are asked for is told as the module's, and not as a bug of ours. */
function answerable(factory: LinkFactory, module: string): LinkFactory {
  return {
    protocol: factory.protocol,
    connect: (where, opened) => {
      try {
        const checked = (result: LinkOpening): void => opened(proper(result, module));
        return taken(factory.connect(where, checked), 'connect', 'cancel');
      } catch (error) {
        throw refused(module, error);
      }
    },
    listen: (where, watcher) => {
      const told: ListenWatcher = {
        listening: (local) => watcher.listening(local),
        link: (link, from) => {
          if (!isLink(link)) throw badLink(module, 'link()');
          watcher.link(link, from);
        },
        crowded: (error) => watcher.crowded(error),
        failed: (error) => watcher.failed(refused(module, error)),
      };
      try {
        return taken(factory.listen(where, told), 'listen', 'close');
      } catch (error) {
        throw refused(module, error);
      }
    },
  };
}

/** The result, if it is one: what is wrong with it is thrown in the module's own callback. */
function proper(result: LinkOpening, module: string): LinkOpening {
  const { ok, link, remote, error } = (result ?? {}) as {
    ok?: unknown;
    link?: unknown;
    remote?: unknown;
    error?: unknown;
  };
  if (ok === true && isLink(link) && remote instanceof Uint32Array) return result;
  if (ok === false) return error instanceof Error ? result : { ok, error: refused(module, error) };
  throw badLink(module, 'the callback of connect()');
}

const LINK_METHODS = [
  'localAddress',
  'receiveBatch',
  'sendBatch',
  'send',
  'watch',
  'pause',
  'resume',
  'close',
] as const;

function isLink(value: unknown): value is LinkSocket {
  return LINK_METHODS.every((method) => typeof (value as Partial<LinkSocket> | undefined)?.[method] === 'function');
}

function badLink(module: string, where: string): FatalError {
  return new FatalError(
    `--transport ${module}: it gave ${where} something that is no link with its remote: make links with links.stream() or links.packets(), see docs/sockets.md`,
  );
}

/** What can be taken back, as whoever asked for it will want to. */
function taken<T>(value: T, asked: string, method: keyof T & string): T {
  if (typeof value?.[method] === 'function') return value;
  throw new FatalError(`${asked}() returned nothing with ${method}(): see docs/sockets.md`);
}

function refused(module: string, error: unknown): FatalError {
  return new FatalError(`--transport ${module}: ${reasonOf(error)}`, { cause: error });
}

/** Anything can be thrown. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
