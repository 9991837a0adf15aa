/** `GET /api/orders/7`: one order. */

import { withThaw } from '@thaw/next'
import type { NextRequest } from 'next/server'
import { findOrder } from '../../../../shop.ts'

export const GET = withThaw(async (_request: NextRequest, context: RouteContext<'/api/orders/[id]'>) => {
  const { id } = await context.params
  const order = /^\d{1,9}$/.test(id) ? await findOrder(Number(id)) : undefined
  return order ? Response.json(order) : Response.json({ error: 'There is no such order.' }, { status: 404 })
})
