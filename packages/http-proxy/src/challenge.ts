/** How a proxy wants to be told who asks. */
export type Scheme = 'basic' | 'digest' | 'ntlm';

/** One value of `Proxy-Authenticate`. */
export interface Challenge {
  readonly scheme: Scheme;
  /** What stands behind the scheme's name. */
  readonly text: string;
}

/** The value of `Proxy-Authorization` that answers a challenge, or why there is none. */
export type ChallengeAnswer =
  | { readonly ok: true; readonly header: string }
  | { readonly ok: false; readonly reason: string };

/** The challenges that are understood, in the order of the headers. RFC 9110, section 11.7.1; one challenge a header, as proxies send them. */
export function readChallenges(values: readonly string[]): readonly Challenge[] {
  const found: Challenge[] = [];
  for (const value of values) {
    const match = /^(basic|digest|ntlm)(?:[ \t]+(.*))?$/i.exec(value);
    if (match !== null) found.push({ scheme: match[1].toLowerCase() as Scheme, text: match[2]?.trim() ?? '' });
  }
  return found;
}

/** The parameters of a challenge, `name="quoted"` or `name=token`, by their names in small letters. The first of a name counts. */
export function readParameters(text: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const match of text.matchAll(PARAMETER)) {
    const [, name, quoted, token] = match;
    const value = quoted === undefined ? token : quoted.replace(/\\(.)/g, '$1');
    const key = name.toLowerCase();
    if (!parameters.has(key)) parameters.set(key, value);
  }
  return parameters;
}

/** Names have a bound, so that no text makes it slow. */
const PARAMETER = /([A-Za-z0-9_-]{1,32})[ \t]{0,8}=[ \t]{0,8}(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))/g;
