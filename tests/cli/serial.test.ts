import { expect, test } from 'vitest';
import { Consoles, TextMatcher } from '../../src/cli/serial.ts';

function collect(prefixes: (string | null)[], expected: string | null = null) {
  const written: string[] = [];
  const consoles = new Consoles(prefixes, (bytes) => written.push(Buffer.from(bytes).toString('latin1')), expected);
  const send = (vm: number, text: string): void => {
    for (const byte of Buffer.from(text, 'latin1')) consoles.transmit(vm, byte);
  };
  return { consoles, send, written };
}

test('one console goes out byte for byte, every line at its end and the rest with the next flush', () => {
  const { consoles, send, written } = collect([null]);
  send(0, 'one\ntw\xff');
  expect(written).toEqual(['one\n']);
  consoles.flush();
  expect(written.join('')).toBe('one\ntw\xff');
  consoles.flush(true);
  expect(written.join('')).toBe('one\ntw\xff');
});

test('lines of several consoles are prefixed, stay whole, and are ended at the end', () => {
  const { consoles, send, written } = collect(['a: ', 'b: ']);
  send(0, 'hel');
  send(1, 'x\n');
  consoles.flush();
  send(0, 'lo\n');
  send(1, 'rest');
  consoles.flush(true);
  expect(written.join('')).toBe('b: x\na: hello\nb: rest\n');
});

test('the expected text is seen at its last byte, wherever it begins, in one console only', () => {
  const { consoles, send } = collect(['a: ', 'b: '], 'aab');
  let seen = 0;
  consoles.onSeen = () => seen++;
  send(0, 'aa');
  send(1, 'b');
  expect(consoles.seen).toBe(false);
  send(0, 'ab aab');
  expect([consoles.seen, seen]).toEqual([true, 1]);
});

test('a text is found across any boundary', () => {
  const matcher = new TextMatcher('abab');
  expect([...Buffer.from('aababab')].map((byte) => matcher.push(byte))).toEqual([
    false,
    false,
    false,
    false,
    true,
    false,
    true,
  ]);
});
