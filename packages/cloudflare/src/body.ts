/** When has a body been read? Until then, whatever produces it, such as a cursor, is still in use. */

/** A `Response` that has a body. */
export function hasBody(value: unknown): value is Response & { readonly body: ReadableStream } {
  return value instanceof Response && value.body !== null && !value.bodyUsed
}

/** The same response, and a promise of the moment when its reader has reached the end, or has cancelled. */
export interface Followed {
  readonly response: Response
  readonly read: Promise<void>
}

/** The runtime reads a response natively, whatever its properties say: only a different response can be watched. */
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
    // Nothing is read ahead of the reader.
    { highWaterMark: 0 },
  )
  return { response: new Response(body, response), read }
}
