import {
  type AuthTokens,
  type ControlAction,
  isAuthToken,
  type TokenSession,
  type TokenState,
  tokenSessionText,
  type Verdict,
} from '@openvpnd/control-processor';
import { endpointOf } from '@openvpnd/external-mux';
import type { Instant } from '@openvpnd/sans-io';
import type { PasswordAnswer } from '../host/password-program.js';
import type { TunnelAction } from '../tunnel-action.js';
import type { ClientConfigAnswer } from './client-config.js';
import type { Instance } from './server-clients.js';

/** How a server judges passwords. */
export interface PasswordPolicy {
  /** --auth-gen-token. */
  readonly tokens?: {
    readonly maker: AuthTokens;
    /** The program is asked also about who has a token. */
    readonly externalAuth: boolean;
    /** A new token goes out that often although no key is renewed; Infinity: never. */
    readonly pushEveryMs: number;
  };
  /** --setenv, for the program. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface ClientAdmissionOptions {
  /** --client-config-dir. */
  readonly clientConfig: (commonName: string) => ClientConfigAnswer;
  /** Absent: a certificate is all that is asked for. */
  readonly passwords?: PasswordPolicy;
  readonly unixTime: (now: Instant) => number;
}

type VerifyAction = Extract<ControlAction, { readonly type: 'verify' }>;

/** A question to the program that judges passwords. */
interface OpenQuestion {
  readonly instance: Instance;
  readonly request: VerifyAction;
  readonly username: string;
  readonly session: TokenSession | undefined;
}

/** Goes to a client whose user name or password is longer than OpenVPN's limit. */
const TOO_LONG = 'Username or password is too long. Maximum length is 128 bytes';
/** Makes a client with an expired token try its password. */
const TOKEN_EXPIRED = 'SESSION: token expired';

/**
 * Who is let into a server: by the name in the certificate and its file, then by user name and password or the token that stands for them.
 * OpenVPN: verify_final_auth_checks(), verify_user_pass().
 */
export class ClientAdmission {
  readonly #options: ClientAdmissionOptions;
  readonly #questions: Map<number, OpenQuestion> = new Map();
  #questionCount = 0;

  constructor(options: ClientAdmissionOptions) {
    this.#options = options;
  }

  /** The verdict about a client, or undefined while a program is asked (`verify-password` is among the actions then). */
  judge(now: Instant, instance: Instance, request: VerifyAction, actions: TunnelAction[]): Verdict | undefined {
    const { modules: peer } = instance;
    const commonName = request.certificates[0]?.commonName;
    if (!request.renegotiation) {
      for (const [key, value] of request.peerInfo) peer.log.info('peer-info', { line: `${key}=${value}` });
    }
    if (commonName === undefined || commonName === '') {
      peer.log.error('server.no-common-name');
      return REJECT;
    }
    const answer = this.#options.clientConfig(commonName);
    if (answer.type === 'refused') {
      peer.log.error('server.client-config-refused', { commonName, reason: answer.reason });
      return REJECT;
    }
    if (answer.type === 'found' && answer.config.disabled) {
      peer.log.error('server.client-disabled', { commonName });
      return REJECT;
    }
    if (!request.renegotiation) peer.config = answer.type === 'found' ? answer.config : undefined;
    const { passwords } = this.#options;
    return passwords === undefined
      ? { type: 'accept' }
      : this.#judgePassword(now, instance, request, passwords, actions);
  }

  /** The program's answer: whom it concerns and the verdict; undefined when nobody waits for it any more. */
  takeVerdict(
    now: Instant,
    questionId: number,
    answer: PasswordAnswer,
  ): { readonly instance: Instance; readonly requestId: number; readonly verdict: Verdict } | undefined {
    const question = this.#questions.get(questionId);
    this.#questions.delete(questionId);
    if (question === undefined || question.instance.modules.removed) return undefined;
    const { instance, request, username, session } = question;
    const { log } = instance.modules;
    if (answer.type === 'refused') {
      log.error('server.password-refused', {});
      const { reason } = answer;
      return { instance, requestId: request.requestId, verdict: { type: 'reject', ...(reason && { reason }) } };
    }
    log.info('server.password-accepted', { username });
    const verdict = this.#admit(now, instance, username, session);
    return { instance, requestId: request.requestId, verdict };
  }

  /** The client that a question is about, while somebody waits for the answer. */
  clientOf(questionId: number): Instance | undefined {
    const question = this.#questions.get(questionId);
    return question === undefined || question.instance.modules.removed ? undefined : question.instance;
  }

