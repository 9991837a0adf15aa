/** An HTTP API with orders: `POST /orders` takes one, `GET /orders` lists them. */

import { withThaw } from '@thaw/lambda'
import type { APIGatewayProxyHandlerV2 } from 'aws-lambda'
import { pool } from './database.ts'

const json = (statusCode: number, value: unknown) => ({
  statusCode,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
})

export const handler: APIGatewayProxyHandlerV2 = withThaw(async (event) => {
  if (event.requestContext.http.method === 'GET') {
    const { rows } = await pool.query('SELECT id, item FROM orders ORDER BY id')
    return json(200, rows)
  }
  const { item } = JSON.parse(event.body ?? '{}') as { item?: string }
  if (!item) return json(400, { error: 'Send { "item": "…" }.' })
  const { rows } = await pool.query('INSERT INTO orders (item) VALUES ($1) RETURNING id, item', [item])
  return json(201, rows[0])
})
