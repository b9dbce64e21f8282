import { decodeConfig } from './config-text.js';
import { finishOptions } from './finish-options.js';
import { type KeyRequest, keyRequest } from './key-request.js';
import type { ConfigFiles, StandAlone } from './option-reader.js';
import { OptionReader, optionsError } from './option-reader.js';
import type { Options } from './options/options.js';
import { COMMAND_LINE } from './statement.js';
import { MAX_PARAMETERS } from './tokenise-line.js';

/**
 * The outcome of reading options. `errors` are complete lines for the log (`Options error: …`), the process ends with
 * status 1 after them; `warnings` are complete lines too. With `standAlone` only that is to be printed.
 */
export type OptionsResult =
  | {
      readonly ok: true;
      readonly standAlone: undefined;
      readonly options: Options;
      readonly warnings: readonly string[];
    }
  | { readonly ok: true; readonly standAlone: StandAlone }
  | {
      readonly ok: true;
      readonly standAlone: 'genkey';
      readonly request: KeyRequest;
      readonly warnings: readonly string[];
    }
  | { readonly ok: false; readonly errors: readonly string[]; readonly warnings: readonly string[] };

/** No file can be read. */
const NO_FILES: ConfigFiles = {
  readFile: () => ({ ok: false, reason: 'no files here' }),
};

/**
 * Options of a command line, program name not included: `--option parameters …` in any number, or a single bare
 * argument that names a configuration file. Options take effect in their order, those of a file at the place of its
 * `--config`. Nothing given asks for `--help`. Never throws. OpenVPN: parse_argv().
 */
export function parseArguments(argv: readonly string[], files: ConfigFiles): OptionsResult {
  if (argv.length === 0) return { ok: true, standAlone: 'help' };
  const reader = new OptionReader(files);
  const origin = { file: COMMAND_LINE, line: 1 };
  const [only] = argv;
  if (argv.length === 1 && only !== undefined && !only.startsWith('--')) {
    return conclude(reader, reader.readFile(only, origin, 'file', 1));
  }
  let index = 0;
  while (index < argv.length) {
    const argument = argv[index] ?? '';
    if (!argument.startsWith('--')) {
      const problem = `I'm trying to parse "${argument}" as an --option parameter but I don't see a leading '--'`;
      return conclude(reader, optionsError(problem));
    }
    index += 1;
    const parameters: string[] = [];
    while (index < argv.length && parameters.length < MAX_PARAMETERS - 1) {
      const parameter = argv[index] ?? '';
      if (parameter.startsWith('--')) break;
      parameters.push(parameter);
      index += 1;
    }
    const problem = reader.take({ name: argument.slice(2), parameters, inline: false, origin }, 'file', 0);
    if (problem !== undefined || reader.standAlone !== undefined) return conclude(reader, problem);
  }
  return conclude(reader, undefined);
}

/**
 * Options of one configuration text.
 *
 * @param config text, or the bytes of a file
 * @param fileName as messages name it
 * @param files for nested `config`; without it they are refused
 */
export function parseConfigText(
  config: string | Uint8Array,
  fileName: string,
  files: ConfigFiles = NO_FILES,
): OptionsResult {
  const reader = new OptionReader(files);
  const text: ReturnType<typeof decodeConfig> =
    typeof config === 'string' ? { ok: true, value: config } : decodeConfig(config, fileName);
  const problem = text.ok ? reader.readText(text.value, fileName, 'file', 1) : optionsError(text.reason);
  return conclude(reader, problem);
}

function conclude(reader: OptionReader, problem: string | undefined): OptionsResult {
  if (problem !== undefined) return { ok: false, errors: [problem], warnings: reader.draft.warnings };
  if (reader.standAlone !== undefined) return { ok: true, standAlone: reader.standAlone };
  if (reader.draft.genkey !== undefined) {
    const request = keyRequest(reader.draft);
    const { warnings } = reader.draft;
    return request.ok
      ? { ok: true, standAlone: 'genkey', request: request.value, warnings }
      : { ok: false, errors: [optionsError(request.reason)], warnings };
  }
  const finished = finishOptions(reader.draft);
  return finished.ok
    ? { ok: true, standAlone: undefined, options: finished.options, warnings: finished.warnings }
    : { ok: false, errors: [optionsError(finished.reason)], warnings: reader.draft.warnings };
}
