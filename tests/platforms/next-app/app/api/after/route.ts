import { after, withThaw } from '@thaw/next'
import { thaw } from '../../../lib/db.ts'

/** What the handler took, its task gives back. */
export const POST = withThaw(async () => {
  const client = await thaw.connect()
  after(async () => {
    await client.query("INSERT INTO orders (item) SELECT 'after' FROM pg_sleep(0.05)")
    client.release()
  })
  return new Response(null, { status: 202 })
})
