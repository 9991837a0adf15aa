import type { Socket } from 'node:net'

/** One direction of a connection: passes chunks on in order, after a delay, no faster than the other end takes them. */
export interface Relay {
  /** Passes a chunk on. */
  send(chunk: Buffer): void
  /** Passes the end of the stream (a FIN) on, after everything sent before. */
  end(): void
  /** Forgets what is still under way, and passes nothing on any more. Says how many bytes were lost. */
  discard(): number
}

interface Departure {
  readonly chunk: Buffer | null
  readonly dueMillis: number
}

/** Makes the relay from `source` to `sink`. `delayMillis` is asked for each chunk. */
export function createRelay(source: Socket, sink: Socket, delayMillis: () => number): Relay {
  const queue: Departure[] = []
  let timer: NodeJS.Timeout | undefined
  let isDiscarded = false
  let isFull = false

  const write = (chunk: Buffer | null): void => {
    if (chunk === null) return void sink.end()
    // Delayed chunks depart in one go: they must not each wait for the drain.
    if (!sink.writable || sink.write(chunk) || isFull) return
    isFull = true
    source.pause()
    sink.once('drain', () => {
      isFull = false
      if (!isDiscarded) source.resume()
    })
  }
  const depart = (): void => {
    timer = undefined
    while (queue[0] && queue[0].dueMillis <= performance.now()) write((queue.shift() as Departure).chunk)
    schedule()
  }
  const schedule = (): void => {
    const head = queue[0]
    if (head && !timer) timer = setTimeout(depart, Math.max(0, head.dueMillis - performance.now()))
  }
  const enqueue = (chunk: Buffer | null): void => {
    if (isDiscarded) return
    const delay = delayMillis()
    if (delay <= 0 && queue.length === 0) {
      write(chunk)
      return
    }
    // A delay that was shortened must not let a later chunk overtake an earlier one.
    const dueMillis = Math.max(performance.now() + delay, queue.at(-1)?.dueMillis ?? 0)
    queue.push({ chunk, dueMillis })
    schedule()
  }
  return {
    send: enqueue,
    end: () => enqueue(null),
    discard() {
      isDiscarded = true
      clearTimeout(timer)
      return queue.splice(0).reduce((bytes, { chunk }) => bytes + (chunk?.length ?? 0), 0)
    },
  }
}
