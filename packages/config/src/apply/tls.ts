import type { Draft, Handler, Handlers } from '../draft.js';
import type { KeyType } from '../key-request.js';
import type { TlsVersion } from '../options/tls-options.js';
import { joinPath } from '../path.js';
import { fileSource, numberAt, textAt } from './read-parameters.js';

const VERSIONS: readonly string[] = ['1.0', '1.1', '1.2', '1.3'];

function takeFile(name: keyof Draft['files']): Handler {
  return (draft, statement) => {
    draft.files[name] = fileSource(statement);
    return undefined;
  };
}

/** TLS, keys and certificates, passwords. */
export const TLS_HANDLERS: Handlers = {
  'tls-client'(draft) {
    draft.tlsClient = true;
    return undefined;
  },
  'tls-server'(draft) {
    draft.tlsServer = true;
    return undefined;
  },
  ca: takeFile('ca'),
  cert: takeFile('cert'),
  key: takeFile('key'),
  'extra-certs': takeFile('extra-certs'),
  pkcs12: takeFile('pkcs12'),
  dh(draft, statement) {
    const none = !statement.inline && textAt(statement, 0) === 'none';
    draft.dhNone = none;
    draft.files.dh = none ? undefined : fileSource(statement);
    return undefined;
  },
  'crl-verify'(draft, statement) {
    if (statement.parameters[1] === 'dir') return "crl-verify with 'dir' is not supported yet: name a file";
    draft.files['crl-verify'] = fileSource(statement);
    return undefined;
  },
  'tls-version-min'(draft, statement) {
    const version = textAt(statement, 0);
    // Unknown versions mean the newest one for configurations that say so.
    const known = VERSIONS.includes(version);
    if (!known && statement.parameters[1] !== 'or-highest') {
      return `unknown tls-version-min parameter: ${version}; allowed: ${VERSIONS.join(', ')}`;
    }
    draft.versionMin = known ? (version as TlsVersion) : '1.3';
    return undefined;
  },
  'tls-version-max'(draft, statement) {
    draft.versionMax = textAt(statement, 0) as TlsVersion;
    return undefined;
  },
  'tls-cipher'(draft, statement) {
    draft.cipherList = textAt(statement, 0);
    return undefined;
  },
  'tls-ciphersuites'(draft, statement) {
    draft.cipherSuites = textAt(statement, 0);
    return undefined;
  },
  'tls-groups'(draft, statement) {
    draft.groups = textAt(statement, 0);
    return undefined;
  },
  'remote-cert-tls'(draft, statement) {
    draft.remoteCertTls = textAt(statement, 0) === 'server' ? 'server' : 'client';
    return undefined;
  },
  'remote-cert-ku'(draft, statement) {
    const bad = statement.parameters.find((text) => !/^(0x)?[0-9a-f]{1,4}$/i.test(text));
    if (bad !== undefined) return `remote-cert-ku: '${bad}' is not a hexadecimal number of at most four digits`;
    draft.remoteCertKu = statement.parameters.map((text) => Number.parseInt(text, 16));
    return undefined;
  },
  'remote-cert-eku'(draft, statement) {
    draft.remoteCertEku = textAt(statement, 0);
    return undefined;
  },
  'verify-x509-name'(draft, statement) {
    const type = statement.parameters[1];
    draft.verifyX509Name = {
      name: textAt(statement, 0),
      type: type === 'name' || type === 'name-prefix' ? type : 'subject',
    };
    return undefined;
  },
  'tls-timeout'(draft, statement) {
    draft.retransmitSeconds = numberAt(statement, 0);
    return undefined;
  },
  'hand-window'(draft, statement) {
    draft.handshakeWindowSeconds = numberAt(statement, 0);
    return undefined;
  },
  'tran-window'(draft, statement) {
    draft.transitionWindowSeconds = numberAt(statement, 0);
    return undefined;
  },
  'reneg-sec'(draft, statement) {
    const max = numberAt(statement, 0);
    const min = statement.parameters[1] === undefined ? undefined : numberAt(statement, 1);
    if (min !== undefined && max !== 0 && min > max) return `reneg-sec: the minimum ${min} is above the maximum ${max}`;
    draft.renegSeconds = { max, min };
    return undefined;
  },
  'reneg-bytes'(draft, statement) {
    draft.renegBytes = numberAt(statement, 0);
    return undefined;
  },
  'reneg-pkts'(draft, statement) {
    draft.renegPackets = numberAt(statement, 0);
    return undefined;
  },
  genkey(draft, statement) {
    const [type = 'secret', path, metadata] = statement.parameters;
    draft.genkey = {
      type: type as KeyType,
      path: path === undefined || path === '' ? undefined : joinPath(draft.directory, path),
      metadata,
    };
    return undefined;
  },
  'tls-crypt-v2-verify'(draft, statement) {
    draft.tlsCryptV2Verify = textAt(statement, 0);
    return undefined;
  },
  'tls-crypt-v2-max-age'(draft, statement) {
    draft.tlsCryptV2MaxAgeDays = numberAt(statement, 0);
    return undefined;
  },
  'single-session'(draft) {
    draft.singleSession = true;
    return undefined;
  },
  'push-peer-info'(draft) {
    draft.pushPeerInfo = true;
    return undefined;
  },
  'auth-user-pass'(draft, statement) {
    if (!statement.inline && statement.parameters[0] === undefined) {
      return 'auth-user-pass without a file is not supported yet: name a file with the user name and the password on two lines';
    }
    if (statement.parameters[0] === 'username-only') return 'auth-user-pass username-only is not supported yet';
    draft.files['auth-user-pass'] = fileSource(statement);
    return undefined;
  },
  'auth-retry'(draft, statement) {
    const retry = textAt(statement, 0);
    if (retry === 'interact') return 'auth-retry interact is not supported yet; allowed: none, nointeract';
    draft.authRetry = retry === 'nointeract' ? 'nointeract' : 'none';
    return undefined;
  },
  'auth-nocache'(draft) {
    draft.authNocache = true;
    return undefined;
  },
  'auth-user-pass-verify'(draft, statement) {
    const method = statement.parameters[1];
    if (method === undefined) {
      return "--auth-user-pass-verify requires a second parameter ('via-env' or 'via-file')";
    }
    if (method !== 'via-env' && method !== 'via-file') {
      return "second parm to --auth-user-pass-verify must be 'via-env' or 'via-file'";
    }
    draft.passwordVerify = { command: textAt(statement, 0), method };
    return undefined;
  },
  'auth-gen-token'(draft, statement) {
    // What is no number counts as 0, as with OpenVPN.
    const [lifetime, ...rest] = statement.parameters;
    const setting = {
      lifetimeSeconds: secondsIn(lifetime),
      renewalSeconds: undefined as number | undefined,
      externalAuth: false,
    };
    for (const [index, text] of rest.entries()) {
      if (index === 0 && secondsIn(text) > 0) setting.renewalSeconds = secondsIn(text);
      else if (text === 'external-auth') setting.externalAuth = true;
      else return `Invalid argument to auth-gen-token: ${text} (${index + 2})`;
    }
    draft.authGenToken = setting;
    return undefined;
  },
  'auth-gen-token-secret': takeFile('auth-gen-token-secret'),
};

