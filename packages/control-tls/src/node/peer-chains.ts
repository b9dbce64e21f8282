import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { type KnownCertificate, KnownCertificates } from './known-certificates.js';

/** Certificates of a chain that are looked at; OpenSSL's own limit is larger than any honest chain too. */
const MAX_CHAIN_LENGTH = 100;

/** Of all engines of this thread. */
const knownCertificates = new KnownCertificates();

/**
 * Tells the chain of a peer, from its own certificate upwards, with those that it left out because we have them. OpenSSL has judged the chain before; this is
 * what is told of it.
 */
export class PeerChains {
  readonly #authorities: readonly X509Certificate[];
  /** Of certificates that one of ours has issued: it, and those above it. */
  readonly #issuers: WeakMap<KnownCertificate, readonly KnownCertificate[]> = new WeakMap();

  /** @param authorities PEM, one each: who is trusted */
  constructor(authorities: readonly string[]) {
    this.#authorities = authorities.map((pem) => new X509Certificate(pem));
  }

  /** Of the peer of a connection. Empty when it showed none, undefined when one cannot be read. */
  read(socket: TLSSocket): readonly KnownCertificate[] | undefined {
    try {
      const { raw } = socket.getPeerCertificate(false);
      if (raw === undefined) return [];
      const own = knownCertificates.read(raw);
      const issuers = this.#issuersOf(own);
      return issuers.length === 0 ? detailedChain(socket) : [own, ...issuers];
    } catch {
      return undefined;
    }
  }

  /**
   * Where one of ours has issued the peer's own certificate, as is usual, the rest is known: node:tls, asked for it, makes a dozen texts of each certificate,
   * and OpenSSL keeps for each connection what it computes for that.
   */
  #issuersOf(own: KnownCertificate): readonly KnownCertificate[] {
    const before = this.#issuers.get(own);
    if (before !== undefined) return before;
    const issuers: KnownCertificate[] = [];
    let certificate = new X509Certificate(own.facts.raw);
    while (issuers.length < MAX_CHAIN_LENGTH && !certificate.checkIssued(certificate)) {
      const issuer = issuerOf(certificate, this.#authorities);
      if (issuer === undefined) break;
      issuers.push(knownCertificates.read(issuer.raw));
      certificate = issuer;
    }
    this.#issuers.set(own, issuers);
    return issuers;
  }
}

/** By name and key identifier; where that leaves a choice, who has signed. */
function issuerOf(certificate: X509Certificate, authorities: readonly X509Certificate[]): X509Certificate | undefined {
  const possible = authorities.filter((authority) => certificate.checkIssued(authority));
  if (possible.length < 2) return possible[0];
  return possible.find((authority) => certificate.verify(authority.publicKey));
}

/** As node:tls tells it. */
function detailedChain(socket: TLSSocket): readonly KnownCertificate[] {
  const chain: KnownCertificate[] = [];
  let certificate = socket.getPeerCertificate(true);
  while (certificate?.raw !== undefined && chain.length < MAX_CHAIN_LENGTH) {
    chain.push(knownCertificates.read(certificate.raw));
    // A self-signed certificate is its own issuer.
    if (certificate.issuerCertificate === certificate || certificate.issuerCertificate?.raw?.equals(certificate.raw)) {
      break;
    }
    certificate = certificate.issuerCertificate;
  }
  return chain;
}
