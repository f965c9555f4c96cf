/** Mutants of a source file: one small change each, found in its syntax tree. Left alone is what has no effect at run time (types) and what
 *  only explains (texts, errors thrown at programmers). */
import ts from 'typescript';

export interface Mutant {
  /** Path below the repository. */
  readonly file: string;
  /** The place that is replaced. */
  readonly start: number;
  readonly end: number;
  readonly line: number;
  readonly kind: Kind;
  /** As one reads it; `instead` is empty for statements that are left out. */
  readonly original: string;
  readonly instead: string;
  /** The replacement as code. */
  readonly code: string;
  /** Names the mutant as long as its line does not change, wherever that moves. */
  readonly key: string;
}

export type Kind = 'condition' | 'comparison' | 'operator' | 'constant' | 'statement' | 'return';

const K = ts.SyntaxKind;

const COMPARISONS: Partial<Record<ts.SyntaxKind, readonly string[]>> = {
  [K.LessThanToken]: ['<=', '>='],
  [K.LessThanEqualsToken]: ['<', '>'],
  [K.GreaterThanToken]: ['>=', '<='],
  [K.GreaterThanEqualsToken]: ['>', '<'],
  [K.EqualsEqualsEqualsToken]: ['!=='],
  [K.ExclamationEqualsEqualsToken]: ['==='],
};

const OPERATORS: Partial<Record<ts.SyntaxKind, string>> = {
  [K.PlusToken]: '-',
  [K.MinusToken]: '+',
  [K.AsteriskToken]: '/',
  [K.SlashToken]: '*',
  [K.PercentToken]: '*',
  [K.AmpersandToken]: '|',
  [K.BarToken]: '&',
  [K.CaretToken]: '&',
  [K.LessThanLessThanToken]: '>>',
  [K.GreaterThanGreaterThanToken]: '<<',
  [K.GreaterThanGreaterThanGreaterThanToken]: '<<',
  [K.AmpersandAmpersandToken]: '||',
  [K.BarBarToken]: '&&',
  [K.QuestionQuestionToken]: '&&',
  [K.PlusEqualsToken]: '-=',
  [K.MinusEqualsToken]: '+=',
  [K.AmpersandEqualsToken]: '|=',
  [K.BarEqualsToken]: '&=',
  [K.CaretEqualsToken]: '|=',
  [K.LessThanLessThanEqualsToken]: '>>=',
  [K.GreaterThanGreaterThanEqualsToken]: '<<=',
  [K.GreaterThanGreaterThanGreaterThanEqualsToken]: '<<=',
};

