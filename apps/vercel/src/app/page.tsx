import { connection } from 'next/server'
import type { ReactNode } from 'react'
import { pool } from '../database.ts'
import { canFreeze } from '../freezer.ts'
import { GOODS, latestOrders } from '../shop.ts'
import { FreezeButton } from './freeze-button.tsx'
import { OrderForm } from './order-form.tsx'
import { OrderTable } from './order-table.tsx'
import { PoolCorner } from './pool-corner.tsx'

const SHOWN = 12

export default async function Page(): Promise<ReactNode> {
  await connection()
  const orders = await latestOrders(SHOWN)
  return (
    <>
      <header>
        <h1>A small shop</h1>
        <p>
          Its orders are in PostgreSQL. Its process may be frozen at any time, as serverless processes are, and its connections may die
          meanwhile. No order fails for it.
        </p>
      </header>
      <main>
        <OrderForm goods={GOODS} />
        <OrderTable orders={orders} />
      </main>
      <aside>
        <PoolCorner stats={pool.stats()} max={pool.options.max} />
        {canFreeze() && <FreezeButton />}
      </aside>
    </>
  )
}
