import { withThaw } from '@thaw/next'
import { thaw } from '../../../lib/db.ts'

export const GET = withThaw(async () => {
  await thaw.connect()
  return Response.json(thaw.stats())
})
