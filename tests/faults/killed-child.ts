/** A process that writes once, and is killed while it does. */

import { Pool } from '@thaw/pg'
import { serve } from '@thaw/testkit'

/** What the parent wants. */
export interface KilledWrite {
  readonly url: string
  readonly text: string
  readonly token: string
  /** As a batch, or as one statement. */
  readonly isBatch: boolean
}

serve({
  async write({ url, text, token, isBatch }: KilledWrite) {
    const pool = new Pool({ connectionString: url })
    const statement = { text, values: [token] }
    if (isBatch) await pool.batch([statement, 'SELECT 1'], { idempotencyKey: token })
    else await pool.query({ ...statement, idempotencyKey: token })
    return 'answered'
  },
})
