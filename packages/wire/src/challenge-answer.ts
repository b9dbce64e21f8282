import type { DynamicChallenge } from './auth-failure.js';
import { decodeBase64, encodeBase64 } from './base64.js';

/** What answers a challenge: user name and password of the next attempt. */
export interface ChallengeAnswer {
  readonly username: string;
  readonly password: string;
}

/**
 * The answer to a dynamic challenge (AUTH_FAILED,CRV1): the server's own user name, and a password that names its state. Undefined when the
 * user name is no base64. OpenVPN: management-notes.txt, dynamic challenge/response protocol.
 */
export function answerDynamicChallenge(challenge: DynamicChallenge, response: string): ChallengeAnswer | undefined {
  const username = decodeBase64(challenge.username);
  if (username === undefined) return undefined;
  return { username: new TextDecoder().decode(username), password: `CRV1::${challenge.stateId}::${response}` };
}

/**
 * The password that carries also the answer to a static challenge, in one of the forms of --static-challenge: `scrv1`, or one text behind the
 * other (`concat`, from 2.7).
 */
export function answerStaticChallenge(password: string, response: string, format: 'scrv1' | 'concat'): string {
  switch (format) {
    case 'scrv1': {
      const base64 = (text: string): string => encodeBase64(new TextEncoder().encode(text));
      return `SCRV1:${base64(password)}:${base64(response)}`;
    }
    case 'concat':
      return password + response;
  }
}
