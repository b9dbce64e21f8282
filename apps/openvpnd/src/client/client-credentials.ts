import type { Credentials } from '@openvpnd/control-processor';
import { decodeBase64 } from '@openvpnd/wire';

/**
 * What a client authenticates with: its password, or the token that its server has given it in place of that. Outlives connections.
 * OpenVPN: auth_user_pass and auth_token in ssl.c.
 */
export class ClientCredentials {
  readonly #password: Credentials | undefined;
  #token: Credentials | undefined;

  /** @param password what `--auth-user-pass` supplies; undefined: the client has none, and tokens mean nothing to it */
  constructor(password: Credentials | undefined) {
    this.#password = password;
  }

  /** For the next key exchange. */
  get current(): Credentials | undefined {
    return this.#token ?? this.#password;
  }

  /**
   * The server pushed `auth-token`, and perhaps `auth-token-user`. Returns whether that changes anything.
   *
   * @param username base64 as it came; undefined, or no base64: the name stays
   */
  takeToken(token: string, username: string | undefined): boolean {
    const named = this.current;
    if (named === undefined) return false;
    const bytes = username === undefined ? undefined : decodeBase64(username);
    this.#token = { username: bytes === undefined ? named.username : new TextDecoder().decode(bytes), password: token };
    return true;
  }

  /** The server refused us. Whether that was because of a token, which is forgotten: the password may still do. */
  dropToken(): boolean {
    const had = this.#token !== undefined;
    this.#token = undefined;
    return had;
  }
}