/** All mutants of a file, in the order of their places. The checker tells numbers from texts. */
export function mutantsOf(source: ts.SourceFile, file: string, checker: ts.TypeChecker): Mutant[] {
  const { text } = source;
  const lines = text.split('\n');
  const found: Mutant[] = [];
  const keys = new Set<string>();

  const flagsOf = (node: ts.Node): number => {
    const type = checker.getTypeAtLocation(node);
    return type.isUnion() ? type.types.reduce((all, t) => all | t.flags, 0) : type.flags;
  };
  const isText = (node: ts.Node): boolean => (flagsOf(node) & ts.TypeFlags.StringLike) !== 0;
  const textOf = (node: ts.Node): string => text.slice(node.getStart(source), node.end);

  function add(node: ts.Node, kind: Kind, instead: string, code: string = instead): void {
    const start = node.getStart(source);
    const { line, character } = source.getLineAndCharacterOfPosition(start);
    const indent = lines[line].length - lines[line].trimStart().length;
    const stem = `${file}|${lines[line].trim()}|${character - indent}|${kind}|${instead.replace(/\s+/g, ' ')}`;
    let key = stem;
    for (let n = 2; keys.has(key); n++) key = `${stem}|${n}`;
    keys.add(key);
    found.push({ file, start, end: node.end, line: line + 1, kind, original: textOf(node), instead, code, key });
  }

  function condition(node: ts.Expression, values: readonly string[]): void {
    if (node.kind === K.TrueKeyword || node.kind === K.FalseKeyword) return;
    for (const value of values) add(node, 'condition', value);
  }

  function binary(node: ts.BinaryExpression, decides: boolean): void {
    const { left, right, operatorToken } = node;
    const replaced = (operator: string): [string, string] => [
      `${textOf(left)} ${operator} ${textOf(right)}`,
      `(${textOf(left)}) ${operator} (${textOf(right)})`,
    ];
    const assigns = operatorToken.kind >= K.FirstAssignment && operatorToken.kind <= K.LastAssignment;
    // Where the comparison is the whole condition, its opposite is a replacement by true and by false.
    for (const [n, operator] of (COMPARISONS[operatorToken.kind] ?? []).entries()) {
      const opposite = n === 1 || operator.length === 3;
      if (!(opposite && decides)) add(node, 'comparison', ...replaced(operator));
    }
    const operator = OPERATORS[operatorToken.kind];
    if (operator === undefined || isText(left) || isText(right)) return;
    if (isCast(node)) add(node, 'operator', textOf(left));
    else if (assigns) add(node, 'operator', `${textOf(left)} ${operator} ${textOf(right)}`);
    else add(node, 'operator', ...replaced(operator));
  }

  function constant(node: ts.Node, value: string): void {
    if (ts.isPrefixUnaryExpression(node.parent) && node.parent.operator === K.MinusToken) return;
    if (ts.isBinaryExpression(node.parent) && isCast(node.parent) && node.parent.right === node) return;
    const instead = otherNumber(value);
    if (instead !== value) add(node, 'constant', instead);
  }

  function returned(node: ts.Expression): void {
    if (ts.isLiteralExpression(node) || node.kind === K.TrueKeyword || node.kind === K.FalseKeyword) return;
    const flags = flagsOf(node);
    const only = (wanted: number): boolean => (flags & wanted) !== 0 && (flags & ~wanted) === 0;
    if (only(ts.TypeFlags.BooleanLike)) for (const value of ['true', 'false']) add(node, 'return', value);
    else if (only(ts.TypeFlags.NumberLike)) add(node, 'return', '0');
    else if (only(ts.TypeFlags.BigIntLike)) add(node, 'return', '0n');
  }

  function visit(node: ts.Node): void {
    if (isSilent(node)) return;
    if (ts.isThrowStatement(node)) {
      add(node, 'statement', '');
      return;
    }
    if (ts.isIfStatement(node) || ts.isWhileStatement(node) || ts.isDoStatement(node))
      condition(node.expression, ts.isIfStatement(node) ? ['true', 'false'] : ['false']);
    if (ts.isForStatement(node) && node.condition !== undefined) condition(node.condition, ['false']);
    if (ts.isConditionalExpression(node) && !isText(node)) condition(node.condition, ['true', 'false']);
    if (ts.isBinaryExpression(node)) binary(node, isDecision(node));
    if (ts.isPrefixUnaryExpression(node)) {
      const operand = textOf(node.operand);
      if (node.operator === K.PlusPlusToken) add(node, 'operator', `--${operand}`);
      else if (node.operator === K.MinusMinusToken) add(node, 'operator', `++${operand}`);
      else if (!(node.operator === K.ExclamationToken && isDecision(node))) add(node, 'operator', operand);
    }
    if (ts.isPostfixUnaryExpression(node))
      add(node, 'operator', textOf(node.operand) + (node.operator === K.PlusPlusToken ? '--' : '++'));
    if (ts.isNumericLiteral(node) || ts.isBigIntLiteral(node)) constant(node, textOf(node));
    if (node.kind === K.TrueKeyword) add(node, 'constant', 'false');
    if (node.kind === K.FalseKeyword) add(node, 'constant', 'true');
    if (ts.isReturnStatement(node))
      node.expression === undefined ? add(node, 'statement', '') : returned(node.expression);
    if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) returned(node.body);
    if (ts.isBreakOrContinueStatement(node)) add(node, 'statement', '');
    if (ts.isExpressionStatement(node) && !isCallOfSuper(node)) add(node, 'statement', '');
    ts.forEachChild(node, visit);
  }
  ts.forEachChild(source, visit);
  return found;
}

/** What is not executed, and what only makes a text. */
const isSilent = (node: ts.Node): boolean =>
  ts.isTypeNode(node) ||
  ts.isInterfaceDeclaration(node) ||
  ts.isTypeAliasDeclaration(node) ||
  ts.isImportDeclaration(node) ||
  ts.isExportDeclaration(node) ||
  ts.isTemplateExpression(node) ||
  (ts.isPropertyName(node) && !ts.isComputedPropertyName(node) && isName(node)) ||
  (ts.isCallExpression(node) &&
    ts.isPropertyAccessExpression(node.expression) &&
    TEXT_CALLS.has(node.expression.name.text));

const TEXT_CALLS = new Set(['toString', 'padStart', 'padEnd', 'toUpperCase', 'join']);

/** Whether it names a member instead of being a value. */
const isName = (node: ts.Node): boolean => (node.parent as ts.NamedDeclaration | undefined)?.name === node;

const isCallOfSuper = (node: ts.ExpressionStatement): boolean =>
  ts.isCallExpression(node.expression) && node.expression.expression.kind === K.SuperKeyword;

/** `x >>> 0` and `x | 0`: a number as 32 bits without and with sign. */
const isCast = (node: ts.BinaryExpression): boolean =>
  (node.operatorToken.kind === K.GreaterThanGreaterThanGreaterThanToken || node.operatorToken.kind === K.BarToken) &&
  ts.isNumericLiteral(node.right) &&
  node.right.text === '0';

/** Whether the expression is all of a condition. */
function isDecision(node: ts.Node): boolean {
  const { parent } = node;
  return (
    ((ts.isIfStatement(parent) || ts.isWhileStatement(parent)) && parent.expression === node) ||
    (ts.isConditionalExpression(parent) && parent.condition === node)
  );
}

/** Hexadecimal numbers are masks and encodings: they lose their lowest bit. Others become one more, 1 becomes 0. */
export function otherNumber(text: string): string {
  const big = text.endsWith('n');
  const plain = text.replaceAll('_', '').replace(/n$/, '');
  if (/[.e]/.test(plain) && !plain.startsWith('0x')) return text;
  const value = BigInt(plain);
  const suffix = big ? 'n' : '';
  if (plain.startsWith('0x') && value !== 0n) return `0x${(value & (value - 1n)).toString(16)}${suffix}`;
  return `${value === 1n ? 0n : value + 1n}${suffix}`;
}
