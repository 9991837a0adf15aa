/** May a statement that was lost be sent once more, on another connection? One ladder, read top to bottom: the first line that applies wins. */

import type { OutcomeVerdict } from './outcome.ts'

/** What is known of the lost statement, beside what became of it. */
export interface ResendFacts {
  readonly verdict: OutcomeVerdict
  /** A text and its values. Not a cursor or a stream, which has state of its own. */
  readonly isReplayable: boolean
  /** We have ended it ourselves: its time was up, or its caller wants nothing more of it. */
  readonly wasInterrupted: boolean
  /** The pool serves nobody new any more. */
  readonly isPoolEnding: boolean
  /** How often it may still be sent again. */
  readonly retriesLeft: number
  /** Somebody has left state in its session, on which it may depend. */
  readonly hadSessionState: boolean
  /** It was the second try of a statement that may have been executed: what becomes of it says nothing about the first. */
  readonly wasSecondTry: boolean
  /** Its caller has said that sending it twice does no more harm than once. */
  readonly isIdempotent: boolean
  /** The verdict would be better if it were known that no pooler stands between, and that has not been asked. */
  readonly mayAskForPooler: boolean
}

/** `ask first`: whether a pooler stands between, then judge again. */
export type Resend = 'as it is' | 'inside READ ONLY' | 'ask first' | 'no'

export function judgeResend(facts: ResendFacts): Resend {
  const { outcome, reason } = facts.verdict
  if (!facts.isReplayable || facts.wasInterrupted || facts.isPoolEnding) return 'no'
  if (facts.retriesLeft <= 0 || facts.hadSessionState) return 'no'
  // A second try is the last, unless it never left.
  if (facts.wasSecondTry && reason !== 'unsent') return 'no'
  if (outcome === 'not-executed') return 'as it is'
  if (outcome === 'executed') return 'no'
  if (facts.isIdempotent) return 'as it is'
  // What we take for a read may be none, for all that a lexer can see.
  if (reason === 'read') return 'inside READ ONLY'
  return facts.mayAskForPooler ? 'ask first' : 'no'
}