  /** Makes the next token of a client that has one. OpenVPN: check_send_auth_token(). */
  renewToken(now: Instant, instance: Instance): void {
    const { token } = instance.modules;
    if (token !== undefined) this.#issueToken(now, instance, token.username, token.session);
  }

  #judgePassword(
    now: Instant,
    instance: Instance,
    request: VerifyAction,
    { tokens, environment }: PasswordPolicy,
    actions: TunnelAction[],
  ): Verdict | undefined {
    const { log, token: held } = instance.modules;
    if (request.credentialsTooLong) {
      log.error('server.credentials-too-long');
      return { type: 'reject', reason: TOO_LONG };
    }
    if (request.username === undefined || request.password === undefined) {
      log.error('server.no-credentials');
      return REJECT;
    }
    let username = withoutControls(request.username);
    const password = withoutControls(request.password);
    let state: TokenState = 'Initial';
    let session = held?.session;
    if (tokens !== undefined && isAuthToken(password)) {
      const verdict = tokens.maker.check(password, username, this.#options.unixTime(now), held?.session);
      state = verdict.state;
      session = verdict.session ?? session;
      if (state === 'AuthenticatedEmptyUser' || state === 'ExpiredEmptyUser') username = '';
      const good = state === 'Authenticated' || state === 'AuthenticatedEmptyUser';
      if (!tokens.externalAuth) {
        log.info(good ? 'server.token-accepted' : 'server.token-refused', { username, state });
        if (!good) return state === 'Invalid' ? REJECT : { type: 'reject', reason: TOKEN_EXPIRED };
        return this.#admit(now, instance, username, session);
      }
    }
    if (tokens !== undefined) session ??= tokens.maker.open(this.#options.unixTime(now));
    this.#makeRoom(instance);
    const questionId = ++this.#questionCount;
    this.#questions.set(questionId, { instance, request, username, session });
    actions.push({
      type: 'verify-password',
      questionId,
      username,
      password,
      environment: {
        ...environment,
        ...environmentOf(instance, request),
        ...(tokens?.externalAuth && session ? { session_id: tokenSessionText(session), session_state: state } : {}),
      },
      isOpen: () => this.clientOf(questionId) !== undefined,
    });
    return undefined;
  }

  /** A client has a session and a newcomer beside it: what is older is void. */
  #makeRoom(instance: Instance): void {
    const own = [...this.#questions].filter(([, question]) => question.instance === instance);
    for (const [id] of own.slice(0, -1)) this.#questions.delete(id);
  }

  #admit(now: Instant, instance: Instance, username: string, session: TokenSession | undefined): Verdict {
    instance.modules.username = username;
    this.#issueToken(now, instance, username, session);
    return { type: 'accept', username };
  }

  #issueToken(now: Instant, instance: Instance, username: string, session: TokenSession | undefined): void {
    const { tokens } = this.#options.passwords ?? {};
    if (tokens === undefined) return;
    const unixSeconds = this.#options.unixTime(now);
    const kept = session ?? tokens.maker.open(unixSeconds);
    const text = tokens.maker.make(username, kept, unixSeconds);
    instance.modules.token = { username, session: kept, text, renewAt: now + tokens.pushEveryMs };
  }
}

const REJECT: Verdict = { type: 'reject' };

/** As OpenVPN does before anybody sees them: string_mod() with CC_PRINT. */
function withoutControls(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f]/g, '_');
}

/** What a program is told of a client. Names of peer info are checked, values have no control characters. */
function environmentOf(instance: Instance, request: VerifyAction): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [key, value] of request.peerInfo) {
    if (/^(IV|UV)_[A-Za-z0-9_]+$/.test(key)) environment[key] = withoutControls(value);
  }
  for (const { depth, subject, commonName } of request.certificates) {
    environment[`tls_id_${depth}`] = withoutControls(subject);
    if (commonName !== undefined) environment[`X509_${depth}_CN`] = withoutControls(commonName);
  }
  environment.common_name = withoutControls(request.certificates[0]?.commonName ?? '');
  const { tag } = instance.modules.listener;
  if (tag !== undefined) environment.listen_tag = tag;
  const endpoint = endpointOf(instance.address.slice());
  if (endpoint !== undefined) {
    environment[endpoint.family === 4 ? 'untrusted_ip' : 'untrusted_ip6'] = endpoint.address;
    environment.untrusted_port = String(endpoint.port);
  }
  return environment;
}
