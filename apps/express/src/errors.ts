/** What a client is told when something goes wrong: what it should change, or whether asking again is safe. */

import { ThawError } from '@thaw/pg'
import type { ErrorRequestHandler } from 'express'
import { prettifyError, ZodError } from 'zod'

/** Thrown where a request is turned down. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

interface Answer {
  readonly status: number
  readonly error: string
  readonly message: string
}

function answerTo(error: unknown): Answer {
  if (error instanceof Refusal) return { status: error.status, error: error.code, message: error.message }
  if (error instanceof ZodError) return { status: 400, error: 'invalid', message: prettifyError(error) }
  // What express.json() throws: no JSON, too large, an unknown charset.
  const { status, expose, message } = error as { status?: number; expose?: boolean; message: string }
  if (status && expose) return { status, error: 'invalid', message }
  if (ThawError.is(error) && error.kind === 'outcome-unknown')
    return {
      status: 503,
      error: 'outcome-unknown',
      message: 'The connection to the database broke after this had been sent. It may have been done, or not: check before you retry.',
    }
  if (ThawError.is(error) && error.retryable)
    return { status: 503, error: 'unavailable', message: 'The database cannot be reached. Nothing was done: you may send this again.' }
  return { status: 500, error: 'internal', message: 'Something went wrong on our side.' }
}

/** Express knows an error handler by its four parameters. */
export const answerError: ErrorRequestHandler = (error, _request, response, next) => {
  if (response.headersSent) return next(error)
  const { status, ...body } = answerTo(error)
  if (status >= 500) console.error(error)
  if (body.error === 'unavailable') response.set('Retry-After', '1')
  response.status(status).json(body)
}
