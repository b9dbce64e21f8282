import { writeFileSync } from 'node:fs';
import type { KeyRequest } from '@openvpnd/config';
import {
  type ClientKeyMetadata,
  emitTlsCryptV2ClientKey,
  emitTlsCryptV2ServerKey,
  generateTlsCryptV2ClientKey,
  generateTlsCryptV2ServerKey,
  MAX_METADATA_BYTES,
  parseTlsCryptV2ServerKey,
} from '@openvpnd/control-wrap';
import { emitStaticKey, generateStaticKey } from '@openvpnd/keygen';
import type { Random } from '@openvpnd/sans-io';
import { emitPem } from '@openvpnd/wire';
import { describeErrno, errnoOf, readSource } from './host/source-files.js';
import { FatalError } from './run.js';

/** Length of the key of --auth-gen-token-secret. */
const AUTH_TOKEN_KEY_BYTES = 128;

/**
 * Makes what `--genkey` asks for and writes it to its file, for its owner alone, or to standard output. OpenVPN: do_genkey().
 *
 * @throws SourceFileError when the server key cannot be read
 * @throws FatalError with OpenVPN's words when something else is wrong; the last line of several is its message
 */
export function generateKey(request: KeyRequest, random: Random, unixSeconds: number): void {
  const text = keyText(request, random, unixSeconds);
  const { path } = request;
  if (path === undefined) {
    process.stdout.write(text);
    return;
  }
  try {
    writeFileSync(path, text, { mode: 0o600 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new FatalError(
      `Cannot open file '${path}' for write: ${describeErrno(code)} (errno=${errnoOf(code)})\nFailed to write key file`,
      { cause: error },
    );
  }
}

function keyText(request: KeyRequest, random: Random, unixSeconds: number): string {
  switch (request.type) {
    case 'secret':
    case 'tls-auth':
    case 'tls-crypt':
      return emitStaticKey(generateStaticKey(random));
    case 'tls-crypt-v2-server':
      return emitTlsCryptV2ServerKey(generateTlsCryptV2ServerKey(random));
    case 'tls-crypt-v2-client':
      return clientKeyText(request, random, unixSeconds);
    case 'auth-token': {
      const bytes = new Uint8Array(AUTH_TOKEN_KEY_BYTES);
      random.fill(bytes);
      return emitPem(bytes, 'OpenVPN auth-token server key');
    }
  }
}

function clientKeyText(request: KeyRequest, random: Random, unixSeconds: number): string {
  const { serverKey: source } = request;
  if (source === undefined) throw new TypeError('a client key needs a server key');
  const serverKey = parseTlsCryptV2ServerKey(readSource(source).toString('latin1'));
  if (!serverKey.ok) {
    throw new FatalError(
      `ERROR: OpenVPN tls-crypt-v2 server key pem decode failed: ${serverKey.reason}\nERROR: invalid tls-crypt-v2 server key format`,
    );
  }
  const metadata = clientKeyMetadata(request.metadata, unixSeconds);
  return emitTlsCryptV2ClientKey(generateTlsCryptV2ClientKey(random, serverKey.value, metadata));
}

function clientKeyMetadata(base64: string | undefined, unixSeconds: number): ClientKeyMetadata {
  if (base64 === undefined) return { type: 'timestamp', unixSeconds };
  if (base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) {
    throw new FatalError(`ERROR: failed to base64 decode provided metadata: '${base64.slice(0, 40)}' is not base64`);
  }
  const bytes = Buffer.from(base64, 'base64');
  const max = MAX_METADATA_BYTES - 1;
  if (bytes.length > max) throw new FatalError(`ERROR: metadata too long (${bytes.length} bytes, max ${max} bytes)`);
  return { type: 'user', bytes };
}
