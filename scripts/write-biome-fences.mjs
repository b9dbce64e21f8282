// Writes the part of biome.json that follows from fences.json: which imports the linter refuses in which package.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { biomeFences } from './biome-fences.mjs';
import { bin, root, tryStep } from './workspace.mjs';

const file = join(root, 'biome.json');
const biome = JSON.parse(readFileSync(file, 'utf8'));
const fences = JSON.parse(readFileSync(join(root, 'fences.json'), 'utf8'));
const others = (biome.overrides ?? []).filter((override) => !override.linter?.rules?.style?.noRestrictedImports);
biome.overrides = [...others, ...biomeFences(fences)];
writeFileSync(file, `${JSON.stringify(biome, null, 2)}\n`);
tryStep(bin('biome'), ['format', '--write', file]);
