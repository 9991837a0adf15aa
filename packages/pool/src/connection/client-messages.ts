/** What a client's caller is told where node-postgres has no words for it, or where its own are kept. */

export const ANOTHER_REQUEST =
  'On Workers a connection belongs to the request, or the Durable Object, that opened it, and this client was opened by another one. Nothing was sent. Keep the pool in the module, and take a client from it in each request: pool.query(), or await pool.connect().'
export const UNEXPECTED = 'Connection closed: the server sent ReadyForQuery where no statement was waiting for it'
/** node-postgres' own words. */
export const NOT_QUERYABLE = 'Client has encountered a connection error and is not queryable'
export const TAKEN_BACK =
  'The client was kept longer than the invocation that had acquired it, which closed it (acquire one in each, or use pool.query())'
export const NOT_STORED =
  'COMMIT was answered with ROLLBACK: an earlier statement of the transaction had failed, so nothing of it was stored. Run ROLLBACK and the whole transaction again, once you have handled the error of that statement.'
