import type { Log, Random } from '@openvpnd/sans-io';
import { silentLog } from '@openvpnd/sans-io';
import { readChallenges, readParameters, type Scheme } from './challenge.js';
import { digestResponse } from './digest.js';
import { HttpProxyError } from './http-proxy-error.js';
import type { HttpProxyOptions, ProxyAuthentication, ProxyCredentials } from './http-proxy-options.js';
import { type Md4, ntlmAnswer, ntlmNegotiation } from './ntlm.js';
import { headerValues, printable, type ResponseHead, ResponseHeadReader } from './response-head.js';

/** What has to happen next. */
export type ExchangeStep =
  /** More bytes have to come. */
  | { readonly type: 'wait' }
  | { readonly type: 'send'; readonly bytes: Uint8Array }
  /** On another connection, `start` goes on. */
  | { readonly type: 'reconnect' }
  /** The proxy passes bytes on from now on; `first` are the server's already. */
  | { readonly type: 'open'; readonly first: Uint8Array }
  | { readonly type: 'failed'; readonly error: HttpProxyError };

/** What an exchange works with. */
export type ExchangeOptions = Pick<
  HttpProxyOptions,
  'target' | 'authentication' | 'request' | 'random' | 'unixMs' | 'log'
> & {
  readonly md4: Md4;
};

/** What is sent for authentication in the next request. */
type Plan =
  | { readonly send: 'nothing' }
  | { readonly send: 'basic' | 'ntlm-negotiation'; readonly credentials: ProxyCredentials }
  | { readonly send: 'digest'; readonly credentials: ProxyCredentials; readonly challenge: string }
  | { readonly send: 'ntlm-answer'; readonly credentials: ProxyCredentials; readonly challenge: string };

/** The page that comes with a refusal is passed over up to this size; no proxy has more to say. */
const MAX_REFUSAL_BYTES = 64 << 10;
const WAIT: ExchangeStep = { type: 'wait' };

/**
 * The conversation with a proxy until it has opened a tunnel to the server, over one connection or two: what the proxy says goes in, what is to be done comes out. It ends
 * after three requests at most. RFC 9110, section 9.3.6. OpenVPN: establish_http_proxy_passthru().
 */
