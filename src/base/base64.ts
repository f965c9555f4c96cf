/** Base64 (RFC 4648, section 4) of bytes, for snapshots: neither Node nor the web is needed. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const VALUES = new Map([...ALPHABET].map((c, k) => [c.charCodeAt(0), k]));

/** Text of `bytes`, padded. */
export function toBase64(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let k = 0; k < bytes.length; k += 3) {
    const left = bytes.length - k;
    const three = (bytes[k] << 16) | ((bytes[k + 1] ?? 0) << 8) | (bytes[k + 2] ?? 0);
    parts.push(
      ALPHABET[three >>> 18] +
        ALPHABET[(three >>> 12) & 63] +
        (left > 1 ? ALPHABET[(three >>> 6) & 63] : '=') +
        (left > 2 ? ALPHABET[three & 63] : '='),
    );
  }
  return parts.join('');
}

/** Bytes of `text`, null if it is not canonical base64. */
export function fromBase64(text: string): Uint8Array | null {
  if (text.length % 4 !== 0) return null;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let at = 0;
  for (let k = 0; k < text.length; k += 4) {
    const last = k + 4 === text.length ? padding : 0;
    let four = 0;
    for (let c = 0; c < 4; c++) {
      const value = c >= 4 - last ? 0 : VALUES.get(text.charCodeAt(k + c));
      if (value === undefined) return null;
      four = (four << 6) | value;
    }
    if ((last === 1 && (four & 0xff) !== 0) || (last === 2 && (four & 0xffff) !== 0)) return null;
    for (let c = 0; c < 3 - last; c++) bytes[at++] = four >>> (16 - 8 * c);
  }
  return bytes;
}