/** OpenVPN: positive_atoi(). */
function secondsIn(text = ''): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : 0;
}

/** Data channel. */
export const CRYPTO_HANDLERS: Handlers = {
  'data-ciphers'(draft, statement) {
    draft.dataCiphers = textAt(statement, 0);
    return undefined;
  },
  'ncp-ciphers'(draft, statement) {
    draft.warnings.push("Note: Treating option '--ncp-ciphers' as  '--data-ciphers' (renamed in OpenVPN 2.5).");
    draft.dataCiphers = textAt(statement, 0);
    return undefined;
  },
  'data-ciphers-fallback'(draft, statement) {
    draft.dataCiphersFallback = textAt(statement, 0);
    return undefined;
  },
  cipher(draft, statement) {
    draft.cipher = textAt(statement, 0);
    return undefined;
  },
  secret(draft, statement) {
    draft.warnings.push('DEPRECATED OPTION: The option --secret is deprecated.');
    draft.staticKey = fileSource(statement);
    const direction = statement.inline ? undefined : statement.parameters[1];
    if (direction !== undefined) draft.entry.keyDirection = direction === '1' ? 1 : 0;
    return undefined;
  },
  'allow-deprecated-insecure-static-crypto'(draft) {
    draft.allowStaticKey = true;
    return undefined;
  },
  auth(draft, statement) {
    draft.auth = textAt(statement, 0);
    return undefined;
  },
  'key-derivation'(draft) {
    draft.keyDerivation = 'tls-ekm';
    return undefined;
  },
  'protocol-flags'(draft, statement) {
    draft.protocolFlags = [...statement.parameters];
    return undefined;
  },
};
