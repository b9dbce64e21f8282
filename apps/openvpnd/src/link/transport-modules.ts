import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ConnectionEntry, Options } from '@openvpnd/config';
import type { LinkFactory, LinkMaker, Transport } from '@openvpnd/external-mux';
import { FatalError } from '../run.js';

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
  const place = /^[./]/.test(module) ? pathToFileURL(resolve(module)).href : module;
  let loaded: { readonly default?: unknown };
  try {
    loaded = await import(place);
  } catch (error) {
    throw new FatalError(`--transport: cannot load '${module}': ${(error as Error).message}`, { cause: error });
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
  let factory: LinkFactory;
  try {
    factory = make({ args, role, links, log: say, ...(remote === undefined ? {} : { remote }) });
  } catch (error) {
    throw new FatalError(`--transport ${module}: ${(error as Error).message}`, { cause: error });
  }
  if (factory.protocol !== protocol.transport) {
    throw new FatalError(
      `--transport ${module} carries packets as ${factory.protocol} does, and this is --proto ${protocol.transport}: write 'proto ${factory.protocol}' beside it`,
    );
  }
  return factory;
}
