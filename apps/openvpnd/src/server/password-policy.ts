import type { FileSource, Options } from '@openvpnd/config';
import { AuthTokens, parseAuthTokenKey, randomAuthTokenKey } from '@openvpnd/control-processor';
import { NEVER, type Random, type Secret } from '@openvpnd/sans-io';
import { readSource, SourceFileError } from '../host/source-files.js';
import type { PasswordPolicy } from './client-admission.js';
import { listenerEnvironment } from './listener-environment.js';

/**
 * How a server judges passwords, by --auth-user-pass-verify and --auth-gen-token; undefined when it asks for none.
 *
 * @throws SourceFileError when the key of the tokens cannot be read or is none
 */
export function passwordPolicy(options: Options, random: Random): PasswordPolicy | undefined {
  const { passwordVerify, authGenToken } = options.server ?? {};
  if (passwordVerify === undefined) return undefined;
  const environment = {
    ...listenerEnvironment(options.listeners),
    ...Object.fromEntries(options.process.environment.map(({ name, value }) => [name, value])),
  };
  if (authGenToken === undefined) return { environment };
  const { lifetimeSeconds, renewalSeconds, externalAuth, secret } = authGenToken;
  const maker = new AuthTokens({
    key: secret === undefined ? randomAuthTokenKey(random) : readKey(secret),
    renewalSeconds,
    lifetimeSeconds,
    random,
  });
  // Otherwise each new key brings a new token in time.
  const { maxSeconds } = options.tls.renegotiation;
  const pushEveryMs = renewalSeconds < maxSeconds ? renewalSeconds * 1000 : NEVER;
  return { environment, tokens: { maker, externalAuth, pushEveryMs } };
}

function readKey(source: FileSource): Secret {
  const parsed = parseAuthTokenKey(readSource(source).toString('latin1'));
  if (parsed.ok) return parsed.value;
  const { file, line } = source.origin;
  const where = source.kind === 'file' ? `'${source.path}'` : 'the inline block';
  throw new SourceFileError(
    `--${source.option} (${file}:${line}): ERROR: Cannot load auth-token secret: ${where}: ${parsed.reason}; make one with openvpnd --genkey auth-token FILE`,
  );
}
