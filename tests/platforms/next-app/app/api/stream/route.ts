import { withThaw } from '@thaw/next'
import { thaw } from '../../../lib/db.ts'

/** Three rows, each when it is asked for, on a client that is given back after the last. */
async function* numbers(): AsyncGenerator<string> {
  const client = await thaw.connect()
  try {
    for (const n of [1, 2, 3]) {
      const { rows } = await client.query('SELECT $1::int AS n', [n])
      yield `${rows[0].n}\n`
    }
  } finally {
    client.release()
  }
}

export const GET = withThaw(async () => {
  const rows = numbers()
  const first = await rows.next()
  const body = new ReadableStream<string>({
    start: (controller) => controller.enqueue(first.value),
    async pull(controller) {
      const { done, value } = await rows.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
  })
  return new Response(body.pipeThrough(new TextEncoderStream()), { headers: { 'content-type': 'text/plain' } })
})
