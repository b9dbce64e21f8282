import type { Handlers } from '../draft.js';
import type { FileSource } from '../options/file-source.js';
import { parsePort } from '../port.js';
import type { Statement } from '../statement.js';
import { fileSource } from './read-parameters.js';

/** Default of OpenVPN. */
const SOCKS_PORT = 1080;
const MAX_HEADERS = 10;

/** Proxies, and what else may stand between a socket and its peer. */
export const PROXY_HANDLERS: Handlers = {
  'http-proxy'(draft, statement) {
    const [host = '', port, login, method] = statement.parameters;
    if (port === undefined) return 'http-proxy port number not defined';
    const number = parsePort(port);
    if (number === undefined) return badPort('http-proxy', port);
    const proxy = { host, port: number };
    if (login === undefined) {
      draft.entry.httpProxy = { ...proxy, method: 'none' };
    } else if (login === 'auto' || login === 'auto-nct') {
      draft.entry.httpProxy = { ...proxy, method: login };
    } else {
      const problem = methodProblem(method);
      if (problem !== undefined) return problem;
      const none = method === 'none';
      draft.entry.httpProxy = none
        ? { ...proxy, method }
        : { ...proxy, method: method === 'ntlm2' ? method : 'basic', login: loginFile(statement, login) };
    }
    return undefined;
  },
  'http-proxy-user-pass'(draft, statement) {
    draft.entry.httpProxyLogin = fileSource(statement);
    return undefined;
  },
  'http-proxy-option'(draft, statement) {
    const [type = '', value, content] = statement.parameters;
    const bad = `Bad http-proxy-option or missing or extra parameter: '${type}'`;
    if (value === undefined) return bad;
    switch (type) {
      case 'VERSION':
        if (content !== undefined || !/^[0-9]\.[0-9]$/.test(value)) return bad;
        draft.entry.httpProxyVersion = value;
        return undefined;
      case 'AGENT':
        if (content !== undefined) return bad;
        draft.entry.httpProxyAgent = value;
        return undefined;
      // The names of older versions mean the same.
      case 'EXT1':
      case 'EXT2':
      case 'CUSTOM-HEADER': {
        const { httpProxyHeaders = [] } = draft.entry;
        if (httpProxyHeaders.length >= MAX_HEADERS) {
          return `Cannot use more than ${MAX_HEADERS} http-proxy-option CUSTOM-HEADER : '${type}'`;
        }
        draft.entry.httpProxyHeaders = [...httpProxyHeaders, content === undefined ? value : `${value}: ${content}`];
        return undefined;
      }
      default:
        return bad;
    }
  },
  'socks-proxy'(draft, statement) {
    const [host = '', port, login] = statement.parameters;
    const number = port === undefined ? SOCKS_PORT : parsePort(port);
    if (number === undefined) return badPort('socks-proxy', port);
    if (login === 'stdin') return asksConsole('socks-proxy', 'name a file with user name and password');
    draft.entry.socksProxy = {
      host,
      port: number,
      ...(login === undefined ? {} : { login: loginFile(statement, login) }),
    };
    return undefined;
  },
  transport(draft, statement) {
    const [module = '', ...args] = statement.parameters;
    draft.entry.transport = { module, args };
    return undefined;
  },
  'port-share'(draft, statement) {
    const [host = '', port, directory] = statement.parameters;
    const number = parsePort(port ?? '');
    if (number === undefined || number === 0) return badPort('port-share', port);
    draft.entry.portShare = { host, port: number, directory };
    return undefined;
  },
};

/** Why a console cannot be asked for a login: a daemon in the foreground of a unit has none. */
export function asksConsole(option: string, cure: string): string {
  return `--${option}: the console is not asked for a user name and password: ${cure}`;
}

function loginFile({ name, origin }: Statement, path: string): FileSource {
  return { kind: 'file', option: name, path, origin };
}

function badPort(option: string, port: string | undefined): string {
  return `--${option}: bad port number: ${port}`;
}

function methodProblem(method: string | undefined): string | undefined {
  switch (method) {
    case undefined:
    case 'none':
    case 'basic':
    case 'ntlm2':
      return undefined;
    case 'ntlm':
      return 'http-proxy: NTLM version 1 is not supported: use the method ntlm2, which the same proxies know';
    default:
      return `ERROR: unknown HTTP authentication method: '${method}'`;
  }
}
