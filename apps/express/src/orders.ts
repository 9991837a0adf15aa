/** `POST /orders` takes an order, `GET /orders` lists one's own, the newest first. */

import { Router } from 'express'
import { z } from 'zod'
import { pool } from './database.ts'
import { Refusal } from './errors.ts'
import { accountOf } from './tokens.ts'

interface Order {
  readonly id: number
  readonly item: string
  readonly quantity: number
  readonly placed_at: Date
}

const NewOrder = z.object({
  // PostgreSQL's text has no null characters.
  item: z
    .string()
    .trim()
    .min(1)
    .max(200)
    .refine((text) => !text.includes('\0'), 'has a null character'),
  quantity: z.int().min(1).max(1000).default(1),
})
const Key = z
  .string({ error: 'Send an Idempotency-Key header: a new UUID for each order, the same one when you repeat it.' })
  .min(1)
  .max(255)

export const orders: Router = Router()

orders.get('/orders', async (request, response) => {
  const accountId = await accountOf(request)
  const { rows } = await pool.query<Order>(
    'SELECT id, item, quantity, placed_at FROM orders WHERE account_id = $1 ORDER BY id DESC LIMIT 100',
    [accountId],
  )
  response.json(rows)
})

// The key is the client's, and the table has it once: sent twice, by the client or by Thaw, it is one order, and the answer is the same.
// That is what `idempotent` declares.
orders.post('/orders', async (request, response) => {
  const accountId = await accountOf(request)
  const key = Key.parse(request.get('idempotency-key'))
  const { item, quantity } = NewOrder.parse(request.body)
  const { rows } = await pool.query<Order>({
    text: `INSERT INTO orders (account_id, key, item, quantity) VALUES ($1, $2, $3, $4)
           ON CONFLICT (account_id, key) DO UPDATE SET key = excluded.key
             WHERE orders.item = excluded.item AND orders.quantity = excluded.quantity
           RETURNING id, item, quantity, placed_at`,
    values: [accountId, key, item, quantity],
    idempotent: true,
  })
  const [order] = rows
  if (!order) throw new Refusal(422, 'key-reused', 'This Idempotency-Key belongs to another order of yours. Make a new key for each order.')
  response.status(201).json(order)
})
