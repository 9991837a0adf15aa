/** Orders: taken over HTTP, counted by a Durable Object for each item, confirmed by a queue. */

import { withThaw } from '@thaw/cloudflare'
import { desc, inArray } from 'drizzle-orm'
import { Hono } from 'hono'
import { db, orders, pool } from './database.ts'
import { neonRoutes } from './neon.ts'

export { Stock } from './stock.ts'

type Env = Cloudflare.Env

const app = new Hono<{ Bindings: Env }>()

app.get('/orders', async (c) => c.json(await db.select().from(orders).orderBy(desc(orders.id)).limit(100)))

app.post('/orders', async (c) => {
  const { item } = await c.req.json<{ item?: unknown }>().catch(() => ({ item: undefined }))
  if (typeof item !== 'string' || item === '') return c.json({ error: 'Send { "item": "tea" }.' }, 400)
  const left = await c.env.STOCK.getByName(item).take(item)
  if (left === undefined) return c.json({ error: `There is no ${item} left.` }, 409)
  const [order] = await db.insert(orders).values({ item }).returning()
  if (order) c.executionCtx.waitUntil(c.env.CONFIRMATIONS.send(order.id))
  return c.json({ ...order, left }, 201)
})

/** Row by row, on one connection, as fast as it is read. */
app.get('/stream', async (c) => {
  const client = await pool.connect()
  let last = 0
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { rows } = await client.query<{ id: number }>('SELECT id, item FROM orders WHERE id > $1 ORDER BY id LIMIT 1', [last])
        const [row] = rows
        if (row) {
          last = row.id
          return controller.enqueue(new TextEncoder().encode(`${JSON.stringify(row)}\n`))
        }
        controller.close()
      } catch (error) {
        controller.error(error)
      }
      client.release()
    },
    cancel: () => client.release(),
  })
  return c.body(body, 200, { 'content-type': 'application/x-ndjson' })
})

app.route('/neon', neonRoutes)

const worker: ExportedHandler<Env, number> = withThaw({
  fetch: app.fetch,
  async queue(batch) {
    const ids = batch.messages.map(({ body }) => body)
    await db.update(orders).set({ confirmed: true }).where(inArray(orders.id, ids))
  },
} satisfies ExportedHandler<Env, number>)
export default worker
