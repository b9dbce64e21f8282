import type { ParameterKind } from './parameter-kind.js';

/**
 * OpenVPN's permission classes (the masks of VERIFY_PERMISSION in options.c). An option may stand in a context when one
 * of its classes is allowed there, see {@link ./context.js}.
 */
export type Permission =
  | 'GENERAL'
  | 'UP'
  | 'ROUTE'
  | 'DHCPDNS'
  | 'SCRIPT'
  | 'SETENV'
  | 'SHAPER'
  | 'TIMER'
  | 'PERSIST'
  | 'PERSIST_IP'
  | 'COMP'
  | 'MESSAGES'
  | 'NCP'
  | 'TLS_PARMS'
  | 'MTU'
  | 'NICE'
  | 'PUSH'
  | 'INSTANCE'
  | 'CONFIG'
  | 'EXPLICIT_NOTIFY'
  | 'ECHO'
  | 'INHERIT'
  | 'ROUTE_EXTRAS'
  | 'PULL_MODE'
  | 'PLUGIN'
  | 'SOCKBUF'
  | 'SOCKFLAGS'
  | 'CONNECTION'
  | 'PEER_ID'
  | 'PUSH_MTU'
  /** Ours: inside a `<listen>` block. */
  | 'LISTEN'
  | 'INLINE';

/** How much of the world breaks without the option; `OWN`: OpenVPN does not know it. */
export type DeploymentClass = 'CORE' | 'COMMON' | 'RARE' | 'PLATFORM' | 'OBSOLETE' | 'OWN';

/** One parameter of an option. */
export interface Parameter {
  readonly name: string;
  readonly kind: ParameterKind;
  readonly required: boolean;
  /** May be repeated up to the limit of a line; only the last parameter may. */
  readonly repeats: boolean;
}

/** What this implementation does with the option. */
export type OptionStatus =
  /** Works. */
  | { readonly is: 'implemented' }
  /** Taken without effect, as OpenVPN does; `notice` is the line to log, if any. */
  | { readonly is: 'ignored'; readonly notice: string | undefined }
  /** Known and refused: "not supported yet". */
  | { readonly is: 'planned' }
  /** Exists on another operating system only; refused in files, ignored when pushed. */
  | { readonly is: 'platform'; readonly platform: string }
  /** OpenVPN has removed it; refused. With `sentence` OpenVPN's own words, otherwise it counts as unknown. */
  | { readonly is: 'removed'; readonly sentence: string | undefined; readonly instead: string };

/** A row of the option table. */
export interface OptionSpec {
  readonly name: string;
  readonly deploymentClass: DeploymentClass;
  readonly permissions: readonly Permission[];
  readonly parameters: readonly Parameter[];
  readonly status: OptionStatus;
  /** Prints something and ends, like `--version`. */
  readonly standAlone: boolean;
  /** One line for `--help`. */
  readonly summary: string;
}

/** A required parameter. */
export function need(name: string, kind: ParameterKind): Parameter {
  return { name, kind, required: true, repeats: false };
}

/** A parameter that may be left out. */
export function may(name: string, kind: ParameterKind): Parameter {
  return { name, kind, required: false, repeats: false };
}

/** One or more parameters. */
export function some(name: string, kind: ParameterKind): Parameter {
  return { name, kind, required: true, repeats: true };
}

/** Any number of parameters. */
export function many(name: string, kind: ParameterKind): Parameter {
  return { name, kind, required: false, repeats: true };
}

type Row = [
  name: string,
  deploymentClass: DeploymentClass,
  permissions: readonly Permission[],
  parameters: readonly Parameter[],
  summary: string,
];

/** A row whose option works. */
export function implemented(...row: Row): OptionSpec {
  return build(row, { is: 'implemented' });
}

/** A row whose option is refused for now. */
export function planned(...row: Row): OptionSpec {
  return build(row, { is: 'planned' });
}

/** A row whose option is taken without effect. */
export function ignored(...row: [...Row, notice?: string]): OptionSpec {
  const [name, deploymentClass, permissions, parameters, summary, notice] = row;
  return build([name, deploymentClass, permissions, parameters, summary], { is: 'ignored', notice });
}

/** A row whose option exists on other operating systems only. */
export function platform(system: string, ...row: Row): OptionSpec {
  return build(row, { is: 'platform', platform: system });
}

/** A row whose option OpenVPN removed. */
export function removed(
  name: string,
  deploymentClass: DeploymentClass,
  instead: string,
  sentence?: string,
): OptionSpec {
  return build([name, deploymentClass, ['GENERAL'], [many('value', { kind: 'text' })], `Removed: ${instead}.`], {
    is: 'removed',
    sentence,
    instead,
  });
}

/** The same row for an option that prints something and ends. */
export function standAlone(spec: OptionSpec): OptionSpec {
  return { ...spec, standAlone: true };
}

/** Fewest parameters. */
export function minParameters(spec: OptionSpec): number {
  return spec.parameters.filter((parameter) => parameter.required).length;
}

/** Most parameters; Infinity when the last one repeats. */
export function maxParameters(spec: OptionSpec): number {
  return spec.parameters.some((parameter) => parameter.repeats) ? Number.POSITIVE_INFINITY : spec.parameters.length;
}

/** The option with its parameters, `remote host [port] [proto]`. */
export function syntaxOf(spec: OptionSpec): string {
  const parameters = spec.parameters.map((parameter) => {
    const name = parameter.repeats ? `${parameter.name} ...` : parameter.name;
    return parameter.required ? name : `[${name}]`;
  });
  return [spec.name, ...parameters].join(' ');
}

function build(row: Row, status: OptionStatus): OptionSpec {
  const [name, deploymentClass, permissions, parameters, summary] = row;
  return { name, deploymentClass, permissions, parameters, status, standAlone: false, summary };
}
