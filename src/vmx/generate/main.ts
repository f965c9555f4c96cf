/** Writes the generated source of this folder (npm run generate). */

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generatedFiles } from './sources.ts';

for (const [name, text] of generatedFiles()) {
  writeFileSync(fileURLToPath(new URL(`../${name}`, import.meta.url)), text);
  console.log(`src/vmx/${name}: ${text.split('\n').length} lines`);
}
