import { findDataCipher } from '@openvpnd/keygen';
import type { Parsed, PeerInfo } from '@openvpnd/wire';

/** What `data-ciphers DEFAULT` and an absent `data-ciphers` stand for. */
export const DEFAULT_DATA_CIPHERS = 'AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305';

/** Longest cipher list, in characters. OpenVPN: MAX_NCP_CIPHERS_LENGTH. */
const MAX_CIPHER_LIST_CHARACTERS = 127;

/** Answers a cipher's canonical name, or undefined where it does not exist. */
export type CipherLookup = (name: string) => string | undefined;

/**
 * The ciphers that exist here, by any name that OpenSSL knows them by. Refuses what is not in the table of keygen.
 */
export function canonicalCipher(name: string): string | undefined {
  const alias = /^id-aes(128|192|256)-GCM$/i.exec(name);
  return findDataCipher(alias ? `AES-${alias[1]}-GCM` : name)?.name;
}

/** Replaces the word DEFAULT in a `data-ciphers` list; undefined is the default. OpenVPN 2.7: replace_default_in_ncp_ciphers_option(). */
export function expandDefaultCiphers(list: string | undefined): string {
  return (list ?? 'DEFAULT')
    .split(':')
    .map((name) => (name === 'DEFAULT' ? DEFAULT_DATA_CIPHERS : name))
    .join(':');
}

/**
 * Checks a `data-ciphers` list and makes its names canonical. A name behind `?` is left out where it does not exist; any
 * other unknown name refuses the list, and so does a result that is empty or longer than 127 characters.
 * OpenVPN: mutate_ncp_cipher_list().
 */
export function normaliseCiphers(list: string, lookup: CipherLookup = canonicalCipher): Parsed<readonly string[]> {
  const names: string[] = [];
  for (const entry of list.split(':')) {
    if (entry === '') continue;
    const optional = entry.startsWith('?');
    const name = lookup(optional ? entry.slice(1) : entry);
    if (name !== undefined) names.push(name);
    else if (!optional) return { ok: false, reason: `unsupported cipher: ${entry}` };
  }
  if (names.length === 0) return { ok: false, reason: 'no supported cipher' };
  if (names.join(':').length > MAX_CIPHER_LIST_CHARACTERS) return { ok: false, reason: 'cipher list too long' };
  return { ok: true, value: names };
}

/** The ciphers that a peer announced; empty when it announced none. OpenVPN: tls_peer_ncp_list(). */
export function peerCiphers(peerInfo: PeerInfo): readonly string[] {
  const announced = peerInfo.get('IV_CIPHERS');
  if (announced !== undefined) return announced.split(':').filter((name) => name !== '');
  return announcesNcp2(peerInfo) ? ['AES-256-GCM', 'AES-128-GCM'] : [];
}

/** Whether a `cipher` may be pushed to this peer. OpenVPN: tls_peer_supports_ncp(). */
export function peerSupportsNcp(peerInfo: PeerInfo): boolean {
  return peerInfo.has('IV_CIPHERS') || announcesNcp2(peerInfo);
}

function announcesNcp2(peerInfo: PeerInfo): boolean {
  return Number.parseInt(peerInfo.get('IV_NCP') ?? '', 10) >= 2;
}

/**
 * The server's choice: the first of its own list that the peer announced, or that the peer's options string names, if the
 * peer sent no IV_CIPHERS. Undefined: nothing in common. OpenVPN: ncp_get_best_cipher().
 */
export function negotiateCipher(
  own: readonly string[],
  peerInfo: PeerInfo,
  remoteCipher: string | undefined,
): string | undefined {
  const theirs = peerCiphers(peerInfo).map((name) => name.toUpperCase());
  if (remoteCipher !== undefined && !peerInfo.has('IV_CIPHERS')) theirs.push(remoteCipher.toUpperCase());
  return own.find((name) => theirs.includes(name.toUpperCase()));
}

/** Point to point: the first cipher of the TLS server's list that the TLS client lists too. OpenVPN: p2p_ncp_set_options(). */
export function negotiateP2pCipher(server: readonly string[], client: readonly string[]): string | undefined {
  const theirs = client.map((name) => name.toUpperCase());
  return server.find((name) => theirs.includes(name.toUpperCase()));
}

/** Outcome of the client's choice; the events of a refusal are OpenVPN's `OPTIONS ERROR` lines. */
export type ClientCipherChoice =
  | { readonly ok: true; readonly cipher: string; readonly how: 'pushed' | 'options-string' | 'fallback' }
  | {
      readonly ok: false;
      readonly event: 'not-allowed' | 'remote-cipher-not-allowed' | 'no-cipher';
      readonly cipher?: string;
    };

/**
 * The client's choice after the push: the pushed cipher if it is allowed; without one, what the server's options string
 * names ("poor man's NCP") if it is allowed; with neither, the fallback. OpenVPN: check_pull_client_ncp().
 */
export function chooseClientCipher(options: {
  readonly pushed: string | undefined;
  readonly remoteCipher: string | undefined;
  readonly dataCiphers: readonly string[];
  readonly fallback: string | undefined;
}): ClientCipherChoice {
  const { pushed, remoteCipher, dataCiphers, fallback } = options;
  const allowed = (name: string): string | undefined =>
    [...dataCiphers, ...(fallback === undefined ? [] : [fallback])].find(
      (own) => own.toUpperCase() === (canonicalCipher(name) ?? name).toUpperCase(),
    );
  if (pushed !== undefined) {
    const cipher = allowed(pushed);
    return cipher === undefined
      ? { ok: false, event: 'not-allowed', cipher: pushed }
      : { ok: true, cipher, how: 'pushed' };
  }
  if (remoteCipher !== undefined) {
    const cipher = allowed(remoteCipher);
    return cipher === undefined
      ? { ok: false, event: 'remote-cipher-not-allowed', cipher: remoteCipher }
      : { ok: true, cipher, how: 'options-string' };
  }
  return fallback === undefined ? { ok: false, event: 'no-cipher' } : { ok: true, cipher: fallback, how: 'fallback' };
}
