import type { PeerCertificate, TlsEngine, TlsEngineFactory, TlsEvent } from '@openvpnd/control-tls';
import { SeededRandom } from './seeded-random.js';

/** What one side of a {@link FakeTlsFactory} handshake is like. */
export interface FakeTlsOptions {
  /** Sides with different seeds have different keys; default 1. Each engine of a factory has its own. */
  readonly seed?: number;
  /** What this side shows, its own certificate first; default one named `fake`. Empty: it shows none. */
  readonly certificates?: readonly PeerCertificate[];
  /** Tells what is wrong with the peer's certificates, or undefined to trust them (default). */
  readonly verify?: (certificates: readonly PeerCertificate[]) => FakeTlsRefusal | undefined;
  /** Whether a peer without certificate is refused; default true. */
  readonly requireCertificate?: boolean;
  /** Bytes of the ClientHello, the server's flight and the client's flight; defaults are those of small ECDSA chains. */
  readonly flightBytes?: readonly [hello: number, server: number, client: number];
  /** Whether there is an exporter, default true. */
  readonly exporter?: boolean;
  /**
   * Makes the engine work asynchronously: called when events come up, with what lets them appear and calls wake. Without it everything
   * happens inside the call and wake is never used.
   */
  readonly defer?: (appear: () => void) => void;
}

/** Why a {@link FakeTlsFactory} engine refuses a peer. */
export interface FakeTlsRefusal {
  readonly depth: number;
  readonly error: string;
  readonly subject: string;
}

/** A certificate that exists by name only: what an engine would tell of one. */
export function fakeCertificate(commonName: string, fields: Partial<PeerCertificate> = {}): PeerCertificate {
  const raw = encoder.encode(`certificate of ${commonName}`);
  return {
    depth: 0,
    raw,
    subject: `CN=${commonName}`,
    issuer: 'CN=fake CA',
    commonName,
    serialNumber: '1',
    keyUsage: 0x80,
    extendedKeyUsage: [],
    sha256: mixed(32, [raw]),
    ...fields,
  };
}

/**
 * A {@link TlsEngineFactory} with no cryptography: deterministic, synchronous unless told otherwise, with flights of realistic sizes.
 * Records carry a sequence number and a checksum, so bytes that are lost, doubled, reordered or changed kill the session as in TLS.
 */
export class FakeTlsFactory implements TlsEngineFactory {
  readonly #options: FakeTlsOptions;
  readonly #random: SeededRandom;

  constructor(options: FakeTlsOptions = {}) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed ?? 1);
  }

  create({ role, wake }: { readonly role: 'client' | 'server'; readonly wake: () => void }): FakeTls {
    const key = new Uint8Array(KEY_BYTES);
    this.#random.fill(key);
    return new FakeTls(role, wake, key, this.#options);
  }
}

const KEY_BYTES = 32;
const HEADER_BYTES = 5;
const CHECKSUM_BYTES = 16;
const MAX_PLAINTEXT_BYTES = 16_384;
const MAX_BODY_BYTES = MAX_PLAINTEXT_BYTES + 256;
const TYPE_ALERT = 21;
const TYPE_HANDSHAKE = 22;
const TYPE_DATA = 23;
const DEFAULT_FLIGHT_BYTES: readonly [number, number, number] = [330, 1900, 1700];
const ALERT_CLOSE_NOTIFY = 'close notify';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** An engine of a {@link FakeTlsFactory}. */
export class FakeTls implements TlsEngine {
  readonly #role: 'client' | 'server';
  readonly #wake: () => void;
  readonly #key: Uint8Array;
  readonly #options: FakeTlsOptions;
  #state: 'new' | 'handshake' | 'secure' | 'over' | 'closed' = 'new';
  #hidden: TlsEvent[] = [];
  #events: TlsEvent[] = [];
  #plaintextPending = false;
  #input = new Uint8Array(0);
  #flightsReceived = 0;
  #recordsSent = 0;
  #recordsReceived = 0;
  #peerKey = new Uint8Array(0);
  #peerCertificates: readonly PeerCertificate[] = [];

