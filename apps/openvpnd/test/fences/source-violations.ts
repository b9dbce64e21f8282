import { posix } from 'node:path';
import type { AppFence, Fence, Fences } from './fences.js';
import { importsOf, type ModuleImport, stripComments } from './imports.js';

/** The part of node:crypto that may be used in pure code: computation, no randomness. As types/node-crypto.d.ts. */
const CRYPTO_NAMES = ['createHmac', 'createHash', 'createCipheriv', 'createDecipheriv', 'timingSafeEqual'];

/** What the type checker cannot keep out of pure code, because the language itself brings it; with the house rule that says why. */
const BANNED_IN_PURE_CODE: readonly (readonly [RegExp, string])[] = [
  [/\bDate\b/, 'Date: time is passed in (house rule 1)'],
  [/\bMath\s*\.\s*random\b/, 'Math.random: randomness is passed in (house rule 2)'],
  [/\basync\b|\bawait\b|\bPromise\b/, 'asynchrony: input in, actions out (house rule 3)'],
  [/\bglobalThis\b|\beval\b/, 'globalThis or eval: they reach the host past the types'],
];

/** Names that say nothing about what is inside (house rule 16). */
const VAGUE_FILES = /^(utils?|helpers?|common|misc|types|manager)$/;

/** What one source file under packages/ or apps/ does across the fences, a sentence each. `path` is relative to the root. */
export function sourceViolations(path: string, text: string, fences: Fences): string[] {
  const [area, name = '', directory] = path.split('/');
  if (directory !== 'src') return [];
  const found = importsOf(text);
  const vague = VAGUE_FILES.test(posix.basename(path, '.ts'))
    ? [`${path}: a name that says nothing; name the concept`]
    : [];
  if (area === 'apps') {
    const fence = fences.apps[name];
    if (fence === undefined) return [`${path}: the app ${name} has no entry in fences.json`];
    return [...vague, ...found.flatMap((one) => appImport(path, name, fence, one))];
  }
  const fence = fences.packages[name];
  if (fence === undefined) return [`${path}: the package ${name} has no entry in fences.json`];
  const isPure = fence.adapter !== true && !path.startsWith(`packages/${name}/src/node/`);
  return [
    ...vague,
    ...found.flatMap((one) => packageImport(path, name, fence, one, fences)),
    ...(isPure ? found.flatMap((one) => pureImport(path, name, fence, one)) : []),
    ...(isPure ? pureText(path, text) : []),
  ];
}

function packageImport(path: string, name: string, fence: Fence, one: ModuleImport, fences: Fences): string[] {
  const { specifier } = one;
  if (specifier.startsWith('.')) return relativeImport(path, `packages/${name}/src`, specifier);
  if (specifier.startsWith('node:')) return [];
  if (/^openvpnd(\/|$)/.test(specifier))
    return [`${path}: ${name} may not import the app (${specifier}): imports point down`];
  const ours = specifier.match(/^@openvpnd\/([^/]+)(\/.*)?$/);
  if (ours === null) {
    const library = specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/');
    return fence.libraries?.[library] === undefined
      ? [`${path}: ${name} may not import the library ${library}: it is not in its fence`]
      : [];
  }
  const [, other = '', entry] = ours;
  if (other === name) return [`${path}: ${name} imports itself by name; use a relative path`];
  if (entry !== undefined && entry !== '/node') return [`${path}: ${specifier} is not an entry of ${other}`];
  const isTypesOnly = fence.typesOnly?.[other] !== undefined;
  if (fence.mayImport[other] === undefined && !isTypesOnly) {
    return [`${path}: ${name} may not import ${other}. ${name} is: ${fence.role}`];
  }
  if (entry === '/node' || fences.packages[other]?.adapter === true) {
    return [`${path}: ${specifier} is an adapter, and adapters are imported by the app alone`];
  }
  if (isTypesOnly && !one.typeOnly)
    return [`${path}: ${name} may import only types of ${other} (import type): ${fence.typesOnly?.[other]}`];
  return [];
}

function pureImport(path: string, name: string, fence: Fence, one: ModuleImport): string[] {
  if (one.specifier === 'node:crypto') {
    if (fence.nodeCrypto === undefined) return [`${path}: ${name} may not use node:crypto`];
    const others = one.names.filter((used) => !CRYPTO_NAMES.includes(used));
    if (one.names.length === 0 || others.length > 0) {
      return [
        `${path}: of node:crypto only ${CRYPTO_NAMES.join(', ')} may be imported, by name; random bytes come from the injected source`,
      ];
    }
    return [];
  }
  if (one.specifier.startsWith('node:'))
    return [`${path}: pure code may not import ${one.specifier}; node code lives in src/node/`];
  if (one.specifier.startsWith('.')) {
    const target = posix.join(posix.dirname(path), one.specifier);
    if (target.startsWith(`packages/${name}/src/node/`))
      return [`${path}: pure code may not import its own node entry (${one.specifier})`];
  }
  return [];
}

function pureText(path: string, text: string): string[] {
  const source = stripComments(text, 'blank');
  return BANNED_IN_PURE_CODE.filter(([pattern]) => pattern.test(source)).map(
    ([, reason]) => `${path}: pure code uses ${reason}`,
  );
}

function appImport(path: string, name: string, fence: AppFence, one: ModuleImport): string[] {
  const { specifier } = one;
  if (specifier.startsWith('.')) return relativeImport(path, `apps/${name}/src`, specifier);
  const ours = specifier.match(/^@openvpnd\/([^/]+)(\/.*)?$/);
  if (ours === null) return [];
  const [, other = '', entry] = ours;
  if (entry !== undefined && entry !== '/node') return [`${path}: ${specifier} is not an entry of ${other}`];
  if (fence.mayImport === '*') {
    return other === 'testkit' ? [`${path}: test tools never go into the daemon (${specifier})`] : [];
  }
  return fence.mayImport[other] === undefined
    ? [`${path}: ${name} may not import ${other}. ${name} is: ${fence.role}`]
    : [];
}

function relativeImport(path: string, home: string, specifier: string): string[] {
  const target = posix.join(posix.dirname(path), specifier);
  return target.startsWith(`${home}/`)
    ? []
    : [`${path}: ${specifier} leaves ${home}; import the other package by its name`];
}
