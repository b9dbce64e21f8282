/** A variable of `setenv`. */
export interface EnvironmentVariable {
  readonly name: string;
  readonly value: string;
}

/** Options of the process itself. */
export interface ProcessOptions {
  /** `cd`: all relative paths count from here; several are already joined. */
  readonly directory: string | undefined;
  /** `writepid`. */
  readonly pidFile: string | undefined;
  /** `script-security`, default 1. */
  readonly scriptSecurity: number;
  /** `persist-tun`. */
  readonly persistTun: boolean;
  /** `user`, `group`: by name. */
  readonly user: string | undefined;
  readonly group: string | undefined;
  /** `nice`: what is added to the priority's number. */
  readonly nice: number | undefined;
  /** `setenv` in order, without FORWARD_COMPATIBLE and opt. */
  readonly environment: readonly EnvironmentVariable[];
}

/** Options of the log. */
export interface LogOptions {
  /** `verb`, 0 to 11, default 1. */
  readonly verbosity: number;
  /** `mute`: most lines in a row of one category, 0 for no limit. */
  readonly mute: number;
  /** `log`, `log-append`; undefined: standard output. */
  readonly file: { readonly path: string; readonly append: boolean } | undefined;
  /** False with `suppress-timestamps`. */
  readonly timestamps: boolean;
  /** False with `mute-replay-warnings`. */
  readonly replayWarnings: boolean;
  /** `status`: the file, and every how many seconds it is written; 0: never. */
  readonly status: { readonly path: string; readonly seconds: number } | undefined;
  /** `status-version`, default 1. Ours: 4 is 3 with the listener of each client. */
  readonly statusVersion: 1 | 2 | 3 | 4;
}