  constructor(role: 'client' | 'server', wake: () => void, key: Uint8Array, options: FakeTlsOptions) {
    this.#role = role;
    this.#wake = wake;
    this.#key = key;
    this.#options = options;
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'handshake';
    if (this.#role === 'client') this.#sendFlight(0);
    if (this.#input.length > 0) this.#readRecords();
  }

  writeCiphertext(bytes: Uint8Array): void {
    if (this.#state === 'over' || this.#state === 'closed') return;
    const joined = new Uint8Array(this.#input.length + bytes.length);
    joined.set(this.#input);
    joined.set(bytes, this.#input.length);
    this.#input = joined;
    if (this.#state !== 'new') this.#readRecords();
  }

  writePlaintext(bytes: Uint8Array): void {
    if (this.#state === 'over' || this.#state === 'closed') return;
    if (this.#state !== 'secure') throw new TypeError('writePlaintext before the handshake is done');
    if (bytes.length === 0 || bytes.length > MAX_PLAINTEXT_BYTES) throw new RangeError('a record has 1 … 16384 bytes');
    this.#plaintextPending = true;
    this.#sendRecord(TYPE_DATA, bytes);
  }

  plaintextPending(): boolean {
    return this.#plaintextPending;
  }

  takeEvents(): readonly TlsEvent[] {
    const events = this.#events;
    this.#events = [];
    if (this.#hidden.length === 0) this.#plaintextPending = false;
    return events;
  }

  exportKeyingMaterial(label: string, length: number): Uint8Array {
    if (this.#state !== 'secure') throw new TypeError('exportKeyingMaterial before the handshake is done');
    if (this.#options.exporter === false) throw new TypeError('this TLS version has no exporter');
    return mixed(length, [...this.#keysInOrder(), encoder.encode(label)]);
  }

  /** Ends the session in order, as an engine does that sends close_notify: the peer sees 'closed'. */
  endSession(): void {
    if (this.#state === 'secure') this.#sendRecord(TYPE_ALERT, encoder.encode(ALERT_CLOSE_NOTIFY));
  }

  close(): void {
    this.#state = 'closed';
    this.#hidden = [];
    this.#events = [];
    this.#plaintextPending = false;
    this.#input = new Uint8Array(0);
  }

  #readRecords(): void {
    while (this.#state === 'handshake' || this.#state === 'secure') {
      const input = this.#input;
      if (input.length < HEADER_BYTES) return;
      const length = (input[3]! << 8) | input[4]!;
      const typeKnown = input[0]! >= TYPE_ALERT && input[0]! <= TYPE_DATA;
      if (!typeKnown || input[1] !== 3 || length < CHECKSUM_BYTES || length > MAX_BODY_BYTES) {
        this.#alert('wrong version number');
        return;
      }
      if (input.length < HEADER_BYTES + length) return;
      const body = input.slice(HEADER_BYTES, HEADER_BYTES + length - CHECKSUM_BYTES);
      const checksum = input.subarray(HEADER_BYTES + body.length, HEADER_BYTES + length);
      const expected = this.#checksum(
        input[0]!,
        this.#recordsReceived,
        body,
        this.#role === 'client' ? 'server' : 'client',
      );
      this.#input = input.slice(HEADER_BYTES + length);
      this.#recordsReceived += 1;
      if (expected.some((byte, index) => byte !== checksum[index])) {
        this.#alert('bad record mac');
        return;
      }
      this.#handleRecord(input[0]!, body);
    }
  }

  #handleRecord(type: number, body: Uint8Array): void {
    if (type === TYPE_ALERT) {
      const text = decoder.decode(body);
      if (text === ALERT_CLOSE_NOTIFY) {
        this.#end({ type: 'closed' });
      } else {
        this.#end({ type: 'failed', reason: `alert ${text}` });
      }
    } else if (type === TYPE_DATA && this.#state === 'secure') {
      this.#emit({ type: 'plaintext', bytes: body });
    } else if (type === TYPE_HANDSHAKE && this.#state === 'handshake') {
      this.#handleFlight(body);
    } else {
      this.#alert('unexpected message');
    }
  }

  /** Flight 0 is the ClientHello, 1 the server's answer with its certificates, 2 the client's certificates. */
  #handleFlight(body: Uint8Array): void {
    const flight = this.#role === 'server' ? this.#flightsReceived * 2 : 1;
    this.#flightsReceived += 1;
    if (body[0] !== flight || body.length < 1 + KEY_BYTES + 2) {
      this.#alert('unexpected message');
      return;
    }
    if (flight === 0) {
      this.#peerKey = body.slice(1, 1 + KEY_BYTES);
      this.#sendFlight(1);
      return;
    }
    if (flight === 1) this.#peerKey = body.slice(1, 1 + KEY_BYTES);
    const size = (body[1 + KEY_BYTES]! << 8) | body[2 + KEY_BYTES]!;
    this.#peerCertificates = parseCertificates(decoder.decode(body.subarray(3 + KEY_BYTES, 3 + KEY_BYTES + size)));
    const refusal = this.#options.verify?.(this.#peerCertificates);
    if (refusal !== undefined) {
      this.#alert('unknown ca', { type: 'failed', reason: 'certificate verify failed', certificate: refusal });
    } else if (this.#peerCertificates.length === 0 && this.#options.requireCertificate !== false) {
      this.#alert('certificate required', { type: 'failed', reason: 'peer did not return a certificate' });
    } else {
      if (flight === 1) this.#sendFlight(2);
      this.#state = 'secure';
      this.#emit({
        type: 'secure',
        version: 'TLSv1.3',
        cipher: 'TLS_FAKE',
        detail: '',
        certificates: this.#peerCertificates,
      });
    }
  }

  #sendFlight(flight: 0 | 1 | 2): void {
    const shown = this.#options.certificates ?? [fakeCertificate('fake')];
    const certificates = encoder.encode(flight === 0 ? '' : emitCertificates(shown));
    const wanted = (this.#options.flightBytes ?? DEFAULT_FLIGHT_BYTES)[flight] - HEADER_BYTES - CHECKSUM_BYTES;
    const body = new Uint8Array(Math.max(wanted, 3 + KEY_BYTES + certificates.length));
    body[0] = flight;
    body.set(this.#key, 1);
    body[1 + KEY_BYTES] = certificates.length >> 8;
    body[2 + KEY_BYTES] = certificates.length;
    body.set(certificates, 3 + KEY_BYTES);
    this.#sendRecord(TYPE_HANDSHAKE, body);
  }

  #sendRecord(type: number, body: Uint8Array): void {
    const length = body.length + CHECKSUM_BYTES;
    const record = new Uint8Array(HEADER_BYTES + length);
    record.set([type, 3, 3, length >> 8, length & 0xff]);
    record.set(body, HEADER_BYTES);
    record.set(this.#checksum(type, this.#recordsSent, body, this.#role), HEADER_BYTES + body.length);
    this.#recordsSent += 1;
    this.#emit({ type: 'ciphertext', bytes: record });
  }

  #checksum(type: number, sequence: number, body: Uint8Array, sender: string): Uint8Array {
    const keys = type === TYPE_DATA ? this.#keysInOrder() : [];
    return mixed(CHECKSUM_BYTES, [Uint8Array.of(type, sequence >> 8, sequence), encoder.encode(sender), ...keys, body]);
  }

  #keysInOrder(): readonly Uint8Array[] {
    return this.#role === 'client' ? [this.#key, this.#peerKey] : [this.#peerKey, this.#key];
  }

  #alert(text: string, event: TlsEvent = { type: 'failed', reason: text }): void {
    this.#sendRecord(TYPE_ALERT, encoder.encode(text));
    this.#end(event);
  }

  #end(event: TlsEvent): void {
    this.#state = 'over';
    this.#plaintextPending = false;
    this.#input = new Uint8Array(0);
    this.#emit(event);
  }

  #emit(event: TlsEvent): void {
    const { defer } = this.#options;
    if (defer === undefined) {
      this.#events.push(event);
      return;
    }
    this.#hidden.push(event);
    if (this.#hidden.length > 1) return;
    defer(() => {
      if (this.#hidden.length === 0) return;
      this.#events.push(...this.#hidden);
      this.#hidden = [];
      this.#wake();
    });
  }
}

/** Bytes that depend on every bit of every part: FNV-1a, then a generator. No cryptography. */
function mixed(length: number, parts: readonly Uint8Array[]): Uint8Array {
  let seed = 0x811c9dc5;
  for (const part of parts) {
    for (const byte of [...part, part.length & 0xff]) seed = Math.imul(seed ^ byte, 0x01000193) >>> 0;
  }
  const bytes = new Uint8Array(length);
  new SeededRandom(seed).fill(bytes);
  return bytes;
}

function emitCertificates(certificates: readonly PeerCertificate[]): string {
  return JSON.stringify(
    certificates.map((certificate) => ({ ...certificate, raw: [...certificate.raw], sha256: [...certificate.sha256] })),
  );
}

function parseCertificates(text: string): readonly PeerCertificate[] {
  const parsed = JSON.parse(text) as (Omit<PeerCertificate, 'raw' | 'sha256'> & { raw: number[]; sha256: number[] })[];
  // Fields that are undefined are not in the text.
  return parsed.map((fields) => ({
    ...fields,
    raw: Uint8Array.from(fields.raw),
    sha256: Uint8Array.from(fields.sha256),
  }));
}
