import { createHash } from 'node:crypto';
import type { PeerCertificate } from '../ports.js';
import { describeKey, readPeerCertificate } from './peer-certificate.js';

/** Authorities, and the clients that come again: each renegotiation shows the same certificates. At about 4 KiB each. */
const MAX_KNOWN = 512;
/** A longer one is read each time: strangers show what they like before they are refused. */
const MAX_KNOWN_BYTES = 8192;

/** What is known of one certificate, whoever shows it. */
export interface KnownCertificate {
  readonly facts: Omit<PeerCertificate, 'depth'>;
  /** {@link describeKey}, made when it is first asked for. */
  readonly key: string;
}

/** What certificates were read to be, by their hash, so that each is parsed once. The oldest is forgotten. */
export class KnownCertificates {
  readonly #known: Map<string, KnownCertificate> = new Map();

  /** Throws as {@link readPeerCertificate}. */
  read(der: Uint8Array): KnownCertificate {
    const hash = createHash('sha256').update(der).digest('base64');
    const known = this.#known.get(hash);
    if (known !== undefined) return known;
    const facts = readPeerCertificate(der);
    let key: string | undefined;
    const read = {
      facts,
      get key(): string {
        key ??= describeKey(facts.raw);
        return key;
      },
    };
    if (der.length > MAX_KNOWN_BYTES) return read;
    const [oldest] = this.#known.keys();
    if (this.#known.size === MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(hash, read);
    return read;
  }
}
