import type { Fence } from './fences.js';

/** The part of a package.json that the fences look at. */
export interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly type?: string;
  readonly license?: string;
  readonly sideEffects?: unknown;
  readonly engines?: Readonly<Record<string, string>>;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** The part of a tsconfig.json that the fences look at. */
export interface ProjectConfig {
  readonly compilerOptions?: { readonly types?: readonly string[]; readonly lib?: readonly string[] };
  readonly references?: readonly { readonly path: string }[];
}

const SCOPE = '@openvpnd/';

/** Where a package's manifest and project file do not say what its fence says, a sentence each. */
export function manifestViolations(name: string, fence: Fence, manifest: Manifest, project: ProjectConfig): string[] {
  const say: string[] = [];
  const where = `packages/${name}/package.json`;
  const allowed = [...Object.keys(fence.mayImport), ...Object.keys(fence.typesOnly ?? {})];
  const atRunTime = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies };
  const declared = Object.keys(atRunTime)
    .filter((one) => one.startsWith(SCOPE))
    .map((one) => one.slice(SCOPE.length));

  if (manifest.name !== SCOPE + name) say.push(`${where}: the name must be ${SCOPE}${name}`);
  if (manifest.type !== 'module') say.push(`${where}: type must be module`);
  if (manifest.license !== 'MIT') say.push(`${where}: license must be MIT`);
  if (manifest.sideEffects !== false && manifest.private !== true) say.push(`${where}: sideEffects must be false`);
  if (manifest.engines?.node === undefined) say.push(`${where}: engines.node is missing`);
  for (const entry of Object.keys(manifest.exports ?? {})) {
    if (entry !== '.' && entry !== './node') say.push(`${where}: ${entry} is no entry that a package may have`);
  }
  for (const other of declared) {
    if (!allowed.includes(other)) say.push(`${where}: ${name} may not depend on ${other}. ${name} is: ${fence.role}`);
    if (other === 'testkit') say.push(`${where}: testkit belongs into devDependencies`);
  }
  for (const library of Object.keys(atRunTime)) {
    if (!library.startsWith(SCOPE) && fence.libraries?.[library] === undefined)
      say.push(`${where}: the library ${library} is not in the fence of ${name}`);
  }
  for (const [dependency, range] of Object.entries({ ...atRunTime, ...manifest.devDependencies })) {
    if (dependency.startsWith(SCOPE) && !range.startsWith('workspace:'))
      say.push(`${where}: ${dependency} must come from the workspace`);
  }

  const config = `packages/${name}/tsconfig.json`;
  const references = (project.references ?? []).map(({ path }) => path.replace('../', ''));
  for (const reference of references) {
    if (!declared.includes(reference))
      say.push(`${config}: refers to ${reference}, which the manifest does not declare`);
  }
  for (const other of declared) {
    if (!references.includes(other))
      say.push(`${config}: does not refer to ${other}, so that it would be built too late`);
  }
  // A pure package sees no host types; that is what keeps timers, processes and Buffer out of it.
  if (fence.adapter !== true && (project.compilerOptions?.types ?? []).length > 0)
    say.push(`${config}: a pure package has no host types`);
  if (project.compilerOptions?.lib !== undefined) say.push(`${config}: lib is the root's business (no DOM)`);
  return say;
}
