/** Numbers and strings as NASM writes them. */

/** UTF-8 bytes of `text`, one character each. */
export function utf8Bytes(text: string): string {
  let bytes = '';
  for (const c of text) {
    const code = c.codePointAt(0) as number;
    if (code < 0x80) bytes += c;
    else if (code < 0x800) bytes += String.fromCharCode(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x1_0000)
      bytes += String.fromCharCode(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else
      bytes += String.fromCharCode(
        0xf0 | (code >> 18),
        0x80 | ((code >> 12) & 63),
        0x80 | ((code >> 6) & 63),
        0x80 | (code & 63),
      );
  }
  return bytes;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  e: '\x1b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** Bytes of a backquoted string: C escapes, \xHH, \ooo, \uXXXX, \UXXXXXXXX. */
export function unescapeString(text: string): string {
  return text.replace(
    /\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\s\S]))|([^\\]+)/g,
    (_, hex?: string, octal?: string, u4?: string, u8?: string, one?: string, plain?: string) => {
      if (plain !== undefined) return utf8Bytes(plain);
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
      const code = u4 ?? u8;
      if (code !== undefined) return utf8Bytes(String.fromCodePoint(Math.min(Number.parseInt(code, 16), 0x10ffff)));
      return ESCAPES[one as string] ?? utf8Bytes(one as string);
    },
  );
}

const RADIX: Readonly<Record<string, number>> = { b: 2, y: 2, o: 8, q: 8, d: 10, t: 10, h: 16, x: 16 };
const DIGITS: Readonly<Record<number, RegExp>> = {
  2: /^[01_]+$/,
  8: /^[0-7_]+$/,
  10: /^[0-9_]+$/,
  16: /^[0-9a-fA-F_]+$/,
};
const PREFIX: Readonly<Record<number, string>> = { 2: '0b', 8: '0o', 10: '', 16: '0x' };

/** The value of a number token (a 64-bit pattern), null if it is none.
 *  A radix is given in front (0x 0h 0b 0y 0o 0q 0d 0t, $ for hexadecimal) or behind; the larger one counts, so 0bh is 11. */
export function parseNumber(text: string): bigint | null {
  const before = text[0] === '$' ? 16 : text.length > 2 && text[0] === '0' ? (RADIX[letter(text, 1)] ?? 0) : 0;
  const behind = text.length > 1 ? (RADIX[letter(text, text.length - 1)] ?? 0) : 0;
  let radix = 10;
  let digits = text;
  if (before > behind) {
    radix = before;
    digits = text.slice(text[0] === '$' ? 1 : 2);
  } else if (behind > before) {
    radix = behind;
    digits = text.slice(0, -1);
  }
  const plain = digits.replaceAll('_', '');
  if (plain === '' || !(DIGITS[radix] as RegExp).test(digits)) return null;
  return BigInt.asIntN(64, BigInt(PREFIX[radix] + plain));
}

const letter = (text: string, at: number): string => (text[at] as string).toLowerCase();

/** A character constant in an expression: its first four bytes, the first in the lowest byte. */
export function characterConstant(value: string): bigint {
  let n = 0n;
  for (let i = Math.min(value.length, 4) - 1; i >= 0; i--) n = (n << 8n) | BigInt(value.charCodeAt(i));
  return n;
}
