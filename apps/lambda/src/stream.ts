/** The same orders as a stream, a hundred at a time: the response begins before the last row has been read. */

import { once } from 'node:events'
import { withThaw } from '@thaw/lambda'
import type { APIGatewayProxyEventV2, Context, StreamifyHandler } from 'aws-lambda'
import { pool } from './database.ts'

const PAGE = 100

async function streamOrders(_event: APIGatewayProxyEventV2, response: awslambda.HttpResponseStream, _context: Context): Promise<void> {
  const body = awslambda.HttpResponseStream.from(response, { statusCode: 200, headers: { 'content-type': 'application/x-ndjson' } })
  let last = 0
  for (;;) {
    const { rows } = await pool.query<{ id: number; item: string }>('SELECT id, item FROM orders WHERE id > $1 ORDER BY id LIMIT $2', [
      last,
      PAGE,
    ])
    for (const row of rows) if (!body.write(`${JSON.stringify(row)}\n`)) await once(body, 'drain')
    last = rows.at(-1)?.id ?? last
    if (rows.length < PAGE) break
  }
  body.end()
}

export const handler: StreamifyHandler<APIGatewayProxyEventV2, void> = withThaw(awslambda.streamifyResponse(streamOrders))
