/** The OpenVPN option that holds what is wrong. */
export type TlsOptionName =
  | 'ca'
  | 'cert'
  | 'key'
  | 'extra-certs'
  | 'pkcs12'
  | 'crl-verify'
  | 'dh'
  | 'tls-cipher'
  | 'tls-ciphersuites'
  | 'tls-groups'
  | 'tls-version-min';

/** What is wrong: stable, for programs. */
export type TlsOptionsErrorCode =
  /** The option is needed and not there. */
  | 'missing'
  /** It is there and cannot be read as what it should be. */
  | 'invalid'
  /** The private key or PKCS#12 file is encrypted and there is no passphrase. */
  | 'passphrase-needed'
  | 'passphrase-wrong'
  /** The private key does not belong to the certificate. */
  | 'key-mismatch';

/**
 * TLS options that cannot work. The message is one line without the option's name; the application, which knows in which file
 * and line the option stands, puts both before it.
 */
export class TlsOptionsError extends Error {
  override readonly name = 'TlsOptionsError';
  readonly code: TlsOptionsErrorCode;
  readonly option: TlsOptionName;

  constructor(option: TlsOptionName, code: TlsOptionsErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.option = option;
    this.code = code;
  }
}
