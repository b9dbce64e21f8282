import type { ProtocolFlag } from './negotiated-options.js';

/** What a server's push decides about the data channel. */
export interface PulledOptions {
  /** `cipher X`. */
  readonly cipher: string | undefined;
  /** `peer-id N`; undefined: P_DATA_V1. */
  readonly peerId: number | undefined;
  /** `key-derivation tls-ekm`, or the flag. */
  readonly keyDerivation: 'tls-ekm' | 'prf';
  readonly protocolFlags: readonly ProtocolFlag[];
  /** What of it could not be understood: a reason to restart. */
  readonly unsupported: readonly string[];
}

const FLAGS: readonly ProtocolFlag[] = ['cc-exit', 'tls-ekm', 'dyn-tls-crypt', 'aead-epoch'];

/**
 * Reads the options of a push (already filtered) that concern {@link TlsMulti}; the others are skipped. Of an option that comes
 * twice the last one counts. OpenVPN: add_option() for peer-id, cipher, key-derivation, protocol-flags.
 */
export function readPulledOptions(options: readonly string[]): PulledOptions {
  let cipher: string | undefined;
  let peerId: number | undefined;
  let ekm = false;
  let protocolFlags: readonly ProtocolFlag[] = [];
  const unsupported: string[] = [];
  for (const option of options) {
    const [name, ...parameters] = option.trim().split(/\s+/);
    switch (name) {
      case 'cipher':
        if (parameters.length === 1) cipher = parameters[0];
        else unsupported.push(option);
        break;
      case 'peer-id': {
        const id = /^\d{1,8}$/.test(parameters[0] ?? '') ? Number(parameters[0]) : Number.NaN;
        // 0xffffff is "no peer id": P_DATA_V2 without look-up is of no use to a client, but legal.
        if (id <= 0xffffff) peerId = id;
        else unsupported.push(option);
        break;
      }
      case 'key-derivation':
        if (parameters[0] === 'tls-ekm') ekm = true;
        else unsupported.push(option);
        break;
      case 'protocol-flags':
        protocolFlags = FLAGS.filter((flag) => parameters.includes(flag));
        if (parameters.some((parameter) => !(FLAGS as readonly string[]).includes(parameter))) unsupported.push(option);
        break;
    }
  }
  return {
    cipher,
    peerId,
    keyDerivation: ekm || protocolFlags.includes('tls-ekm') ? 'tls-ekm' : 'prf',
    protocolFlags,
    unsupported,
  };
}
