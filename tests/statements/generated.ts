/** Statements that no one would write: reads with something in them that is a call, or only looks like one, and then damaged. */

import fc from 'fast-check'

/** What does something if it is not where it looks harmless. */
const PAYLOADS = [
  'bell()',
  'shop.bell ( )',
  '"bell"()',
  'over(1)',
  "pg_notify('bell', 'x')",
  "nextval('numbers')",
  "('numbers'::regclass).nextval",
  'pg_advisory_lock(7)',
  'txid_current()',
  '@- 1',
  "; insert into lines (line) values ('x'); --",
  '; select bell() --',
  ' into made from users --',
  ' from users for update --',
]
const payload = fc.constantFrom(...PAYLOADS)

/** Between two tokens. */
const gap = fc.oneof(
  { weight: 6, arbitrary: fc.constant(' ') },
  fc.constantFrom('\n', '\t', '\r\n', '\f', '  ', '/**/', '/* a */', "/* ' */", '/* /* " */ */', "-- '\n", '-- $$\r', '/*--*/', '--/*\n'),
  payload.map((text) => `/* ${text} */`),
  payload.map((text) => `-- ${text.replace(/\n/g, '')}\n`),
)

/** A constant, with anything in it. */
const inside = fc.oneof(payload, fc.constantFrom('', 'a', '"', '$$', '$a$', '/*', '*/', '--', '\\', '\\\\', '\n', ';', 'é', '\u212a'))
const quoted = (text: string, quote: string): string => quote + text.replaceAll(quote, quote + quote) + quote
const constant = fc.oneof(
  fc.array(inside, { maxLength: 3 }).map((parts) => quoted(parts.join(''), "'")),
  fc.array(inside, { maxLength: 3 }).map((parts) => `E${quoted(parts.join('').replaceAll('\\', '\\\\'), "'")}`),
  payload.map((text) => `e'\\'${text.replaceAll("'", "\\'")}\\\\'`),
  payload.map((text) => `U&${quoted(text, "'")}`),
  fc.tuple(inside, fc.constantFrom('$$', '$a$', '$A$', '$é_1$')).map(([text, tag]) => `${tag}${text.replaceAll('$', '')}${tag}`),
  fc.constantFrom('1', '1.5', '.5', '1e3', 'null', 'true', "B'1'", "X'1F'", "N'a'", "date '2020-01-01'", "'a'\n'b'", '0x1F', '1_0'),
)

const READ_CALLS = [
  'now()',
  'count(*)',
  'lower(name)',
  'pg_catalog.upper(name)',
  '"concat"(name, 1)',
  'coalesce(name, email)',
  'row_number() over ()',
]
const NAMES = ['id', 'name', 'u.id', '"u"."name"', 'users.email', 'u.tags[1]', 'data', 'é', '"over"', 'e', 'u', 'current_user', '(u).id']
const operand: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: constant },
  { weight: 2, arbitrary: fc.constantFrom(...NAMES) },
  { weight: 2, arbitrary: fc.constantFrom(...READ_CALLS) },
  payload,
)
const JOINTS = [', ', ',', ' as "into", ', ' = ', ' || ', ' is distinct from ', '::text || ', ' <| ', ' - -', ' in (1), ', ' , bell() , ']
const joint = fc.oneof({ weight: 4, arbitrary: fc.constant(', ') }, fc.constantFrom(...JOINTS))
const expression = fc
  .array(fc.tuple(operand, gap, joint, gap), { maxLength: 4 })
  .map((parts) => `${parts.map((part) => part.join('')).join('')}1`)
const alias = fc.constantFrom('', ' as x', ' as "bell()"', ' as "a""b"', ' x', ' as a$b$', ' as é', ' as over')
const TAILS = [
  '',
  ';',
  ' limit 1',
  ' for update',
  ' for share of u',
  ' group by 1',
  ' order by 1',
  ' union all select 1',
  '; select bell()',
  ' -- bell()',
  ' where bell() > 0',
  ' into made',
]
const select = fc
  .tuple(
    fc.constantFrom(
      'select',
      'SELECT',
      'select distinct on (1)',
      'explain select',
      'with a as (select 1) select',
      '(select',
      'explain analyze select',
    ),
    gap,
    fc.oneof(expression, operand),
    alias,
    fc.constantFrom(
      '',
      ' from users u',
      ' from users as u(id, name)',
      ' from users u, unnest(array[1]) g',
      ' from (select * from users) u(id)',
      ')',
    ),
    fc.constantFrom(...TAILS),
  )
  .map((parts) => parts.join(''))

/** What a text may be damaged with. */
const SCRAPS = [
  ...[
    "'",
    "''",
    '"',
    '$$',
    '$a$',
    '/*',
    '*/',
    '--',
    '\n',
    '\\',
    "\\'",
    "E'",
    "U&'",
    'U&"',
    ';',
    '(',
    ')',
    ',',
    '.',
    '::',
    '[',
    ']',
    ' ',
    '\u00a0',
  ],
  ...['1', '1e', 'é', '$1', 'as x', 'over', 'bell()', 'from', 'into', ' x ', '\0', '@-', 'select', "'a'", '$', '_', 'E', 'a$'],
]
const damage = fc.record({
  place: fc.double({ min: 0, max: 1, noNaN: true }),
  cut: fc.nat({ max: 3 }),
  scrap: fc.constantFrom('', ...SCRAPS),
})

/** Texts, most of which PostgreSQL takes for statements. */
export const statement: fc.Arbitrary<string> = fc
  .tuple(select, fc.oneof({ weight: 1, arbitrary: fc.constant([]) }, fc.array(damage, { minLength: 1, maxLength: 3 })))
  .map(([text, damages]) =>
    damages.reduce((whole, { place, cut, scrap }) => {
      const at = Math.floor(place * whole.length)
      return whole.slice(0, at) + scrap + whole.slice(at + cut)
    }, text),
  )
