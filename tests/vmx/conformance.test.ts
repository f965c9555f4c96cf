import { expect, test } from 'vitest';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import { FIELDS } from '../../src/vmx/field-table.ts';
import { conformanceDocument, unexplained } from './conformance/document.ts';
import { MANUAL_EXITS, MANUAL_FIELDS } from './conformance/manual.ts';

test('docs/vmx-conformance.md says what is there (npm run docs writes it)', async () => {
  await expect(conformanceDocument()).toMatchFileSnapshot('../../docs/vmx-conformance.md');
});

test('what is absent is absent for a reason', () => {
  expect(unexplained()).toEqual([]);
});

test("the code has no field and no exit that the manual's lists do not have, under the same numbers", () => {
  const encodings = new Set(MANUAL_FIELDS.map(([encoding]) => encoding));
  expect(FIELDS.filter((field) => !encodings.has(field.encoding)).map((field) => field.name)).toEqual([]);
  const names = new Map(MANUAL_EXITS);
  for (const [name, number] of Object.entries(EXIT)) expect([number, names.get(number)]).toEqual([number, name]);
});
