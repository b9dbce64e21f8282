import type { TlsEngine, TlsEngineFactory } from '@openvpnd/control-tls';
import { emitKeyMethod2Client, parseKeyMethod2Client } from '@openvpnd/wire';

/** What an older client says of itself where ours says more. */
export interface OlderClient {
  /** Instead of its own; undefined: none at all, as before OpenVPN 2.3. */
  readonly peerInfo: string | undefined;
  /** What becomes of its options string. */
  readonly optionsString?: (text: string) => string;
}

/**
 * Engines through which a client looks like an older one: its message of the key exchange is changed before it is sealed. A server
 * answers as it would to that one; to the client it looks like a server that does not know what it announced.
 */
export function olderClientEngines(engines: TlsEngineFactory, older: OlderClient): TlsEngineFactory {
  return {
    create: (options) => {
      const engine = engines.create(options);
      let first = true;
      return wrapped(engine, (bytes) => {
        if (!first) return bytes;
        first = false;
        return changed(bytes, older);
      });
    },
  };
}

function changed(bytes: Uint8Array, { peerInfo, optionsString }: OlderClient): Uint8Array {
  const parsed = parseKeyMethod2Client(bytes);
  if (!parsed.ok) throw new Error(parsed.reason);
  const { value } = parsed;
  return emitKeyMethod2Client({
    ...value,
    optionsString: optionsString?.(value.optionsString ?? '') ?? value.optionsString ?? '',
    peerInfo,
  });
}

function wrapped(engine: TlsEngine, outgoing: (bytes: Uint8Array) => Uint8Array): TlsEngine {
  return {
    start: () => engine.start(),
    writeCiphertext: (bytes) => engine.writeCiphertext(bytes),
    writePlaintext: (bytes) => engine.writePlaintext(outgoing(bytes)),
    plaintextPending: () => engine.plaintextPending(),
    takeEvents: () => engine.takeEvents(),
    exportKeyingMaterial: (label, length) => engine.exportKeyingMaterial(label, length),
    close: () => engine.close(),
  };
}
