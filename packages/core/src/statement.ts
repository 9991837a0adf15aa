/**
 * What is this text that is about to be sent to PostgreSQL: a read, which may be retried, or something that may not?
 *
 * Decided by what the text shows, and only if all of it is understood. There is no catalog here: whatever could be an effect counts as one.
 */

import { GRAMMAR_WORDS, HARMLESS_FUNCTIONS, HARMLESS_OPERATORS } from './harmless.ts'
import { outlineOf } from './outline.ts'

/** What a text sent to PostgreSQL is, as far as the text shows. */
export interface Statement {
  /**
   * - `read`: certainly one statement that only reads, and calls only functions of PostgreSQL that have no effect. Or no statement at all.
   * - `write`: anything else that may write.
   * - `transaction`: BEGIN, COMMIT, ROLLBACK, SAVEPOINT, PREPARE TRANSACTION, SET LOCAL and the like.
   * - `session`: changes session state, see `sessionState`. It may write as well.
   * - `unknown`: several statements, or not understood. Treated as the worst case.
   */
  readonly kind: 'read' | 'write' | 'transaction' | 'session' | 'unknown'
  /** One INSERT, UPDATE, DELETE or MERGE, possibly after WITH: it cannot commit before its end. Not DO, CALL, VACUUM, EXPLAIN ANALYZE. */
  readonly plainWrite: boolean
  /**
   * May it commit a transaction, or commit before its own end: COMMIT, END, PREPARE TRANSACTION, ROLLBACK PREPARED, CALL, DO, VACUUM,
   * CREATE DATABASE, ALTER SYSTEM, CONCURRENTLY, several statements, anything not understood. Not ROLLBACK: with or without it, nothing remains.
   */
  readonly mayCommit: boolean
  /**
   * Does it leave session state, which dies with the connection: SET and RESET, LISTEN, PREPARE, a cursor WITH HOLD, temporary objects,
   * LOAD, DISCARD, `set_config` without `true` as its last argument, session-level advisory locks? No text shows what a user's own function
   * does.
   */
  readonly sessionState: boolean
  /**
   * A read that tells settings of its session, which Thaw's own transactions change. `only`: it looks at nothing else, so that it can be sent again as it is. `also`: at tables
   * or views, too. Absent: it asks for none.
   */
  readonly asksSettings?: 'only' | 'also'
}

/** Statements by what they begin with. A text that begins with none of these is not understood. */
const READ = startsWith('select|values|table|with|show')
const PLAIN_WRITE = startsWith('insert|update|delete|merge|with .*\\)(?:insert|update|delete|merge)')
const OTHER_WRITE = startsWith(
  'alter|analy[sz]e|close|comment|copy|create|declare|drop|execute|fetch|grant|import|lock|move|notify|reassign|refresh|revoke|security|truncate',
)
/** What `PreventInTransactionBlock` of PostgreSQL's source is about, and what runs commands of its own. */
const MAY_COMMIT = startsWith(
  'call|checkpoint|cluster|do|reindex|vacuum|alter system|(?:create|drop) (?:database|tablespace|subscription)|alter subscription|alter database .*set tablespace',
)
const CONTROL = startsWith('abort|begin|release|rollback|savepoint|set (?:local|transaction|constraints)|start')
const CONTROL_STORES = startsWith('commit|end|prepare transaction|rollback prepared')
const SESSION_COMMANDS = 'deallocate|discard|listen|load|prepare|reset|set|unlisten'
const SESSION = startsWith(SESSION_COMMANDS)