export class ConnectExchange {
  readonly #options: ExchangeOptions;
  readonly #log: Log;
  /** As a request writes it: an IPv6 address in brackets. */
  readonly #host: string;
  readonly #target: string;
  readonly #random: Random;
  #plan: Plan;
  #reader = new ResponseHeadReader();
  /** Bytes of a refusal that are still to come before the next request may go. */
  #skip: { bytes: number; readonly next: Plan } | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#random = options.random;
    const { host, port } = options.target;
    this.#host = host.includes(':') ? `[${host}]` : host;
    this.#target = `${this.#host}:${port}`;
    this.#plan = firstPlan(options.authentication);
  }

  /** The next request, for a fresh connection. */
  start(): ExchangeStep {
    this.#reader = new ResponseHeadReader();
    this.#skip = undefined;
    return this.#request();
  }

  /** Takes what the proxy says. */
  handleBytes(chunk: Uint8Array): ExchangeStep {
    if (this.#skip !== undefined) return this.#passOver(chunk);
    const progress = this.#reader.handleBytes(chunk);
    switch (progress.state) {
      case 'more':
        return WAIT;
      case 'bad':
        return failed(`HTTP proxy returned ${progress.reason}`);
      case 'complete':
        this.#log.info('http-proxy.returned', { line: progress.head.statusLine });
        return this.#judge(progress.head, progress.rest);
    }
  }

  /** The proxy has closed the connection before the tunnel stood. */
  handleEnd(): ExchangeStep {
    return failed('HTTP proxy closed the connection');
  }

  #judge(head: ResponseHead, rest: Uint8Array): ExchangeStep {
    if (head.status >= 200 && head.status < 300) return { type: 'open', first: rest };
    if (head.status !== 407) return failed('HTTP proxy returned bad status');
    this.#log.info('http-proxy.authentication-required');
    const challenges = readChallenges(headerValues(head, 'proxy-authenticate'));
    switch (this.#plan.send) {
      case 'nothing':
        return this.#answer(
          challenges.map(({ scheme }) => scheme),
          (scheme) => challengeOf(challenges, scheme),
        );
      case 'ntlm-negotiation': {
        const challenge = challengeOf(challenges, 'ntlm');
        if (challenge === '') return failed('Proxy requires authentication');
        this.#log.info('http-proxy.ntlm-challenge');
        const { credentials } = this.#plan;
        return this.#onSameConnection(head, rest, { send: 'ntlm-answer', credentials, challenge });
      }
      case 'basic':
      case 'digest':
      case 'ntlm-answer':
        // Asked again: what was sent is wrong, and would be wrong once more.
        return failed('Proxy requires authentication');
    }
  }

  /** The first refusal: the strongest way that both ends know. */
  #answer(offered: readonly Scheme[], challenge: (scheme: Scheme) => string): ExchangeStep {
    const { authentication } = this.#options;
    if (authentication.method !== 'auto') return failed('HTTP proxy: no support for proxy authentication method');
    const scheme = STRONGEST_FIRST.find((one) => offered.includes(one));
    if (scheme === undefined) return failed('HTTP proxy: do not recognize the authentication method required by proxy');
    this.#log.info('http-proxy.challenge', {
      scheme: scheme.toUpperCase(),
      realm: realmOf(challenge(scheme)),
    });
    const { credentials } = authentication;
    if (scheme === 'basic' && !authentication.clearText) {
      return failed('HTTP proxy: support for basic auth and other cleartext proxy auth methods is disabled');
    }
    if (credentials === undefined) {
      return failed('HTTP proxy: it asks for a user name and password: give them with --http-proxy-user-pass');
    }
    switch (scheme) {
      case 'basic':
        this.#plan = { send: 'basic', credentials };
        break;
      case 'digest':
        this.#plan = { send: 'digest', credentials, challenge: challenge('digest') };
        break;
      case 'ntlm':
        this.#plan = { send: 'ntlm-negotiation', credentials };
        break;
    }
    return { type: 'reconnect' };
  }

  /** NTLM speaks for a connection: the answer has to go the same way, behind the page that came with the refusal. */
  #onSameConnection(head: ResponseHead, rest: Uint8Array, next: Plan): ExchangeStep {
    const length = headerValues(head, 'content-length')[0] ?? '0';
    const bytes = /^[0-9]{1,9}$/.test(length) ? Number(length) : Number.POSITIVE_INFINITY;
    const encoded = headerValues(head, 'transfer-encoding').length > 0;
    if (encoded || bytes > MAX_REFUSAL_BYTES) {
      return failed('HTTP proxy: the connection cannot be used for NTLM, its refusal has no end');
    }
    this.#skip = { bytes, next };
    return this.#passOver(rest);
  }

  #passOver(chunk: Uint8Array): ExchangeStep {
    const skip = this.#skip;
    if (skip === undefined) return WAIT;
    skip.bytes -= chunk.length;
    if (skip.bytes > 0) return WAIT;
    if (skip.bytes < 0) return failed('HTTP proxy returned more than it announced');
    this.#plan = skip.next;
    return this.start();
  }

  #request(): ExchangeStep {
    const { version = '1.0', userAgent, headers = [] } = this.#options.request ?? {};
    const lines = [`CONNECT ${this.#target} HTTP/${version}`, ...headers];
    if (!headers.some((line) => /^host[ \t]*:/i.test(line))) lines.push(`Host: ${this.#host}`);
    if (userAgent !== undefined) lines.push(`User-Agent: ${userAgent}`);
    for (const line of lines) this.#log.info('http-proxy.sent', { line });
    const secret = this.#authorization();
    if (!secret.ok) return failed(secret.reason);
    const text = [...lines, ...secret.lines, '', ''].join('\r\n');
    return { type: 'send', bytes: Buffer.from(text, 'latin1') };
  }

  /** The header lines that tell who asks; they are not for the log. */
  #authorization():
    | { readonly ok: true; readonly lines: readonly string[] }
    | { readonly ok: false; readonly reason: string } {
    const plan = this.#plan;
    switch (plan.send) {
      case 'nothing':
        return { ok: true, lines: [] };
      case 'basic': {
        this.#log.info('http-proxy.attempt', { method: 'Basic' });
        const { username, password } = plan.credentials;
        const pair = Buffer.from(`${username}:${password}`, 'utf8').toString('base64');
        return authorization(`Basic ${pair}`);
      }
      case 'digest': {
        this.#log.info('http-proxy.attempt', { method: 'Digest' });
        const { credentials } = plan;
        const clientNonce = Buffer.from(this.#fresh(16)).toString('hex');
        const answer = digestResponse(plan.challenge, {
          method: 'CONNECT',
          uri: this.#target,
          credentials,
          clientNonce,
        });
        return answer.ok ? authorization(answer.header) : answer;
      }
      case 'ntlm-negotiation':
        this.#log.info('http-proxy.attempt-ntlm', { phase: 1 });
        return { ok: true, lines: [KEEP_ALIVE, `Proxy-Authorization: ${ntlmNegotiation()}`] };
      case 'ntlm-answer': {
        this.#log.info('http-proxy.attempt-ntlm', { phase: 3 });
        const answer = ntlmAnswer(plan.challenge, {
          credentials: plan.credentials,
          clientChallenge: this.#fresh(8),
          nowMs: this.#options.unixMs(),
          md4: this.#options.md4,
        });
        return answer.ok ? { ok: true, lines: [KEEP_ALIVE, `Proxy-Authorization: ${answer.header}`] } : answer;
      }
    }
  }

  #fresh(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    this.#random.fill(bytes);
    return bytes;
  }
}

const KEEP_ALIVE = 'Proxy-Connection: Keep-Alive';
const STRONGEST_FIRST: readonly Scheme[] = ['digest', 'ntlm', 'basic'];

function authorization(value: string): { readonly ok: true; readonly lines: readonly string[] } {
  return { ok: true, lines: [`Proxy-Authorization: ${value}`] };
}

function challengeOf(
  challenges: readonly { readonly scheme: Scheme; readonly text: string }[],
  scheme: Scheme,
): string {
  return challenges.find((one) => one.scheme === scheme)?.text ?? '';
}

function realmOf(challenge: string): string | undefined {
  const realm = readParameters(challenge).get('realm');
  return realm === undefined ? undefined : printable(realm);
}

function firstPlan(authentication: ProxyAuthentication): Plan {
  switch (authentication.method) {
    case 'none':
    case 'auto':
      return { send: 'nothing' };
    case 'basic':
      return { send: 'basic', credentials: authentication.credentials };
    case 'ntlm2':
      return { send: 'ntlm-negotiation', credentials: authentication.credentials };
  }
}

function failed(reason: string): ExchangeStep {
  return { type: 'failed', error: new HttpProxyError(reason) };
}
