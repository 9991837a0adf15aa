/**
 * What happened, in lines for people. A thaw is one line, written when its consequences are known: as soon as the first caller has been
 * served, or has not.
 */

import { OptionError } from './errors.ts'
import type { StaleReason, ThawEvent, ThawListener } from './events.ts'
import { named } from './options.ts'

/** One line, and the figures in it. */
export interface Line {
  /** `warn`: a caller got an error. */
  readonly level: 'info' | 'warn'
  /** What it is about. */
  readonly about: 'thawed' | 'stale' | 'retried' | 'outcome' | 'timedOut' | 'sessionLost' | 'prepareStopped' | 'drained'
  readonly text: string
  readonly facts: Readonly<Record<string, string | number>>
}

/** Where lines go: `console`, or a logger that has these two methods. */
export interface LineLogger {
  info(line: string): unknown
  warn(line: string): unknown
}

/** These mean that the connection was dead. One evicted as idle for too long, or too old, was healthy. */
const DEAD: readonly StaleReason[] = ['broken', 'unanswered', 'generation']

/**
 * A listener that writes a line for everything that a person would want to know: each thaw, each dead connection, each retry, each failure.
 *
 * ```ts
 * pool.subscribe(logTo(console))
 * ```
 *
 * @param logger - `console`, or a logger with `info` and `warn`. What it throws, or rejects with, is dropped.
 * @returns the listener. Each pool needs its own.
 * @throws {OptionError} if the logger has no `info` or no `warn`.
 */
export function logTo(logger: LineLogger): ThawListener {
  const { info, warn } = (logger ?? {}) as Partial<LineLogger>
  if (typeof info !== 'function' || typeof warn !== 'function')
    throw new OptionError({
      option: 'logger',
      allowed: 'an object with the methods info and warn',
      message: `logTo() received ${named(logger)} without the methods info and warn. Loggers have them, and so has the runtime's own.`,
    })
  // One that writes asynchronously may fail later: that must not end the process either.
  return narrate(({ level, text }) => {
    const written: unknown = logger[level](`thaw: ${text}`)
    if (written instanceof Promise) written.catch(() => {})
  })
}

/** One thaw, and its consequences so far. */
interface Thaw {
  readonly gapMillis: number
  dead: number
  /** Evicted while healthy, as far as is known: idle for too long, or too old. */
  expired: number
  failed: number
  /** A caller has had a connection and lost it, or has failed: unless its statement is retried, the thaw is over. */
  isServed: boolean
}

/** A listener that reports what happened in lines. */
export function narrate(tell: (line: Line) => void): ThawListener {
  let thaw: Thaw | undefined
  const say = (line: Line) => {
    try {
      tell(line)
    } catch {}
  }
  const finish = () => {
    if (!thaw) return
    const { gapMillis, dead, expired, failed } = thaw
    thaw = undefined
    const old = expired > 0 ? `, ${expired} idle for too long` : ''
    const text = `thawed after ${inWords(gapMillis)}: ${dead} dead${old}, ${failed} failed`
    say({ level: failed > 0 ? 'warn' : 'info', about: 'thawed', text, facts: { gapMillis, dead, expired, failed } })
  }
  const served = () => {
    if (!thaw || thaw.isServed) return
    thaw.isServed = true
    const mine = thaw
    // What the caller of a lost statement gets comes after its connection was released, in the same turn.
    void Promise.resolve().then(() => {
      if (thaw === mine && mine.isServed) finish()
    })
  }
  const failed = (line: Line) => {
    if (thaw) thaw.failed++
    say(line)
    served()
  }
  return (event) => {
    if (event.type === 'thawed') {
      finish()
      thaw = { gapMillis: event.gapMillis, dead: 0, expired: 0, failed: 0, isServed: false }
    } else if (event.type === 'released') {
      // At once: the caller may end the span of its request next.
      if (event.lost) served()
      else finish()
    } else if (event.type === 'stale') {
      const isDead = DEAD.includes(event.reason)
      if (thaw) thaw[isDead ? 'dead' : 'expired']++
      else if (isDead) say(lineOf(event))
    } else if (event.type === 'outcome' && event.action === 'retried') {
      if (thaw) thaw.isServed = false
      say(lineOf(event))
    } else if (event.type === 'outcome' && event.action === 'resolved') say(lineOf(event))
    else if (event.type === 'outcome' || event.type === 'timedOut') failed(lineOf(event))
    else if (event.type === 'sessionLost' || event.type === 'prepareStopped' || (event.type === 'retried' && event.what !== 'statement'))
      say(lineOf(event))
    else if (event.type === 'drained') {
      finish()
      if (event.destroyed > 0) say(lineOf(event))
    }
  }
}

type Told = Extract<ThawEvent, { type: 'stale' | 'retried' | 'outcome' | 'timedOut' | 'sessionLost' | 'prepareStopped' | 'drained' }>

function lineOf(event: Told): Line {
  const { type: about, ...rest } = event
  const facts = rest as Record<string, string | number>
  const code = 'code' in event && event.code ? ` (${event.code})` : ''
  switch (event.type) {
    case 'stale':
      return {
        level: 'info',
        about,
        facts,
        text: `an idle connection was dead after ${inWords(event.silenceMillis)}: ${event.reason}${code}`,
      }
    case 'retried':
      // The loss of a statement on a transaction's client is told before, as the failure that its function has seen.
      if (event.what === 'transaction') return { level: 'info', about, facts, text: `a transaction was retried${code}` }
      return { level: 'info', about, facts, text: `connecting again in ${inWords(event.delayMillis)}${code}` }
    case 'outcome':
      if (event.action === 'retried')
        return { level: 'info', about, facts, text: `a statement (${event.statement}) lost its connection${code} and was retried` }
      if (event.action === 'resolved') {
        const text = `a statement (${event.statement}) lost its connection${code}, and was found to have been executed`
        return { level: 'info', about, facts, text }
      }
      return {
        level: 'warn',
        about,
        facts,
        text: `a statement (${event.statement}) lost its connection${code}: ${OUTCOMES[event.outcome]}`,
      }
    case 'timedOut':
      return { level: 'warn', about, facts, text: `a caller waited ${inWords(event.waitedMillis)} for a connection and got none` }
    case 'sessionLost':
      return {
        level: 'warn',
        about,
        facts,
        text: 'a connection was lost with state of its session on it (SET, LISTEN, PREPARE and the like)',
      }
    case 'prepareStopped': {
      const why = event.reason === 'pooler' ? 'there is a pooler in between' : 'the server keeps losing them'
      return { level: 'info', about, facts, text: `statements are no longer prepared: ${why}` }
    }
    case 'drained':
      return { level: 'warn', about, facts, text: `the pool has ended while ${event.destroyed} of its connections were in use` }
  }
}

const OUTCOMES = {
  'not-executed': 'it was not executed',
  executed: 'it was executed',
  unknown: 'whether it was executed is unknown',
} as const

const UNITS: readonly (readonly [millis: number, name: string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
]

/** `6 min`: in the largest unit of which there is at least one. */
function inWords(millis: number): string {
  const [unit, name] = UNITS.find(([least]) => millis >= least) ?? [1, 'ms']
  return `${Math.round(millis / unit)} ${name}`
}
