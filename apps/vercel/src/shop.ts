/** What the shop sells, and what it does with its orders. */

import { asc, desc, eq, gt } from 'drizzle-orm'
import { db } from './database.ts'
import { type Order, orders } from './schema.ts'

export interface Goods {
  readonly item: string
  readonly cents: number
}

export const GOODS: readonly Goods[] = [
  { item: 'Green tea', cents: 480 },
  { item: 'Coffee beans', cents: 950 },
  { item: 'Rye bread', cents: 390 },
  { item: 'Honey', cents: 720 },
]

const MOST_PIECES = 99
const PAGE = 100

/** What a customer wants, or what is wrong with it. */
export function readOrder(wanted: { item?: unknown; quantity?: unknown }): { goods: Goods; quantity: number } | { error: string } {
  const goods = GOODS.find(({ item }) => item === wanted.item)
  const quantity = Number(wanted.quantity ?? 1)
  if (!goods) return { error: `We sell ${GOODS.map(({ item }) => item).join(', ')}.` }
  if (!Number.isInteger(quantity) || quantity < 1 || quantity > MOST_PIECES) return { error: `Order 1 to ${MOST_PIECES} pieces.` }
  return { goods, quantity }
}

export async function placeOrder({ item, cents }: Goods, quantity: number): Promise<Order> {
  const [order] = await db
    .insert(orders)
    .values({ item, quantity, cents: cents * quantity })
    .returning()
  if (!order) throw new Error('PostgreSQL returned no row for the order.')
  return order
}

export function latestOrders(count: number): Promise<Order[]> {
  return db.select().from(orders).orderBy(desc(orders.id)).limit(count)
}

export async function findOrder(id: number): Promise<Order | undefined> {
  const [order] = await db.select().from(orders).where(eq(orders.id, id))
  return order
}

/** All orders, the oldest first, a page at a time. */
export async function* allOrders(): AsyncGenerator<Order> {
  for (let last = 0; ; ) {
    const page = await db.select().from(orders).where(gt(orders.id, last)).orderBy(asc(orders.id)).limit(PAGE)
    yield* page
    const end = page.at(-1)
    if (!end) return
    last = end.id
  }
}
