/** `GET /api/export`: all orders as a stream, which begins before the last row has been read. */

import { withThaw } from '@thaw/next'
import { allOrders } from '../../../shop.ts'

export const GET = withThaw(async () => {
  const rows = allOrders()
  const encoder = new TextEncoder()
  const body = new ReadableStream({
    async pull(controller) {
      const { done, value } = await rows.next()
      if (done) controller.close()
      else controller.enqueue(encoder.encode(`${JSON.stringify(value)}\n`))
    },
    async cancel() {
      await rows.return(undefined)
    },
  })
  return new Response(body, { headers: { 'content-type': 'application/x-ndjson' } })
})
