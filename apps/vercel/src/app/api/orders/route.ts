/** `GET /api/orders` lists the latest orders, `POST /api/orders` takes one. */

import { withThaw } from '@thaw/next'
import { latestOrders, placeOrder, readOrder } from '../../../shop.ts'

export const GET = withThaw(async () => Response.json(await latestOrders(50)))

export const POST = withThaw(async (request) => {
  const wanted = readOrder(await request.json().catch(() => ({})))
  if ('error' in wanted) return Response.json(wanted, { status: 400 })
  return Response.json(await placeOrder(wanted.goods, wanted.quantity), { status: 201 })
})
