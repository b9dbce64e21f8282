import type { Context } from './context.js';
import { isAllowedIn, mayBeInline } from './context.js';
import { maxParameters, minParameters, type OptionSpec, type Parameter, syntaxOf } from './option-spec.js';
import { describeOption, suggestOption } from './option-table.js';
import { complainAbout, describeKind } from './parameter-kind.js';
import { formatOrigin, PUSH_OPTIONS, type Statement } from './statement.js';

/**
 * What a statement is worth in its context. `unknown` may be tolerated (setenv opt, ignore-unknown-option), `wrong`
 * may not. `reason` is one line in OpenVPN's words with place and cure, without the `Options error: ` before it.
 */
export type Verdict =
  | { readonly verdict: 'good'; readonly spec: OptionSpec; readonly notices: readonly string[] }
  | { readonly verdict: 'ignored'; readonly spec: OptionSpec; readonly notices: readonly string[] }
  | { readonly verdict: 'unknown'; readonly reason: string }
  | { readonly verdict: 'wrong'; readonly reason: string };

/** Judges a statement by the option table alone: name, context, inline form, number and kind of parameters. */
export function checkStatement(statement: Statement, context: Context): Verdict {
  const { name, origin } = statement;
  const place = formatOrigin(origin);
  const unrecognized = `Unrecognized option or missing or extra parameter(s) in ${place}: ${printable(name)}`;
  const spec = describeOption(name);
  if (spec === undefined) {
    // A guess costs a walk over the table: worth it for a person's typing, not for what a peer sends.
    const near = pushed(context) ? undefined : suggestOption(name);
    const cure = near === undefined ? 'there is no such option' : `there is no such option; did you mean '${near}'?`;
    return { verdict: 'unknown', reason: `${unrecognized} (${cure})` };
  }
  if (spec.status.is === 'removed') {
    return spec.status.sentence === undefined
      ? { verdict: 'unknown', reason: `${unrecognized} (${spec.status.instead})` }
      : { verdict: 'wrong', reason: `${spec.status.sentence} (${place})` };
  }
  if (!isAllowedIn(spec, context)) {
    return {
      verdict: 'wrong',
      reason: `option '${name}' cannot be used in this context (${origin.file === PUSH_OPTIONS ? PUSH_OPTIONS : place}): ${whereAllowed(spec)}`,
    };
  }
  if (spec.status.is === 'platform') {
    return pushed(context)
      ? {
          verdict: 'ignored',
          spec,
          notices: [`option '${name}' is for ${spec.status.platform} only, ignored (${place})`],
        }
      : { verdict: 'unknown', reason: `${unrecognized} (it exists on ${spec.status.platform} only)` };
  }
  if (spec.status.is === 'ignored') {
    return {
      verdict: 'ignored',
      spec,
      notices: spec.status.notice === undefined ? [] : [`${spec.status.notice} (${place})`],
    };
  }
  if (statement.inline && !mayBeInline(spec)) {
    return {
      verdict: 'wrong',
      reason: `option '${name}' is not expected to be inline (${place}): write '${syntaxOf(spec)}' in one line`,
    };
  }
  // Numbers of parameters count before "not supported yet": a mistake is a mistake today already.
  const count = statement.parameters.length;
  if (count < minParameters(spec) || count > maxParameters(spec)) {
    return {
      verdict: 'unknown',
      reason: `${unrecognized} (the form is '${syntaxOf(spec)}', this has ${count} parameter(s))`,
    };
  }
  if (spec.status.is === 'planned') {
    return { verdict: 'unknown', reason: `option '${name}' is not supported yet (${place}): remove it to continue` };
  }
  return statement.inline ? { verdict: 'good', spec, notices: [] } : checkParameters(statement, spec, place);
}

/** The option that repeats takes the kind of its last parameter for the rest. */
function parameterAt(spec: OptionSpec, index: number): Parameter | undefined {
  return spec.parameters[index] ?? spec.parameters.filter((parameter) => parameter.repeats).at(-1);
}

/** A text from outside for a message: control characters replaced, cut at `limit` characters. */
export function printable(text: string, limit = 60): string {
  const clean = [...text].map((character) => (character < ' ' || character === '\x7f' ? '?' : character)).join('');
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean;
}

function checkParameters(statement: Statement, spec: OptionSpec, place: string): Verdict {
  const notices: string[] = [];
  for (const [index, text] of statement.parameters.entries()) {
    const parameter = parameterAt(spec, index);
    if (parameter === undefined) continue;
    const complaint = complainAbout(spec.name, parameter.kind, text);
    if (complaint !== undefined) {
      return {
        verdict: 'wrong',
        reason: `${printable(complaint, 200)} (${place}: ${spec.name}: ${parameter.name} must be ${describeKind(parameter.kind)})`,
      };
    }
    if (parameter.kind.kind === 'integer' && parameter.kind.clamp) {
      const { min, max } = parameter.kind;
      const value = Number(text);
      if (value < min || value > max) {
        notices.push(
          `Note: ${spec.name} ${value} is outside of ${min} to ${max}, using ${Math.min(max, Math.max(min, value))} (${place})`,
        );
      }
    }
  }
  return { verdict: 'good', spec, notices };
}

function pushed(context: Context): boolean {
  return context === 'pushed' || context === 'pushed-nopull';
}

function whereAllowed(spec: OptionSpec): string {
  const places = [
    isAllowedIn(spec, 'file') ? 'a configuration file or the command line' : undefined,
    isAllowedIn(spec, 'connection') ? '<connection>' : undefined,
    isAllowedIn(spec, 'listen') ? '<listen>' : undefined,
    isAllowedIn(spec, 'instance') ? 'client-config files' : undefined,
    isAllowedIn(spec, 'pushed') ? 'pushed options' : undefined,
  ].filter((place) => place !== undefined);
  return `it belongs in ${places.join(', ')}`;
}
