/** Remembers what texts are, so that one that is sent again costs a look-up, and one that is sent for the first time a glance. */

import { classifyStatement, mayLeaveSessionState, type Statement } from './statement.ts'

/** What a text is, by what is remembered. */
export interface StatementCache {
  (text: string): Statement
  /** Does it leave something in the session (see `Statement.sessionState`)? Asked of every statement: a new one is only glanced at, if that is enough. */
  leavesState(text: string): boolean
}

/** More than most applications have. */
const DEFAULT_LIMIT = 1000
/** A text longer than that is rarely sent twice, and holding it costs more than reading it. */
const LONGEST_REMEMBERED = 4000
/** It was glanced at: it leaves nothing in the session, and more was never asked. */
const LEAVES_NOTHING = Symbol()

/**
 * Makes one that remembers `limit` texts at most, none above 4,000 characters. In two generations: when the young one is full the old one is forgotten, but for what
 * was asked for meanwhile. So texts that come in turn, a few more than it holds, do not drive each other out.
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
  return Object.assign(classify, { leavesState })
}
