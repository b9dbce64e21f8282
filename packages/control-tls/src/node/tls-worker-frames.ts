// What passes between the owner of engines and their thread, as bytes. A message costs a thread's waking and a structured clone, so everything of a turn
// goes as one, and that is a single array: frames of a kind (1 byte), an engine's id (4 bytes), a length (4 bytes) and content. Numbers are big-endian.

import { assertNever } from '@openvpnd/sans-io';
import type { PeerCertificate, TlsEvent } from '../ports.js';
import type { TlsEngineCommand, TlsReport } from './tls-worker-messages.js';

const HEADER_BYTES = 9;
const FIRST_BYTES = 2048;
const NOTHING = new Uint8Array(0);

const CREATE_CLIENT = 1;
const CREATE_SERVER = 2;
const START = 3;
const CIPHERTEXT = 4;
const PLAINTEXT = 5;
const CLOSE = 6;
/** Of a report only; the content is JSON, in which byte arrays are base64. */
const SECURE = 7;
const CLOSED = 8;
const FAILED = 9;
/** Keying material under one exporter, in their order; empty where the TLS version has none. */
const EXPORTED = 10;
/** The end of an engine's report: two doubles. */
const PROGRESS = 11;

/** Frames that are to be sent, in order. */
class FrameWriter {
  #bytes: Uint8Array = new Uint8Array(FIRST_BYTES);
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  add(kind: number, id: number, content: Uint8Array): void {
    const end = this.#length + HEADER_BYTES + content.length;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    const view = new DataView(this.#bytes.buffer);
    view.setUint8(this.#length, kind);
    view.setUint32(this.#length + 1, id);
    view.setUint32(this.#length + 5, content.length);
    this.#bytes.set(content, this.#length + HEADER_BYTES);
    this.#length = end;
  }

  /** The frames, in a buffer of their own that they fill. What is left behind is overwritten: keying material was in it. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    if (this.#bytes.length > FIRST_BYTES) this.#bytes = new Uint8Array(FIRST_BYTES);
    else this.#bytes.fill(0, 0, this.#length);
    this.#length = 0;
    return taken;
  }
}

/** Commands to engines of one thread. */
export class TlsCommandWriter {
  readonly #frames = new FrameWriter();

  get isEmpty(): boolean {
    return this.#frames.isEmpty;
  }

  /** Byte arrays are copied. */
  add(command: TlsEngineCommand): void {
    const { id } = command;
    switch (command.type) {
      case 'create':
        this.#frames.add(command.role === 'client' ? CREATE_CLIENT : CREATE_SERVER, id, NOTHING);
        return;
      case 'start':
        this.#frames.add(START, id, NOTHING);
        return;
      case 'ciphertext':
        this.#frames.add(CIPHERTEXT, id, command.bytes);
        return;
      case 'plaintext':
        this.#frames.add(PLAINTEXT, id, command.bytes);
        return;
      case 'close':
        this.#frames.add(CLOSE, id, NOTHING);
        return;
      default:
        assertNever(command);
    }
  }

  take(): Uint8Array {
    return this.#frames.take();
  }
}

/** The commands in a message, in order. Byte arrays are views of it. */
export function* readCommands(message: Uint8Array): Generator<TlsEngineCommand> {
  for (const { kind, id, content } of frames(message)) {
    if (kind === CREATE_CLIENT) yield { type: 'create', id, role: 'client' };
    else if (kind === CREATE_SERVER) yield { type: 'create', id, role: 'server' };
    else if (kind === START) yield { type: 'start', id };
    else if (kind === CIPHERTEXT) yield { type: 'ciphertext', id, bytes: content };
    else if (kind === PLAINTEXT) yield { type: 'plaintext', id, bytes: content };
    else if (kind === CLOSE) yield { type: 'close', id };
    else throw new RangeError(`no command: ${kind}`);
  }
}

/** Reports of engines of one thread. */
export class TlsReportWriter {
  readonly #frames = new FrameWriter();

  get isEmpty(): boolean {
    return this.#frames.isEmpty;
  }

  /** Byte arrays are copied. */
  add({ id, events, consumed, sealed, exported }: TlsReport): void {
    for (const event of events) this.#addEvent(id, event);
    for (const material of exported ?? []) this.#frames.add(EXPORTED, id, material ?? NOTHING);
    const progress = new DataView(new ArrayBuffer(16));
    progress.setFloat64(0, consumed);
    progress.setFloat64(8, sealed);
    this.#frames.add(PROGRESS, id, new Uint8Array(progress.buffer));
  }

  take(): Uint8Array {
    return this.#frames.take();
  }

  #addEvent(id: number, event: TlsEvent): void {
    switch (event.type) {
      case 'ciphertext':
        this.#frames.add(CIPHERTEXT, id, event.bytes);
        return;
      case 'plaintext':
        this.#frames.add(PLAINTEXT, id, event.bytes);
        return;
      case 'secure':
        this.#frames.add(SECURE, id, json({ ...event, certificates: event.certificates.map(textual) }));
        return;
      case 'closed':
        this.#frames.add(CLOSED, id, NOTHING);
        return;
      case 'failed':
        this.#frames.add(FAILED, id, json(event));
        return;
      default:
        assertNever(event);
    }
  }
}

/** The reports in a message, in order. Byte arrays are copies. */
export function* readReports(message: Uint8Array): Generator<TlsReport> {
  let events: TlsEvent[] = [];
  let exported: (Uint8Array | undefined)[] = [];
  for (const { kind, id, content } of frames(message)) {
    if (kind === CIPHERTEXT) events.push({ type: 'ciphertext', bytes: content.slice() });
    else if (kind === PLAINTEXT) events.push({ type: 'plaintext', bytes: content.slice() });
    else if (kind === SECURE) events.push(secureEvent(content));
    else if (kind === CLOSED) events.push({ type: 'closed' });
    else if (kind === FAILED) events.push(parsed(content) as TlsEvent);
    else if (kind === EXPORTED) exported.push(content.length === 0 ? undefined : content.slice());
    else if (kind === PROGRESS) {
      const view = new DataView(content.buffer, content.byteOffset);
      const told = exported.length === 0 ? {} : { exported };
      yield { id, events, consumed: view.getFloat64(0), sealed: view.getFloat64(8), ...told };
      events = [];
      exported = [];
    } else throw new RangeError(`no report: ${kind}`);
  }
}

interface Frame {
  readonly kind: number;
  readonly id: number;
  readonly content: Uint8Array;
}

function* frames(message: Uint8Array): Generator<Frame> {
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  for (let offset = 0; offset < message.length; ) {
    const start = offset + HEADER_BYTES;
    const end = start + view.getUint32(offset + 5);
    yield { kind: message[offset] as number, id: view.getUint32(offset + 1), content: message.subarray(start, end) };
    offset = end;
  }
}

type TextualCertificate = Omit<PeerCertificate, 'raw' | 'sha256'> & { readonly raw: string; readonly sha256: string };

function textual(certificate: PeerCertificate): TextualCertificate {
  return { ...certificate, raw: base64(certificate.raw), sha256: base64(certificate.sha256) };
}

function secureEvent(content: Uint8Array): TlsEvent {
  const { certificates, ...event } = parsed(content) as Omit<Extract<TlsEvent, { type: 'secure' }>, 'certificates'> & {
    readonly certificates: readonly TextualCertificate[];
  };
  return { ...event, certificates: certificates.map(certificateOf) };
}

/** With the fields that JSON leaves out when they are undefined. */
function certificateOf(textual: TextualCertificate): PeerCertificate {
  const { commonName, keyUsage } = textual;
  return { ...textual, commonName, keyUsage, raw: bytesOf(textual.raw), sha256: bytesOf(textual.sha256) };
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function parsed(content: Uint8Array): unknown {
  return JSON.parse(Buffer.from(content.buffer, content.byteOffset, content.length).toString());
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64'));
}
