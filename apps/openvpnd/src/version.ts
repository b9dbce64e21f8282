/** The OpenVPN release whose behaviour, messages and peer info this daemon has. */
export const OPENVPN_VERSION = '2.6.14';

/** `--version`. The first line begins as OpenVPN's, for tools that look for it. */
export function versionLines(): readonly string[] {
  return [
    `OpenVPN ${OPENVPN_VERSION} compatible openvpnd [SSL (OpenSSL)] [EPOLL] [AEAD]`,
    `library versions: OpenSSL ${process.versions.openssl}, Node.js ${process.versions.node}`,
    'openvpnd is an independent implementation under the MIT licence; it contains no code of OpenVPN.',
  ];
}
