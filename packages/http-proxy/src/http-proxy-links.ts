import type {
  ByteStream,
  LinkConnectOptions,
  LinkEnds,
  LinkFactory,
  LinkOpening,
  PendingLink,
} from '@openvpnd/external-mux';
import { ConnectExchange, type ExchangeStep } from './connect-exchange.js';
import { HttpProxyError } from './http-proxy-error.js';
import type { HttpProxyOptions } from './http-proxy-options.js';
import type { Md4 } from './ntlm.js';

/**
 * Links to a server behind an HTTP proxy. `connect` goes to an address of the proxy, which is the link's remote, and asks it for a tunnel to the target; the tunnel
 * carries packets as TCP does. Nobody can be waited for through a proxy: `listen` fails. OpenVPN: `--http-proxy`.
 */
export function httpProxyLinks(options: HttpProxyOptions): LinkFactory {
  return {
    protocol: 'tcp',
    connect: (where, opened) => new ProxyConnect(options, where, opened),
    listen: (_where, watcher) => {
      queueMicrotask(() => watcher.failed(new HttpProxyError('--http-proxy MUST be used in TCP Client mode')));
      return { close: () => {} };
    },
  };
}

class ProxyConnect implements PendingLink {
  readonly #options: HttpProxyOptions;
  readonly #where: LinkConnectOptions;
  #opened: ((result: LinkOpening) => void) | undefined;
  #dial: PendingLink | undefined;
  #stream: ByteStream | undefined;

  constructor(options: HttpProxyOptions, where: LinkConnectOptions, opened: (result: LinkOpening) => void) {
    this.#options = options;
    this.#where = where;
    this.#opened = opened;
    void loadMd4().then((md4) => {
      if (this.#opened !== undefined) this.#connect(new ConnectExchange({ ...options, md4 }));
    });
  }

  cancel(): void {
    if (this.#opened === undefined) return;
    this.#opened = undefined;
    this.#dial?.cancel();
    this.#stream?.destroy();
  }

  overdue(): Error | undefined {
    if (this.#stream === undefined) return undefined;
    return new HttpProxyError(
      'HTTP proxy: it took the connection and does not answer (is it an HTTP proxy? --connect-timeout is how long it may take)',
    );
  }

  #connect(exchange: ConnectExchange): void {
    this.#dial = this.#options.links.dial(this.#where, (result) => {
      if (!result.ok) return this.#finish(result);
      this.#options.log?.info('http-proxy.connected', { ...this.#where.remote });
      this.#converse(exchange, result.stream, result.ends);
    });
  }

  #converse(exchange: ConnectExchange, stream: ByteStream, ends: LinkEnds): void {
    this.#stream = stream;
    let left = false;
    const read = (chunk: Uint8Array): void => execute(exchange.handleBytes(chunk));
    // An error may come late, when the stream is nobody's any more.
    const over = (): void => {
      if (!left) execute(exchange.handleEnd());
    };
    const leave = (): void => {
      left = true;
      stream.off('data', read);
      stream.off('end', over);
      stream.off('close', over);
    };
    const execute = (step: ExchangeStep): void => {
      switch (step.type) {
        case 'wait':
          return;
        case 'send':
          stream.write(step.bytes, () => {});
          return;
        case 'reconnect':
          leave();
          stream.destroy();
          this.#stream = undefined;
          this.#connect(exchange);
          return;
        case 'open':
          leave();
          stream.off('error', over);
          this.#stream = undefined;
          this.#finish({ ok: true, ...this.#options.links.stream(stream, ends, step.first) });
          return;
        case 'failed':
          leave();
          stream.destroy();
          this.#finish({ ok: false, error: step.error });
          return;
      }
    };
    stream.on('data', read);
    stream.on('end', over);
    stream.on('close', over);
    stream.on('error', over);
    execute(exchange.start());
  }

  #finish(result: LinkOpening): void {
    const opened = this.#opened;
    this.#opened = undefined;
    opened?.(result);
  }
}

/** One hash for the process, compiled when a proxy is first used. */
let hash: Promise<Md4> | undefined;

function loadMd4(): Promise<Md4> {
  hash ??= import('hash-wasm')
    .then(({ createMD4 }) => createMD4())
    .then((hasher) => (bytes) => hasher.init().update(bytes).digest('binary'));
  return hash;
}
