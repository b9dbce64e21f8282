/** The head of an HTTP response, as far as a CONNECT asks for it. */
export interface ResponseHead {
  /** `HTTP/1.1 200 Connection established`, without control characters. */
  readonly statusLine: string;
  /** 100 … 999. */
  readonly status: number;
  /** Names in small letters, values trimmed; in the order of the response. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** A longer head is no proxy's. Hardening: a peer's answer has a bound before anything in it is looked at. */
export const MAX_HEAD_BYTES = 4096;

/** What has become of the bytes so far. */
export type HeadProgress =
  | { readonly state: 'more' }
  | { readonly state: 'complete'; readonly head: ResponseHead; readonly rest: Uint8Array }
  | { readonly state: 'bad'; readonly reason: string };

/**
 * Collects the head of a response, wherever the pieces end. Total: any bytes are a head, not enough, or refused with a reason. RFC 9112, section 2.1 to 5; lines may end
 * in a bare LF.
 */
export class ResponseHeadReader {
  #bytes: Uint8Array = new Uint8Array(0);

  /** Takes the next bytes. After `complete` or `bad` it is done; `rest` is what follows the head. */
  handleBytes(chunk: Uint8Array): HeadProgress {
    const from = Math.max(0, this.#bytes.length - 3);
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    const end = endOfHead(this.#bytes, from);
    if (end < 0) {
      return this.#bytes.length > MAX_HEAD_BYTES
        ? { state: 'bad', reason: `no end of its head within ${MAX_HEAD_BYTES} bytes` }
        : { state: 'more' };
    }
    if (end > MAX_HEAD_BYTES) return { state: 'bad', reason: `a head of more than ${MAX_HEAD_BYTES} bytes` };
    return parseHead(Buffer.from(this.#bytes.subarray(0, end)).toString('latin1'), this.#bytes.subarray(end));
  }
}

/** The values of a header, in order. */
export function headerValues(head: ResponseHead, name: string): readonly string[] {
  return head.headers.filter(([found]) => found === name).map(([, value]) => value);
}

/** The first byte behind the empty line; -1 while there is none. */
function endOfHead(bytes: Uint8Array, from: number): number {
  for (let at = from; at < bytes.length; at += 1) {
    if (bytes[at] !== LF) continue;
    if (bytes[at + 1] === LF) return at + 2;
    if (bytes[at + 1] === CR && bytes[at + 2] === LF) return at + 3;
  }
  return -1;
}

const CR = 13;
const LF = 10;

function parseHead(text: string, rest: Uint8Array): HeadProgress {
  const [first = '', ...lines] = text.split(/\r?\n/);
  const status = /^HTTP\/[0-9]\.[0-9] ([1-9][0-9]{2})(?: |$)/.exec(first);
  if (status === null) return { state: 'bad', reason: 'no HTTP response' };
  const headers: [string, string][] = [];
  for (const line of lines) {
    const header = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):(.*)$/.exec(line);
    // What is no header is passed over: only few of them matter here.
    if (header !== null) headers.push([header[1].toLowerCase(), header[2].trim()]);
  }
  const statusLine = printable(first);
  return { state: 'complete', head: { statusLine, status: Number(status[1]), headers }, rest };
}

/** Fit for a log: whatever a proxy says cannot write lines of its own. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 512);
}
