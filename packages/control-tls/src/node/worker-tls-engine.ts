import type { TlsEngine, TlsEvent } from '../ports.js';
import type { Exporter, TlsEngineCommand, TlsReport } from './tls-worker-messages.js';

/** RFC 8446, section 5.1. */
const MAX_RECORD_BYTES = 16_384;
/** What an engine may have before it that its worker has not come to: far more than a handshake with the longest of chains. */
const MAX_WAITING_BYTES = 256 * 1024;

/** What an engine of a worker is made with. */
export interface WorkerTlsEngineParts {
  readonly id: number;
  readonly exporters: readonly Exporter[];
  readonly wake: () => void;
  /** Byte arrays in it are copied. */
  readonly post: (command: TlsEngineCommand) => void;
  readonly closed: () => void;
}

/** The near side of a {@link TlsEngine} that lives in a worker. */
export class WorkerTlsEngine implements TlsEngine {
  readonly #parts: WorkerTlsEngineParts;
  #events: TlsEvent[] = [];
  #state: 'handshake' | 'secure' | 'over' | 'closed' = 'handshake';
  #sent = 0;
  #consumed = 0;
  #written = 0;
  #sealed = 0;
  /** `#sealed` as of the last `takeEvents`. */
  #taken = 0;
  #exported: readonly (Uint8Array | undefined)[] = [];

  constructor(parts: WorkerTlsEngineParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#alive) this.#parts.post({ type: 'start', id: this.#parts.id });
  }

  writeCiphertext(bytes: Uint8Array): void {
    if (!this.#alive || bytes.length === 0) return;
    this.#sent += bytes.length;
    if (this.#sent - this.#consumed > MAX_WAITING_BYTES) {
      // Above, deadlines end a peer that gets no answer.
      this.#sent -= bytes.length;
      this.#parts.post({ type: 'close', id: this.#parts.id });
      queueMicrotask(() => this.fail('the peer sends more than TLS can take'));
      return;
    }
    this.#parts.post({ type: 'ciphertext', id: this.#parts.id, bytes });
  }

  writePlaintext(bytes: Uint8Array): void {
    if (!this.#alive) return;
    if (this.#state !== 'secure') throw new TypeError('writePlaintext before the handshake is done');
    if (bytes.length === 0 || bytes.length > MAX_RECORD_BYTES) {
      throw new RangeError(`a TLS record has 1 … ${MAX_RECORD_BYTES} bytes: ${bytes.length}`);
    }
    this.#written += 1;
    this.#parts.post({ type: 'plaintext', id: this.#parts.id, bytes });
  }

  plaintextPending(): boolean {
    return this.#alive && this.#written > this.#taken;
  }

  takeEvents(): readonly TlsEvent[] {
    const events = this.#events;
    this.#events = [];
    this.#taken = this.#sealed;
    return events;
  }

  exportKeyingMaterial(label: string, length: number): Uint8Array {
    if (this.#state !== 'secure') throw new TypeError('exportKeyingMaterial before the handshake is done');
    const place = this.#parts.exporters.findIndex((one) => one.label === label && one.length === length);
    const material = this.#exported[place];
    if (material === undefined) throw new TypeError(`no keying material for ${label}, ${length} bytes`);
    return Uint8Array.from(material);
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#events = [];
    for (const material of this.#exported) material?.fill(0);
    this.#exported = [];
    this.#parts.post({ type: 'close', id: this.#parts.id });
    this.#parts.closed();
  }

  /** What the worker has told. */
  handleReport(report: TlsReport): void {
    if (!this.#alive) return;
    const news = report.events.length > 0 || report.sealed > this.#sealed;
    this.#consumed = report.consumed;
    this.#sealed = report.sealed;
    if (report.exported !== undefined) this.#exported = report.exported;
    for (const event of report.events) {
      this.#events.push(event);
      if (event.type === 'secure') this.#state = 'secure';
      if (event.type === 'closed' || event.type === 'failed') this.#state = 'over';
    }
    if (news) this.#parts.wake();
  }

  /** The engine ends for a reason of its host. */
  fail(reason: string): void {
    if (!this.#alive) return;
    this.#events.push({ type: 'failed', reason });
    this.#state = 'over';
    this.#parts.wake();
  }

  get #alive(): boolean {
    return this.#state === 'handshake' || this.#state === 'secure';
  }
}
