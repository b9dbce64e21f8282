import type { ControlWrapOptions, FileSource, Options } from '@openvpnd/config';
import type { TlsEngineFactory } from '@openvpnd/control-tls';
import {
  type NodeTlsOptions,
  nodeTlsEngineFactory,
  TlsOptionsError,
  type WorkerTlsEngineFactory,
  workerTlsEngineFactory,
} from '@openvpnd/control-tls/node';
import { EKM_LABEL_DATA_KEYS, EKM_LABEL_DYNAMIC_TLS_CRYPT, KEY2_BYTES } from '@openvpnd/keygen';
import { readSource } from './host/source-files.js';
import { FatalError } from './run.js';

/**
 * Reads certificates, keys and lists and makes the engines of a tunnel from them.
 *
 * @throws SourceFileError when a file cannot be read
 * @throws FatalError when its content is of no use; the message names option, file and line
 */
export function tlsEngines(options: Options): TlsEngineFactory {
  return make(options, nodeTlsEngineFactory);
}

/**
 * {@link tlsEngines} for a server with many peers: in threads, so that those who connect do not delay the packets of those who are there.
 *
 * @throws as tlsEngines
 */
export function threadedTlsEngines(options: Options): WorkerTlsEngineFactory {
  const exporters = [EKM_LABEL_DATA_KEYS, EKM_LABEL_DYNAMIC_TLS_CRYPT].map((label) => ({ label, length: KEY2_BYTES }));
  return make(options, (settings) => workerTlsEngineFactory(settings, { exporters }));
}

function make<Factory>(options: Options, factory: (settings: NodeTlsOptions) => Factory): Factory {
  const { tls } = options;
  const sources = {
    ca: tls.ca,
    cert: tls.cert,
    key: tls.key,
    'extra-certs': tls.extraCerts,
    dh: tls.dh,
    'crl-verify': tls.crl,
  };
  try {
    return factory({
      ...content('ca', tls.ca),
      ...content('cert', tls.cert),
      ...content('key', tls.key),
      ...content('extraCerts', tls.extraCerts),
      ...content('dh', tls.dh),
      ...content('crl', tls.crl),
      ...(tls.pkcs12 && { pkcs12: readPkcs12(tls.pkcs12) }),
      minVersion: tls.versionMin,
      ...(tls.versionMax && { maxVersion: tls.versionMax }),
      ...(tls.cipherList && { ciphers: tls.cipherList }),
      ...(tls.cipherSuites && { ciphersuites: tls.cipherSuites }),
      ...(tls.groups && { groups: tls.groups }),
    });
  } catch (error) {
    if (!(error instanceof TlsOptionsError)) throw error;
    const source =
      error.option === 'pkcs12' ? tls.pkcs12 : (sources as Record<string, FileSource | undefined>)[error.option];
    throw new FatalError(`${SUBJECT[error.option] ?? `--${error.option}`}${place(source)}: ${error.message}`, {
      cause: error,
    });
  }
}

/** The files that the options name, all of them tried: what cannot be read is told together. OpenVPN: options_postprocess_filechecks(). */
export function namedSources(options: Options): readonly FileSource[] {
  const { tls, staticKey, client, connections } = options;
  const keys = connections.flatMap(({ controlWrap }) => wrapKeys(controlWrap));
  const all = [
    tls.ca,
    tls.cert,
    tls.key,
    tls.extraCerts,
    tls.pkcs12,
    tls.dh,
    tls.crl,
    staticKey?.source,
    client?.authUserPass,
    ...keys,
  ];
  return all.filter((source) => source !== undefined);
}

function wrapKeys(wrap: ControlWrapOptions): readonly FileSource[] {
  if (wrap.kind === 'none') return [];
  return wrap.kind === 'tls-crypt-v2' ? [wrap.key, ...wrapKeys(wrap.beside)] : [wrap.key];
}

/** OpenVPN's words for files that it cannot use. */
const SUBJECT: Readonly<Record<string, string>> = {
  ca: 'Cannot load CA certificate file',
  cert: 'Cannot load certificate file',
  key: 'Cannot load private key file',
  dh: 'Cannot load DH parameters from',
  'crl-verify': 'CRL: cannot read CRL from file',
};

function content<Name extends string>(name: Name, source: FileSource | undefined): Partial<Record<Name, Buffer>> {
  return source === undefined ? {} : ({ [name]: readSource(source) } as Record<Name, Buffer>);
}

function readPkcs12(source: FileSource): Buffer {
  const bytes = readSource(source);
  return source.kind === 'inline' ? Buffer.from(bytes.toString('latin1'), 'base64') : bytes;
}

function place(source: FileSource | undefined): string {
  if (source === undefined) return '';
  const where = source.kind === 'file' ? source.path : `[[INLINE]]`;
  return ` ${where} (option '${source.option}', ${source.origin.file}:${source.origin.line})`;
}
