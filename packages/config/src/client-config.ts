import { applyStatement } from './apply/apply-statement.js';
import { checkStatement } from './check-statement.js';
import { readStatements } from './config-text.js';
import { type Draft, emptyDraft, type PushEdit } from './draft.js';
import { deepFreeze } from './finish-options.js';
import { optionsError } from './option-reader.js';
import type { CompressionAlgorithm } from './options/compression-options.js';
import type { Ifconfig } from './options/device-options.js';
import { formatOrigin, type Statement } from './statement.js';

/** Options of one client from its file in `client-config-dir`. Undefined: the server's own value counts. */
export interface ClientConfig {
  /** `disable`: refuse the client. */
  readonly disabled: boolean;
  /** `ifconfig-push`; `alias` is the client's address as the server sees it when that differs. */
  readonly ifconfig: (Ifconfig & { readonly alias: string | undefined }) | undefined;
  /** `ifconfig-ipv6-push`; without remote the server's own address is meant. */
  readonly ifconfigIpv6:
    | { readonly local: string; readonly bits: number; readonly remote: string | undefined }
    | undefined;
  readonly iroutes: readonly { readonly network: string; readonly netmask: string }[];
  readonly iroutesIpv6: readonly { readonly network: string; readonly bits: number }[];
  /** What `push`, `push-reset` and `push-remove` do to the server's list, see {@link editPushList}. */
  readonly pushEdits: readonly PushEdit[];
  /** `push-remove ifconfig-ipv6`: the client gets no IPv6 address. */
  readonly ifconfigIpv6Blocked: boolean;
  readonly dataCiphers: string | undefined;
  readonly dataCiphersFallback: string | undefined;
  readonly cipher: string | undefined;
  /** `compress`, `comp-lzo`. */
  readonly compression: { readonly algorithm: CompressionAlgorithm | undefined } | undefined;
  readonly pingSeconds: number | undefined;
  readonly pingTimeout: { readonly seconds: number; readonly action: 'restart' | 'exit' } | undefined;
}

/** The good part of a client-config file, and a line about everything that was skipped. */
export interface ClientConfigResult {
  readonly config: ClientConfig;
  readonly log: readonly string[];
}

/**
 * Reads a client-config file. As with OpenVPN a bad line is logged and skipped: it does not stop the server, and the
 * client is not refused for it. Nested `config` is not supported there yet. Never throws.
 */
export function parseClientConfig(text: string, fileName: string): ClientConfigResult {
  const draft = emptyDraft();
  const log: string[] = [];
  const read = readStatements(text, fileName);
  log.push(...read.warnings);
  for (const statement of read.statements) take(draft, statement, log);
  if (read.problem !== undefined) log.push(optionsError(read.problem));
  log.push(...draft.warnings);
  const config: ClientConfig = {
    disabled: draft.disable ?? false,
    ifconfig: draft.ifconfigPush,
    ifconfigIpv6: draft.ifconfigIpv6Push,
    iroutes: draft.iroutes,
    iroutesIpv6: draft.iroutesIpv6,
    pushEdits: draft.pushEdits,
    ifconfigIpv6Blocked: draft.pushEdits.some((edit) => edit.edit === 'remove' && edit.prefix === 'ifconfig-ipv6'),
    dataCiphers: draft.dataCiphers,
    dataCiphersFallback: draft.dataCiphersFallback,
    cipher: draft.cipher,
    compression: draft.compression && { algorithm: draft.compression.algorithm },
    pingSeconds: draft.pingSeconds,
    pingTimeout: draft.pingTimeout,
  };
  return { config: deepFreeze(config), log };
}

/**
 * The options to push to one client: the server's list with the edits applied in order. `push-remove` takes away what
 * begins with its text.
 */
export function editPushList(push: readonly string[], edits: readonly PushEdit[]): readonly string[] {
  let list = [...push];
  for (const edit of edits) {
    switch (edit.edit) {
      case 'reset':
        list = [];
        break;
      case 'remove':
        list = list.filter((option) => !option.startsWith(edit.prefix));
        break;
      case 'push':
        list.push(edit.option);
        break;
    }
  }
  return list;
}

function take(draft: Draft, statement: Statement, log: string[]): void {
  const verdict = checkStatement(statement, 'instance');
  switch (verdict.verdict) {
    case 'unknown':
    case 'wrong':
      log.push(optionsError(verdict.reason));
      return;
    case 'ignored':
      log.push(...verdict.notices);
      return;
    case 'good': {
      log.push(...verdict.notices);
      const place = formatOrigin(statement.origin);
      const reason =
        statement.name === 'config'
          ? `option 'config' is not supported yet in client-config files`
          : applyStatement(draft, statement);
      if (reason !== undefined) log.push(optionsError(`${reason} (${place})`));
      return;
    }
  }
}
