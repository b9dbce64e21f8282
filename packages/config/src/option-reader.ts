import { applyStatement } from './apply/apply-statement.js';
import { applyBlockRemote } from './apply/link.js';
import { checkStatement } from './check-statement.js';
import { decodeConfig, MAX_CONFIG_BYTES, readStatements } from './config-text.js';
import type { Context } from './context.js';
import { type Draft, type EntryDraft, emptyDraft } from './draft.js';
import { joinPath } from './path.js';
import { formatOrigin, type Origin, type Statement } from './statement.js';
import { utf8Bytes } from './tokenise-line.js';

/** Deepest nesting of `config` (OpenVPN: MAX_RECURSIVE_LEVELS). */
export const MAX_CONFIG_DEPTH = 10;

/** The content of a file, or why it cannot be read, in a few words: `No such file or directory`. */
export type ReadFileResult =
  | { readonly ok: true; readonly value: Uint8Array }
  | { readonly ok: false; readonly reason: string };

/** How the parser reaches configuration files. This package opens none itself. */
export interface ConfigFiles {
  /**
   * Reads a whole file. One larger than `maxBytes` must not be read to its end: any content above the limit, or a
   * reason, is a fine answer.
   */
  readFile(path: string, maxBytes: number): ReadFileResult;
}

/** What `--help` and the like ask for in place of a run. */
export type StandAlone = 'help' | 'version';

/**
 * Takes statements into a draft in their order. Every method returns the line that ends the reading, complete with its
 * prefix, or undefined to go on.
 */
export class OptionReader {
  readonly draft: Draft = emptyDraft();
  standAlone: StandAlone | undefined;
  readonly #files: ConfigFiles;
  #bytesLeft = MAX_CONFIG_BYTES;

  constructor(files: ConfigFiles) {
    this.#files = files;
  }

  /** All statements of a text. `depth`: 1 for a file that was named by the user. */
  readText(text: string, file: string, context: Context, depth: number): string | undefined {
    this.#bytesLeft -= utf8Bytes(text);
    if (this.#bytesLeft < 0) {
      return optionsError(`In ${file}: all configuration files together exceed ${MAX_CONFIG_BYTES} bytes`);
    }
    return this.#readLines(text, file, 1, context, depth);
  }

  /** The statements of a configuration file. */
  readFile(path: string, origin: Origin, context: Context, depth: number): string | undefined {
    const place = formatOrigin(origin);
    if (depth > MAX_CONFIG_DEPTH) {
      return optionsError(
        `In ${place}: Maximum recursive include levels exceeded in include attempt of file ${path} -- probably you have a configuration file that tries to include itself.`,
      );
    }
    const content = this.#files.readFile(joinPath(this.draft.directory, path), MAX_CONFIG_BYTES + 1);
    if (!content.ok) return optionsError(`In ${place}: Error opening configuration file: ${path} (${content.reason})`);
    const text = decodeConfig(content.value, path);
    return text.ok ? this.readText(text.value, path, context, depth) : optionsError(text.reason);
  }

  /** One statement. `depth` is the nesting of the file that holds it, 0 for the command line. */
  take(statement: Statement, context: Context, depth: number): string | undefined {
    const optional = statement.name === 'setenv' && statement.parameters[0] === 'opt';
    const actual = optional ? withoutOpt(statement) : statement;
    if (this.#takeOldKeyFile(actual)) return undefined;
    const verdict = checkStatement(actual, context);
    switch (verdict.verdict) {
      case 'unknown':
        if (!optional && !this.draft.forwardCompatible && !this.draft.ignoredOptions.has(actual.name)) {
          return optionsError(verdict.reason);
        }
        this.draft.warnings.push(verdict.reason);
        return undefined;
      case 'wrong':
        return optionsError(verdict.reason);
      case 'ignored':
        this.draft.warnings.push(...verdict.notices);
        return undefined;
      case 'good':
        this.draft.warnings.push(...verdict.notices);
        return this.#apply(actual, context, depth);
    }
  }

  /** `--genkey --secret FILE`, the form before 2.5. */
  #takeOldKeyFile(statement: Statement): boolean {
    const { genkey } = this.draft;
    const [path] = statement.parameters;
    if (statement.name !== 'secret' || genkey === undefined || statement.inline || path === undefined) return false;
    this.draft.warnings.push(
      'DEPRECATED OPTION: The option --secret is deprecated.',
      'WARNING: Using --genkey --secret filename is DEPRECATED.  Use --genkey secret filename instead.',
    );
    genkey.path ??= joinPath(this.draft.directory, path);
    return true;
  }

