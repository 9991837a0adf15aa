/** Remembers how texts were classified, so that a text sent again costs a look-up, and one sent for the first time a glance. */

import { classifyStatement, mayLeaveSessionState, type Statement } from './statement.ts'

/** The classification of a text, from the cache if it is there. */
export interface StatementCache {
  (text: string): Statement
  /** Does it leave session state (see `Statement.sessionState`)? Asked of every statement: a new one gets only a glance, if that is enough. */
  leavesState(text: string): boolean
  /** The server knows better: it has refused the text in a read-only transaction. It is a write from now on, for as long as it is remembered. */
  isNoRead(text: string): void
}

/** More than most applications have. */
const DEFAULT_LIMIT = 1000
/** A longer text is rarely sent twice, and storing it costs more than reading it again. */
export const LONGEST_REMEMBERED = 4000
/** It got a glance only: it leaves no session state, and nothing else has been asked about it. */
const LEAVES_NOTHING = Symbol()

/**
 * Creates a cache of at most `limit` texts, none longer than 4,000 characters. It has two generations: when the young one is full, the old
 * one is dropped, except for what was used meanwhile. So texts used in turn, slightly more than it holds, do not evict each other.
 */
export function createStatementCache(limit: number = DEFAULT_LIMIT): StatementCache {
  type Known = Statement | typeof LEAVES_NOTHING
  let young = new Map<string, Known>()
  let old = new Map<string, Known>()
  const remember = (text: string, known: Known) => {
    if (young.size >= limit / 2) {
      old = young
      young = new Map()
    }
    young.set(text, known)
  }
  const recall = (text: string) => {
    const known = young.get(text)
    if (known) return known
    const before = old.get(text)
    if (before) remember(text, before)
    return before
  }
  const classify = (text: string) => {
    if (text.length > LONGEST_REMEMBERED) return classifyStatement(text)
    const known = recall(text)
    if (known && known !== LEAVES_NOTHING) return known
    const statement = classifyStatement(text)
    remember(text, statement)
    return statement
  }
  const leavesState = (text: string) => {
    const isShort = text.length <= LONGEST_REMEMBERED
    const known = isShort ? recall(text) : undefined
    if (known) return known !== LEAVES_NOTHING && known.sessionState
    if (mayLeaveSessionState(text)) return classify(text).sessionState
    if (isShort) remember(text, LEAVES_NOTHING)
    return false
  }
  const isNoRead = (text: string) => remember(text, { ...classifyStatement(text), kind: 'write' })
  return Object.assign(classify, { leavesState, isNoRead })
}
