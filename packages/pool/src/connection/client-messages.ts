/** Messages to a client's caller, where node-postgres has none, or where its own are kept. */

export const ANOTHER_REQUEST =
  'On Workers a connection belongs to the request, or the Durable Object, that opened it, and this client was opened by a different one. Nothing was sent. Keep the pool in the module, and acquire a client in each request: pool.query(), or await pool.connect().'
export const UNEXPECTED = 'Connection closed: the server sent ReadyForQuery, but no statement was waiting for it'
export const CUT_OFF = 'Connection closed: the driver threw while it wrote a statement, and the server waits for the rest of it'
/** node-postgres' own message. */
export const NOT_QUERYABLE = 'Client has encountered a connection error and is not queryable'
/** node-postgres' own message. */
export const RELEASED_TWICE = 'Release called on client which has already been released to the pool.'
export const TAKEN_BACK =
  'The invocation that acquired this client has ended, so the client was closed (acquire one in each invocation, or use pool.query())'
export const NOT_STORED =
  'COMMIT was answered with ROLLBACK: an earlier statement of the transaction had failed, so none of it was stored. Handle the error of that statement, then run the whole transaction again.'
export const LEFT_OPEN =
  'A statement sent by pool.query() left a transaction open. It was rolled back, because the next pool.query() may use another connection. Acquire one client for the whole transaction: const client = await pool.connect().'