  #apply(statement: Statement, context: Context, depth: number): string | undefined {
    const { name, origin } = statement;
    switch (name) {
      case 'help':
      case 'version':
        this.standAlone ??= name;
        return undefined;
      case 'config':
        return this.readFile(statement.parameters[0] ?? '', origin, context, depth + 1);
      case 'connection':
      case 'listen':
        return this.#readBlock(statement, name, depth);
      default: {
        if (name === 'remote' && context === 'connection') {
          applyBlockRemote(this.draft.entry, statement);
          return undefined;
        }
        const reason = applyStatement(this.draft, statement);
        return reason === undefined ? undefined : optionsError(`${reason} (${formatOrigin(origin)})`);
      }
    }
  }

  #readBlock(statement: Statement, kind: 'connection' | 'listen', depth: number): string | undefined {
    const { origin } = statement;
    if (!statement.inline) {
      return optionsError(
        `Unrecognized option or missing or extra parameter(s) in ${formatOrigin(origin)}: ${kind} (write a <${kind}> block)`,
      );
    }
    const outside = this.draft.entry;
    // A block has its own key or none: the global one is given to it at the end.
    this.draft.entry = {
      ...outside,
      remote: undefined,
      tlsAuth: undefined,
      tlsCrypt: undefined,
      tlsCryptV2: undefined,
      // Each of its own adds to them.
      locals: undefined,
      ...(kind === 'listen' ? NOT_LISTENER : {}),
    };
    const problem = this.#readLines(statement.parameters[0] ?? '', origin.file, origin.line + 1, kind, depth);
    const block = this.draft.entry;
    this.draft.entry = outside;
    if (problem !== undefined) return problem;
    if (kind === 'listen') {
      this.draft.listens.push({ ...block, origin });
    } else if (block.remote === undefined) {
      this.draft.warnings.push(`NOTE: <connection> in ${formatOrigin(origin)} names no remote and is ignored`);
    } else {
      this.draft.blocks.push(block);
    }
    return undefined;
  }

  #readLines(text: string, file: string, firstLine: number, context: Context, depth: number): string | undefined {
    const read = readStatements(text, file, firstLine);
    this.draft.warnings.push(...read.warnings);
    for (const statement of read.statements) {
      const problem = this.take(statement, context, depth);
      if (problem !== undefined || this.standAlone !== undefined) return problem;
    }
    return read.problem === undefined ? undefined : optionsError(read.problem);
  }
}

/** What the whole server or another listener says, and a listener does not take over: its own limits are beside those of the server. */
const NOT_LISTENER: EntryDraft = {
  local: undefined,
  maxClients: undefined,
  connectFreq: undefined,
  connectFreqInitial: undefined,
  tag: undefined,
};

/** OpenVPN's prefix for a line about options; some lines bring their own. */
export function optionsError(reason: string): string {
  return /^(ERROR|Options warning|REMOVED OPTION):/.test(reason) ? reason : `Options error: ${reason}`;
}

/** `setenv opt name …` stands for `name …`. */
function withoutOpt(statement: Statement): Statement {
  const [, name = 'setenv opt', ...parameters] = statement.parameters;
  return { ...statement, name, parameters };
}
