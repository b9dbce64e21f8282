import { createHash, createHmac, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { md4 } from 'hash-wasm';
import { EndableServer } from './endable-server.js';

/** What a proxy asks of its clients. Without `user` and `password` nobody gets through. */
export interface HttpProxySettings {
  readonly auth: 'none' | 'basic' | 'digest' | 'ntlm';
  readonly user?: string;
  readonly password?: string;
  /** Of a digest challenge; `MD5` when absent. */
  readonly algorithm?: 'MD5' | 'MD5-sess' | 'SHA-256';
  /** Whether a refusal leaves the connection open for the next try; true when absent. NTLM cannot do without. */
  readonly keepAlive?: boolean;
}

const REALM = 'test proxy';
const NTLM_CHALLENGE = Buffer.from('0123456789abcdef', 'hex');
/** Target information: the domain `LAB`, and the end of the list. */
const NTLM_TARGET_INFO = Buffer.concat([
  Buffer.from([2, 0, 6, 0]),
  Buffer.from('LAB', 'utf16le'),
  Buffer.from([0, 0, 0, 0]),
]);

interface Request {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly headers: ReadonlyMap<string, string>;
}

/**
 * An HTTP proxy that knows CONNECT alone, for tests: it says on `log` what it was asked (`CONNECT host:port HTTP/1.0`, each header, what came of it)
 * and judges credentials by the words of RFC 7617, RFC 7616 and MS-NLMP (NTLMv2).
 */
export class HttpProxyServer {
  readonly #settings: HttpProxySettings;
  readonly #log: (line: string) => void;
  readonly #server: EndableServer;

  constructor(settings: HttpProxySettings, log: (line: string) => void = () => {}) {
    this.#settings = settings;
    this.#log = log;
    this.#server = new EndableServer((socket) => this.#serve(socket), { allowHalfOpen: true });
  }

  /** The port that it listens on. */
  listen(address: string, port: number): Promise<number> {
    return this.#server.listen(address, port);
  }

  /** Ends every connection. */
  close(): void {
    this.#server.close();
  }

  #serve(socket: Socket): void {
    let received = Buffer.alloc(0);
    const read = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const request = parseRequest(received.subarray(0, end).toString('latin1'));
      received = received.subarray(end + 4);
      this.#log(`${request.method} ${request.target} ${request.version}`);
      for (const [name, value] of request.headers) this.#log(`header ${name}: ${value}`);
      void this.#judge(request).then((refusal) => {
        if (refusal === undefined) {
          socket.off('data', read);
          this.#pass(socket, request.target, received);
        } else this.#refuse(socket, refusal);
      });
    };
    socket.on('data', read);
    socket.on('end', () => socket.end());
  }

  #refuse(socket: Socket, challenge: string): void {
    const body = '<html>Who are you?</html>\n';
    const keep = this.#settings.keepAlive ?? true;
    this.#log(`refused: ${challenge}`);
    socket.write(
      `HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: ${challenge}\r\nProxy-Connection: ${keep ? 'keep-alive' : 'close'}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    if (!keep) socket.end();
  }

  #pass(client: Socket, target: string, first: Buffer): void {
    const at = target.lastIndexOf(':');
    const host = target.slice(0, at).replace(/^\[|\]$/g, '');
    const server = connect({ host, port: Number(target.slice(at + 1)) });
    this.#server.keep(server);
    server.once('connect', () => {
      this.#log(`connected ${target}`);
      client.write('HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n');
      server.write(first);
      client.pipe(server).pipe(client);
    });
    server.once('error', (error) => {
      this.#log(`unreachable ${target}: ${error.message}`);
      client.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n');
    });
    client.once('close', () => server.destroy());
    server.once('close', () => client.destroy());
  }

  /** Undefined: let in. Otherwise the challenge. */
  async #judge(request: Request): Promise<string | undefined> {
    const given = request.headers.get('proxy-authorization') ?? '';
    switch (this.#settings.auth) {
      case 'none':
        return undefined;
      case 'basic':
        return this.#isBasic(given) ? undefined : `Basic realm="${REALM}"`;
      case 'digest':
        return this.#isDigest(given, request) ? undefined : this.#digestChallenge();
      case 'ntlm':
        return await this.#ntlm(given);
    }
  }

  #isBasic(given: string): boolean {
    const { user, password } = this.#settings;
    return user !== undefined && given === `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  }

  #digestChallenge(): string {
    const { algorithm = 'MD5' } = this.#settings;
    return `Digest realm="${REALM}", nonce="${randomBytes(8).toString('hex')}", qop="auth,auth-int", opaque="o, p", algorithm=${algorithm}`;
  }

  #isDigest(given: string, request: Request): boolean {
    const { user, password, algorithm = 'MD5' } = this.#settings;
    if (user === undefined || !given.startsWith('Digest ')) return false;
    const field = (name: string): string => {
      const match = new RegExp(`(?:^|[ ,])${name}=(?:"([^"]*)"|([^ ,]*))`).exec(given.slice(7));
      return match?.[1] ?? match?.[2] ?? '';
    };
    const hash = (text: string): string =>
      createHash(algorithm === 'SHA-256' ? 'sha256' : 'md5')
        .update(text)
        .digest('hex');
    let secret = hash(`${user}:${REALM}:${password}`);
    if (algorithm === 'MD5-sess') secret = hash(`${secret}:${field('nonce')}:${field('cnonce')}`);
    const asked = hash(`${request.method}:${field('uri')}`);
    const expected = hash(`${secret}:${field('nonce')}:${field('nc')}:${field('cnonce')}:${field('qop')}:${asked}`);
    return (
      field('username') === user &&
      field('uri') === request.target &&
      field('qop') === 'auth' &&
      field('response') === expected
    );
  }

  /** MS-NLMP 3.3.2. */
  async #ntlm(given: string): Promise<string | undefined> {
    const message = Buffer.from(given.replace(/^NTLM /, ''), 'base64');
    if (!given.startsWith('NTLM ') || message.length < 12) return 'NTLM';
    if (message.readUInt32LE(8) === 1) return `NTLM ${ntlmChallenge().toString('base64')}`;
    const { user, password = '' } = this.#settings;
    const part = (at: number): Buffer => {
      const start = message.readUInt32LE(at + 4);
      return message.subarray(start, start + message.readUInt16LE(at));
    };
    const unicode = (message.readUInt32LE(60) & 1) !== 0;
    const text = (at: number): string => part(at).toString(unicode ? 'utf16le' : 'latin1');
    const [response, domain, name] = [part(20), text(28), text(36)];
    this.#log(`ntlm user ${domain}\\${name}, response of ${response.length} bytes`);
    const secret = Buffer.from(await md4(Buffer.from(password, 'utf16le')), 'hex');
    const key = md5Hmac(secret, Buffer.from(name.toUpperCase() + domain, 'utf16le'));
    const proof = md5Hmac(key, Buffer.concat([NTLM_CHALLENGE, response.subarray(16)]));
    return user === name && response.length > 16 && proof.equals(response.subarray(0, 16)) ? undefined : 'NTLM';
  }
}

function ntlmChallenge(): Buffer {
  const target = Buffer.from('LAB', 'utf16le');
  const message = Buffer.alloc(48);
  message.write('NTLMSSP\0', 'latin1');
  message.writeUInt32LE(2, 8);
  message.writeUInt16LE(target.length, 12);
  message.writeUInt16LE(target.length, 14);
  message.writeUInt32LE(48, 16);
  // Unicode, target is a domain, NTLM, target information.
  message.writeUInt32LE(0x00810205, 20);
  NTLM_CHALLENGE.copy(message, 24);
  message.writeUInt16LE(NTLM_TARGET_INFO.length, 40);
  message.writeUInt16LE(NTLM_TARGET_INFO.length, 42);
  message.writeUInt32LE(48 + target.length, 44);
  return Buffer.concat([message, target, NTLM_TARGET_INFO]);
}

function md5Hmac(key: Buffer, data: Buffer): Buffer {
  return createHmac('md5', key).update(data).digest();
}

function parseRequest(head: string): Request {
  const [first = '', ...lines] = head.split('\r\n');
  const [method = '', target = '', version = ''] = first.split(' ');
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  return { method, target, version, headers };
}
