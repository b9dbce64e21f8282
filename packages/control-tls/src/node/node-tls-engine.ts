import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { TlsEngine, TlsEvent } from '../ports.js';
import type { KnownCertificate } from './known-certificates.js';
import { verificationFailure } from './verification-failure.js';

/** TLSPlaintext.length. RFC 8446, section 5.1. */
const MAX_RECORD_BYTES = 16_384;

/** What starts a handshake over `carrier`: exactly one of the two is called later, unless `release` came first. */
export type BeginHandshake = (
  carrier: Duplex,
  handshake: { readonly secured: (socket: TLSSocket) => void; readonly failed: (error: Error) => void },
) => { readonly release: () => void };

/** What one engine is made with. */
export interface NodeTlsEngineParts {
  readonly wake: () => void;
  readonly begin: BeginHandshake;
  /** See PeerChains.read(). */
  readonly peerChain: (socket: TLSSocket) => readonly KnownCertificate[] | undefined;
  /** Whether a peer that shows no certificate is taken. A certificate that is shown must be good in any case. */
  readonly namelessAllowed: boolean;
}

/** A {@link TlsEngine} on node:tls, over a stream that leads nowhere but to the owner. */
export class NodeTlsEngine implements TlsEngine {
  readonly #parts: NodeTlsEngineParts;
  readonly #carrier: Duplex;
  #release: (() => void) | undefined;
  #socket: TLSSocket | undefined;
  #state: 'new' | 'handshake' | 'secure' | 'over' | 'closed' = 'new';
  #events: TlsEvent[] = [];
  #ciphertext: Uint8Array[] = [];
  #wakeIsComing = false;
  #unwritten: Uint8Array[] = [];
  #writing = false;
  #ownCiphertextWaits = false;

