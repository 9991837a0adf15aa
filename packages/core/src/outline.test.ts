import { expect, test } from 'vitest'
import { outlineOf } from './outline.ts'

const B = '\\'

test.each<[sentence: string, text: string, outline: string]>([
  ['words are in lower case', 'SELECT Id FROM Users', 'select id from users'],
  ['spaces of all kinds are one', ' select\t\n 1\r\f\v,  2 ', 'select 1 , 2'],
  ['there are none beside dots, colons and parentheses', 'select a . b :: text , f ( x )', 'select a.b::text , f(x)'],
  ['a string is a quote', "select 'it''s', ''", "select ', '"],
  ['and all prefixes keep their meaning', "select N'a', B'1', X'f', U&'d', E'e'", "select n', b', x', ', '"],
  ['an E string has escapes', `select E'${B}'', e'${B}${B}', 1`, "select ', ', 1"],
  ['an E at the end of a word begins none', `select date'x' fooe'x'`, "select date' fooe'"],
  ['a backslash that ends nothing is harmless', `select 'C:${B}temp', '${B}${B}', '${B}${B}${B}${B}'''`, "select ', ', '"],
  ['a line comment is a space', 'select 1--x;\n+2 -- y', 'select 1 +2'],
  ['a line ends with a carriage return too', "select 1 --'\r+ 2", 'select 1 + 2'],
  ['comments nest', 'select/* a /* b */ ; */1', 'select 1'],
  ['as PostgreSQL sees them', 'select /*/ /**/ */ 1 /***/', 'select 1'],
  ['dollars quote', "select $$a'b$$, $x$ $$ $y$ $x$, $é$ 1 $é$", "select ', ', '"],
  ['but not in a name', 'select a$b$c, _$$ from x$y', 'select a$b$c, _$$ from x$y'],
  ['nor as a parameter', 'select $1, $23', 'select $1, $23'],
  ['a name in quotes is in braces', 'select "a"."b_1$" "c"', 'select {a}.{b_1$} {c}'],
  ['unless it needed the quotes', 'select "A", "a b", "a""b", "1", "", "é", U&"a"', 'select {$}, {$}, {$}, {$}, {$}, {$}, u&{$}'],
  ['e before a name is a word', 'select e"x"', 'select e{$}'],
  ['beyond ASCII everything is a letter', 'select é, \u00a0x, \u3000', 'select __, __x, __'],
  ['the sign of Kelvin is no k', 'select ran\u212A(1)', 'select ran__(1)'],
  ['operators stay as they are', 'select a->>b <@ c', 'select a->>b <@ c'],
  ['numbers too', 'select 1.5e-3, 0.5, 1e10, 0xFF, 1_000, 2.', 'select 1.5e-3, 0.5, 1e10, 0xff, 1_000, 2.'],
  ['nothing has no outline', ' -- nothing', ''],
])('%s', (_, text, outline) => {
  expect(outlineOf(text)).toBe(outline)
})

test.each<[sentence: string, text: string]>([
  ['a string', "select 'x"],
  ['a string whose last quote is doubled', "select 'x''"],
  ['an E string', `select E'x${B}'`],
  ['an E string that ends with a backslash', `select E'x${B}`],
  ['a name in quotes', 'select "x""'],
  ['a comment', 'select /* /* */ 1'],
  ['a dollar quote', 'select $a$ $b$ $A$'],
  ['a dollar', 'select $ 1'],
  ['a dollar quote that begins with a digit', 'select $1a$x$1a$'],
])('%s without an end has no outline', (_, text) => {
  expect(outlineOf(text)).toBeUndefined()
})

test.each<[sentence: string, text: string]>([
  ['a backslash before the closing quote', `select 'a${B}'`],
  ['a backslash before a doubled quote', `select 'a${B}''; delete from t; --'`],
  ['three of them', `select '${B}${B}${B}'`],
])('%s means one thing or another: no outline', (_, text) => {
  expect(outlineOf(text)).toBeUndefined()
})

test.each([
  ...['{a}', '[{]', B, `a${B}b`, '\u0001', '\u007f', 'a\0b', "'\0'", '--\0', '"\0"'],
  ...['1into t', '1.into t', '1. into t', '1.5into t', '.5into', '1e5into', '1ex', '$1into', '0x1g', '1_0_x'],
])('select %j has no outline', (text) => {
  expect(outlineOf(`select ${text}`)).toBeUndefined()
})
