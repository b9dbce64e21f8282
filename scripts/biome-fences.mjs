// fences.json in the linter's words. The linter cannot tell an import of types from one of values: boundaries.test.ts does.

/** One override of biome.json for each package and, where it has one, for its node entry. */
export function biomeFences(fences) {
  const overrides = [];
  for (const [name, fence] of Object.entries(fences.packages)) {
    const allowed = [...Object.keys(fence.mayImport), ...Object.keys(fence.typesOnly ?? {})];
    overrides.push(override(`packages/${name}/src/**`, [ours(name, fence, allowed)]));
    if (fence.adapter) continue;
    const host = {
      group: fence.nodeCrypto ? ['node:*', '!node:crypto'] : ['node:*'],
      message: `Pure code knows no host: put it behind the ./node entry of ${name}.`,
    };
    const inward = { group: ['**/node/**'], message: 'The ./node entry imports pure code, not the other way round.' };
    const pure = [`packages/${name}/src/**`, `!packages/${name}/src/node/**`];
    overrides.push(override(pure, [ours(name, fence, allowed), host, inward]));
  }
  for (const [name, fence] of Object.entries(fences.apps)) {
    if (fence.mayImport === '*') {
      const group = ['@openvpnd/testkit', '@openvpnd/testkit/**', '@openvpnd/quick-start'];
      overrides.push(override(`apps/${name}/src/**`, [{ group, message: 'Test tools never go into the daemon.' }]));
    } else {
      const allowed = Object.keys(fence.mayImport).flatMap((other) => [other, `${other}/node`]);
      overrides.push(override(`apps/${name}/src/**`, [ours(name, fence, allowed)]));
    }
  }
  return overrides;
}

function ours(name, fence, allowed) {
  return {
    group: ['@openvpnd/**', 'openvpnd', 'openvpnd/**', ...allowed.map((other) => `!@openvpnd/${other}`)],
    message: `${name}: ${fence.role}. It may import ${allowed.length > 0 ? allowed.join(', ') : 'nothing of ours'} (fences.json).`,
  };
}

function override(includes, patterns) {
  return {
    includes: [includes].flat(),
    linter: { rules: { style: { noRestrictedImports: { level: 'error', options: { patterns } } } } },
  };
}