  constructor(parts: NodeTlsEngineParts) {
    this.#parts = parts;
    this.#carrier = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        this.#collect(chunk);
        done();
      },
    });
    // Errors of the carrier come from destroying it, which is our own doing.
    this.#carrier.on('error', () => {});
  }

  start(): void {
    if (this.#state !== 'new') {
      return;
    }
    this.#state = 'handshake';
    const { release } = this.#parts.begin(this.#carrier, {
      secured: (socket) => this.#handleSecured(socket),
      failed: (error) => this.#fail({ type: 'failed', reason: oneLine(error) }),
    });
    this.#release = release;
  }

  writeCiphertext(bytes: Uint8Array): void {
    if (this.#state !== 'over' && this.#state !== 'closed' && bytes.length > 0) {
      this.#carrier.push(Buffer.from(bytes));
    }
  }

  writePlaintext(bytes: Uint8Array): void {
    if (this.#state === 'over' || this.#state === 'closed') {
      return;
    }
    if (this.#state !== 'secure') {
      throw new TypeError('writePlaintext before the handshake is done');
    }
    if (bytes.length === 0 || bytes.length > MAX_RECORD_BYTES) {
      throw new RangeError(`a TLS record has 1 … ${MAX_RECORD_BYTES} bytes: ${bytes.length}`);
    }
    this.#ownCiphertextWaits = true;
    this.#unwritten.push(Uint8Array.from(bytes));
    this.#writeNext();
  }

  plaintextPending(): boolean {
    return this.#ownCiphertextWaits;
  }

  takeEvents(): readonly TlsEvent[] {
    this.#sealCiphertext();
    const events = this.#events;
    this.#events = [];
    if (!this.#writing && this.#unwritten.length === 0) {
      this.#ownCiphertextWaits = false;
    }
    return events;
  }

  exportKeyingMaterial(label: string, length: number): Uint8Array {
    if (this.#state !== 'secure' || this.#socket === undefined) {
      throw new TypeError('exportKeyingMaterial before the handshake is done');
    }
    // No context at all: with TLS 1.2 an empty one gives other bytes. RFC 5705, section 4.
    const exported = (this.#socket.exportKeyingMaterial as (length: number, label: string) => Buffer).call(
      this.#socket,
      length,
      label,
    );
    const material = Uint8Array.from(exported);
    exported.fill(0);
    return material;
  }

  close(): void {
    if (this.#state === 'closed') {
      return;
    }
    this.#state = 'closed';
    this.#events = [];
    this.#ciphertext = [];
    this.#letGo();
  }

  /** The one place where a peer is let in: OpenSSL's verdict on its chain, as node:tls tells it. */
  #handleSecured(socket: TLSSocket): void {
    this.#socket = socket;
    socket.on('error', (error) => this.#fail({ type: 'failed', reason: oneLine(error) }));
    socket.on('close', () => this.#fail({ type: 'failed', reason: 'TLS ended without a word' }));
    if (this.#state !== 'handshake') {
      this.#letGo();
      return;
    }
    const chain = this.#parts.peerChain(socket);
    if (chain === undefined) {
      this.#refuse({ type: 'failed', reason: 'the certificate of the peer cannot be read' });
      return;
    }
    const facts = chain.map((one, depth) => ({ depth, ...one.facts }));
    const nameless = chain.length === 0;
    if (nameless && !this.#parts.namelessAllowed) {
      this.#refuse({ type: 'failed', reason: 'peer did not return a certificate' });
      return;
    }
    if (!nameless && socket.authorized !== true) {
      this.#refuse(verificationFailure(String(socket.authorizationError ?? 'UNSPECIFIED'), facts));
      return;
    }
    socket.disableRenegotiation();
    socket.on('data', (record: Buffer) => this.#emit({ type: 'plaintext', bytes: plainView(record) }));
    socket.on('end', () => this.#fail({ type: 'closed' }));
    this.#state = 'secure';
    this.#emit({
      type: 'secure',
      version: socket.getProtocol() ?? '',
      cipher: socket.getCipher().name,
      detail: describeSession(socket, chain[0]),
      certificates: facts,
    });
  }

  #writeNext(): void {
    const bytes = this.#writing ? undefined : this.#unwritten.shift();
    if (bytes === undefined || this.#socket === undefined) {
      return;
    }
    // One write at a time: node:tls would join what waits into one record.
    this.#writing = true;
    this.#socket.write(bytes, () => {
      this.#writing = false;
      this.#writeNext();
    });
  }

  #collect(chunk: Buffer): void {
    if (this.#state !== 'over' && this.#state !== 'closed') {
      this.#ciphertext.push(plainView(chunk));
      this.#callWake();
    }
  }

  #sealCiphertext(): void {
    if (this.#ciphertext.length > 0) {
      const [only, ...more] = this.#ciphertext;
      const bytes = more.length === 0 ? only! : plainView(Buffer.concat(this.#ciphertext));
      this.#ciphertext = [];
      this.#events.push({ type: 'ciphertext', bytes });
    }
  }

  #emit(event: TlsEvent): void {
    if (this.#state === 'over' || this.#state === 'closed') {
      return;
    }
    this.#sealCiphertext();
    this.#events.push(event);
    this.#callWake();
  }

  /** Keeps what TLS had to say from a peer that is not trusted: our own certificate above all. */
  #refuse(event: TlsEvent): void {
    this.#ciphertext = [];
    this.#events = [];
    this.#fail(event);
  }

  #fail(event: TlsEvent): void {
    if (this.#state === 'over' || this.#state === 'closed') {
      return;
    }
    this.#emit(event);
    this.#state = 'over';
    // An alert may still be on its way out, so the stream is taken down a little later.
    setImmediate(() => this.#letGo());
  }

  #letGo(): void {
    this.#unwritten = [];
    this.#ownCiphertextWaits = false;
    this.#release?.();
    this.#release = undefined;
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#carrier.destroy();
  }

  #callWake(): void {
    if (this.#wakeIsComing) {
      return;
    }
    this.#wakeIsComing = true;
    setImmediate(() => {
      this.#wakeIsComing = false;
      if (this.#state !== 'closed' && (this.#events.length > 0 || this.#ciphertext.length > 0)) {
        this.#parts.wake();
      }
    });
  }
}

/** The bytes without Buffer's manners, whose slice() does not copy. */
function plainView(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

/** OpenVPN: print_details(). */
function describeSession(socket: TLSSocket, own: KnownCertificate | undefined): string {
  const parts = own === undefined ? [] : [own.key];
  // Only the client's end is told of it.
  const ephemeral = socket.getEphemeralKeyInfo() as { name?: string; size?: number; type?: string } | null;
  if (ephemeral?.size !== undefined) {
    const name =
      ephemeral.type === 'DH' ? 'DH' : /^X\d/.test(ephemeral.name ?? '') ? ephemeral.name : `EC${ephemeral.name}`;
    parts.push(`peer temporary key: ${ephemeral.size} bits ${name}`);
  }
  return parts.join(', ');
}

/** `error:0A000418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca` and its kind, without control characters. */
function oneLine(error: Error): string {
  const { reason } = error as { reason?: string };
  return (reason ?? error.message.split('\n')[0] ?? '').replaceAll(/[^ -~]+/g, ' ').trim() || 'TLS failed';
}
