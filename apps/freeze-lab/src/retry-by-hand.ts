/** What blogs advise against dead connections: after an error of the connection, destroy the pool and call once more. It writes an order twice when only the answer was lost. */

import type pg from 'pg'
import { createHandler, type Handler } from './handler.ts'

/** As the advice has it: by code, and by what pg says without one. */
const CODES = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', '57P01'])
const MESSAGES = /Connection terminated|not queryable/

/** `createPool` makes the pool at module level, and another one after each error. */
export function retryByHand(createPool: () => pg.Pool, table: string): Handler {
  let pool = createPool()
  return async (event) => {
    const used = pool
    try {
      return await createHandler(used, table)(event)
    } catch (error) {
      const { code = '', message } = error as { code?: string; message: string }
      if (!CODES.has(code) && !MESSAGES.test(message)) throw error
      if (pool === used) {
        pool = createPool()
        used.end().catch(() => {})
      }
      return createHandler(pool, table)(event)
    }
  }
}
