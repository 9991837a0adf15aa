/** May a statement that was lost be sent once more, on another connection? One ladder, read top to bottom: the first line that applies wins. */

import type { OutcomeVerdict } from './outcome.ts'

/** What is known of the lost statement, besides what became of it. */
export interface ResendFacts {
  readonly verdict: OutcomeVerdict
  /** It is a text and its values. Not a cursor or a stream, which has state of its own. */
  readonly isReplayable: boolean
  /** We ended it ourselves: its time was up, or its caller had aborted it. */
  readonly wasInterrupted: boolean
  /** The pool accepts no new calls. */
  readonly isPoolEnding: boolean
  /** How often it may still be sent again. */
  readonly retriesLeft: number
  /** A caller has left session state on the connection, on which the statement may depend. */
  readonly hadSessionState: boolean
  /** It was the retry of a statement that may have been executed: what becomes of the retry says nothing about the first attempt. */
  readonly wasSecondTry: boolean
  /** Its caller has declared that sending it twice does no more harm than once. */
  readonly isIdempotent: boolean
  /** The verdict would improve if it were known that there is no pooler, and the server has not been asked yet. */
  readonly mayAskForPooler: boolean
}

/** `ask first`: find out whether there is a pooler, then judge again. */
export type Resend = 'as it is' | 'inside READ ONLY' | 'ask first' | 'no'

export function judgeResend(facts: ResendFacts): Resend {
  const { outcome, reason } = facts.verdict
  if (!facts.isReplayable || facts.wasInterrupted || facts.isPoolEnding) return 'no'
  if (facts.retriesLeft <= 0 || facts.hadSessionState) return 'no'
  // A retry is the last attempt, unless it was never sent.
  if (facts.wasSecondTry && reason !== 'unsent') return 'no'
  if (outcome === 'not-executed') return 'as it is'
  if (outcome === 'executed') return 'no'
  if (facts.isIdempotent) return 'as it is'
  // What a lexer takes for a read may not be one.
  if (reason === 'read') return 'inside READ ONLY'
  return facts.mayAskForPooler ? 'ask first' : 'no'
}
