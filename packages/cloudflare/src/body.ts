/** When has a body been read? Until then what it is made from, a cursor for example, is still in use. */

/** A `Response` that has a body. */
export function hasBody(value: unknown): value is Response & { readonly body: ReadableStream } {
  return value instanceof Response && value.body !== null && !value.bodyUsed
}

/** The same response, and when whoever reads it has come to its end, or has given it up. */
export interface Followed {
  readonly response: Response
  readonly read: Promise<void>
}

/** The runtime reads a response by itself, whatever its properties say: only another one can be followed. */
export function afterBody(response: Response & { readonly body: ReadableStream }): Followed {
  let done = () => {}
  const read = new Promise<void>((resolve) => {
    done = resolve
  })
  const reader = response.body.getReader()
  const body = new ReadableStream(
    {
      async pull(controller) {
        try {
          const chunk = await reader.read()
          if (!chunk.done) return controller.enqueue(chunk.value)
          controller.close()
        } catch (error) {
          controller.error(error)
        }
        done()
      },
      cancel: (reason) => reader.cancel(reason).finally(done),
    },
    // Nothing is read ahead of who reads.
    { highWaterMark: 0 },
  )
  return { response: new Response(body, response), read }
}