/** EXPLAIN and its options: what follows is explained, and possibly executed. */
const EXPLAIN = /^explain(?![\w$])(?:\((?!\(|(?:select|values|table|with)(?![\w$]))[^()]*\)|(?: (?:analy[sz]e|verbose)(?![\w$]))*) ?/

/**
 * Words that have an effect wherever they stand (except after a dot), OPERATOR(schema.name), and the syntax of row locks. UPDATE is among
 * the words.
 */
const EFFECT = /(?<![\w$.{])(?:insert|update|delete|merge|into|operator(?=\()|for (?:key )?share)(?![\w$])/

/**
 * A function with one argument can be called like a column: `(5).pg_advisory_lock`, `$1.nextval`, and `x.nextval` where x is the alias of a
 * function. So a dot may follow only a name, and what follows a dot must not be the name of a PostgreSQL function with an effect and one
 * argument.
 */
const CALL_BY_DOT =
  /(?:[)\]]|\$\d+)\.(?!\*)|(?<!pg_catalog\}?)\.\{?(?:pg_|lo_|binary_upgrade_|brin_|gin_|(?:nextval|setseed|ts_stat)(?![\w$]))/

/** What may be a call: a name before a parenthesis. */
const CALL = /(?<![\w$.{}])[\w$.{}]+\(/g
/** What precedes a name that is not called: an operand, after which only an alias or grammar can follow, `f(x) over (`; a type's `::`; AS; WITH. */
const BEFORE_NO_CALL = /(?:[)\]'}] ?|::|(?<![\w$.{])(?:as|with|recursive) )$/
/** Words that together are grammar, although the last one alone could be a function. */
const PHRASE =
  /(?<![\w$.{])(?:(?:group|order|partition) by|group by (?:rollup|cube)|grouping sets|(?:character|bit) varying|time zone|(?:left|right|full|outer|inner|cross) join)$/
/** Longer than anything that has to be seen before a name. */
const BEFORE_LENGTH = 20
/** What follows the parenthesis: no function takes a query that has no parentheses of its own. Or the columns of a name in WITH. */
const NO_ARGUMENT = /(?:select|with)(?![\w$])|values\(|[^()]*\)as(?: (?:not )?materialized)?\((?:select|with)(?![\w$])/y

/** What leaves session state, wherever it stands. */
const LEAVES_STATE =
  /(?<![\w$])\{?(?:setseed|pg_(?:try_)?advisory_(?!xact)|pg_replication_origin_session_|dblink_(?:connect|open)|set_config\}?\((?![^()]*, ?true\)))|(?<![\w$.{])(?:create (?:or replace )?(?:g?lo[bc]al )?temp(?:orary)?|(?<!(?:insert|merge) )into (?:g?lo[bc]al )?temp(?:orary)?|with hold|update (?:only )?(?:\{?pg_catalog\}?\.)?\{?pg_settings\}?)(?![\w$])|^create .*[ {]pg_temp\}?\.| into \{?pg_temp\}?\./

const NOT_UNDERSTOOD: Statement = { kind: 'unknown', plainWrite: false, mayCommit: true, sessionState: true }

/** Classifies a text. Pure. */
export function classifyStatement(text: string): Statement {
  const outline = outlineOf(text)
  if (outline === undefined) return NOT_UNDERSTOOD
  const [statement, ...others] = outline
    .split(';')
    .filter((part) => part.trim() !== '')
    .map((part) => judge(part.trim()))
  if (!statement) return { kind: 'read', plainWrite: false, mayCommit: false, sessionState: false }
  if (others.length > 0) return { ...NOT_UNDERSTOOD, sessionState: [statement, ...others].some(({ sessionState }) => sessionState) }
  if (statement.kind !== 'read' || !(SHOWS_SETTINGS.test(outline) || SETTINGS.test(text))) return statement
  // Retried inside a transaction, it would report on that transaction.
  if (/transaction_read_only/i.test(text)) return { ...statement, kind: 'write' }
  const isOnly = SHOWS_SETTINGS.test(outline) || !RELATION.test(outline.replace(FROM_SETTINGS, ''))
  return { ...statement, asksSettings: isOnly ? 'only' : 'also' }
}

const SHOWS_SETTINGS = /^ ?show(?![\w$])/
/** What tells a setting. `pg_is_in_recovery()` tells of the server, and may be asked anywhere. */
const SETTINGS = /current_setting|pg_(?:show_all_)?settings|transaction_read_only/i
const FROM_SETTINGS = / from (?:\{?pg_catalog\}?\.)?\{?pg_settings\}?(?= ?$| ?;| (?:where|order|limit)(?![\w$]))/
const RELATION = /(?<![\w$.{])(?:from|join|table)(?![\w$])/

/**
 * What leaves session state either begins a statement with a command, or contains one of these words anywhere, quoted or not: nothing is
 * understood here.
 */
const AT_A_GLANCE = new RegExp(
  `(?:^|;|\\*/)\\s*(?:${SESSION_COMMANDS})|temp|hold|advisory_|setseed|set_config|dblink_|replication_origin_|pg_settings|u&`,
  'i',
)
/** After a comment that ends with its line. */
const ON_A_NEW_LINE = new RegExp(`[\\n\\r][^\\S\\n\\r]*(?:${SESSION_COMMANDS})`, 'i')

/**
 * Could this text leave session state, at a glance? Asked of every statement that is sent, so it must cost next to nothing: it understands
 * nothing. False is certain.
 */
export function mayLeaveSessionState(text: string): boolean {
  return AT_A_GLANCE.test(text) || (text.includes('--') && ON_A_NEW_LINE.test(text))
}

function startsWith(words: string): RegExp {
  return new RegExp(`^\\(*(?:${words})(?![\\w$])`)
}

/** Classifies one statement by its outline. */
export function judge(outline: string): Statement {
  const body = outline.replace(EXPLAIN, '')
  const stores = CONTROL_STORES.test(body)
  const controls = stores || CONTROL.test(body)
  const mayCommit = stores || MAY_COMMIT.test(body)
  const plainWrite = PLAIN_WRITE.test(body)
  const sessionState = LEAVES_STATE.test(body) || (!controls && SESSION.test(body))
  const reads = READ.test(body)
  if (!(controls || sessionState || reads || plainWrite || mayCommit || OTHER_WRITE.test(body))) return NOT_UNDERSTOOD
  return {
    kind: controls ? 'transaction' : sessionState ? 'session' : reads && !hasEffect(body) ? 'read' : 'write',
    plainWrite: plainWrite && body === outline,
    mayCommit: mayCommit || /(?<![\w$.{])concurrently(?![\w$])/.test(body),
    sessionState,
  }
}

function hasEffect(body: string): boolean {
  if (EFFECT.test(body) || CALL_BY_DOT.test(body)) return true
  for (const [operator] of body.matchAll(/[~!@#^&|`?%+*/<>=-]+/g)) if (!isHarmlessOperator(operator)) return true
  const hasDistinctOn = /distinct on\(/.test(body)
  for (const { 0: call, index } of body.matchAll(CALL)) {
    const name = call.slice(0, -1)
    if (isHarmlessName(name)) continue
    const before = body.slice(Math.max(0, index - BEFORE_LENGTH), index)
    // After DISTINCT ON (…) there can be a call.
    if (BEFORE_NO_CALL.test(before) && !(hasDistinctOn && before.endsWith(')'))) continue
    NO_ARGUMENT.lastIndex = index + call.length
    if (!PHRASE.test(before + name) && !NO_ARGUMENT.test(body)) return true
  }
  return false
}

function isHarmlessName(name: string): boolean {
  return GRAMMAR_WORDS.has(name) || HARMLESS_FUNCTIONS.has(name.replace(/[{}]/g, '').replace(/^pg_catalog\./, ''))
}

/** PostgreSQL returns signs at the end of what could be a standard operator: `1*-1` is `*`, then `-`. */
function isHarmlessOperator(operator: string): boolean {
  const standard = /^[+*/<>=-]+$/.test(operator) ? operator.replace(/[+-]+$/, '') : operator
  return standard === '' || HARMLESS_OPERATORS.has(operator) || HARMLESS_OPERATORS.has(standard)
}
