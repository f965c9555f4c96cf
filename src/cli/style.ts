/** A few colours for terminals (ECMA-48, "SGR — Select Graphic Rendition"). */

const CODES = { bold: 1, dim: 2, green: 32, yellow: 33, cyan: 36 } as const;

export type Style = keyof typeof CODES;

export const paint = (style: Style, text: string): string => `\x1b[${CODES[style]}m${text}\x1b[0m`;
