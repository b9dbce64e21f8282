/** Where a statement was written. `[CMD-LINE]` with line 1 stands for the command line, `[PUSH-OPTIONS]` for a PUSH_REPLY. */
export interface Origin {
  readonly file: string;
  /** 1 is the first line. */
  readonly line: number;
}

/** One directive as written: name and parameters after unquoting, before anything was judged. */
export interface Statement {
  /** Without the leading `--`. */
  readonly name: string;
  /** For an inline block the only parameter is the block's text, each line ended by `\n`. */
  readonly parameters: readonly string[];
  /** True for `<name>…</name>`. */
  readonly inline: boolean;
  readonly origin: Origin;
}

/** The file name that OpenVPN prints for options of the command line. */
export const COMMAND_LINE = '[CMD-LINE]';

/** The file name that OpenVPN prints for options of a PUSH_REPLY. */
export const PUSH_OPTIONS = '[PUSH-OPTIONS]';

/** `server.conf:12`, the form in which OpenVPN names a place. */
export function formatOrigin(origin: Origin): string {
  return `${origin.file}:${origin.line}`;
}
