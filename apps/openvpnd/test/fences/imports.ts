/** One import, re-export or dynamic import of a module. */
export interface ModuleImport {
  readonly specifier: string;
  /** Nothing of it is left at run time. */
  readonly typeOnly: boolean;
  /** Loaded when the call is reached, not with the module. */
  readonly dynamic: boolean;
  /** Imported names; empty for a namespace, a default, a side effect or a dynamic import. */
  readonly names: readonly string[];
}

/** The text without comments, and with the content of strings and templates blanked where `strings` says so. */
export function stripComments(text: string, strings: 'keep' | 'blank'): string {
  const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
  return text.replace(token, (found) => {
    if (found.startsWith('/')) return ' ';
    return strings === 'keep' ? found : `${found[0]}${found[0]}`;
  });
}

/** Every module that a TypeScript source names, in order. */
export function importsOf(text: string): ModuleImport[] {
  const source = stripComments(text, 'keep');
  const found: ModuleImport[] = [];
  const statement = /\b(?:import|export)\s+(type\s+)?((?:[\w$*\s,]|\{[^}]*\})*?)\s*(?:\bfrom\s*)?(['"])([^'"]+)\3/g;
  for (const [, type, clause = '', , specifier = ''] of source.matchAll(statement)) {
    const braces = clause.match(/\{([^}]*)\}/)?.[1] ?? '';
    const names = braces
      .split(',')
      .map((name) =>
        name
          .trim()
          .replace(/^type\s+/, '')
          .replace(/\s+as\s+.*$/, ''),
      )
      .filter((name) => name !== '');
    found.push({ specifier, typeOnly: type !== undefined, dynamic: false, names });
  }
  for (const [, , specifier = ''] of source.matchAll(/\b(?:import|require)\s*\(\s*(['"`])([^'"`]+)\1/g)) {
    found.push({ specifier, typeOnly: false, dynamic: true, names: [] });
  }
  return found;
}
