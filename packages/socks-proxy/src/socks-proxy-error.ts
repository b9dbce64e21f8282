/** A link that a SOCKS proxy did not open. The message is OpenVPN's line. */
export class SocksProxyError extends Error {
  readonly code = 'ERR_SOCKS_PROXY';
  override readonly name = 'SocksProxyError';
}
