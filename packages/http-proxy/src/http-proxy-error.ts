/** A link that an HTTP proxy did not open. The message is OpenVPN's line. */
export class HttpProxyError extends Error {
  readonly code = 'ERR_HTTP_PROXY';
  override readonly name = 'HttpProxyError';
}
