/**
 * Channels of `node:diagnostics_channel`, through which tools learn what happens without wrapping anything. If the runtime has none, there
 * is never a listener.
 */

import { builtin } from './builtin.ts'

/** One of Node's channels. */
export interface Channel {
  /** Is there a subscriber? This changes at any time: ask each time. */
  readonly hasSubscribers: boolean
  publish(message: object): void
  /** Publishes, and runs `work` with the stores that are bound to the channel. Absent before Node 20, and in some other runtimes. */
  runStores?<Result>(message: object, work: () => Result): Result
  subscribe?(listener: () => void): void
  unsubscribe?(listener: () => void): void
}

interface Diagnostics {
  channel(name: string): Channel
}

const SILENT: Channel = { hasSubscribers: false, publish() {} }
const diagnostics = builtin<Diagnostics>('node:diagnostics_channel')

/** The channel of that name, the same for the whole process. */
export function channelOf(name: string): Channel {
  return diagnostics?.channel(name) ?? SILENT
}

/** What is published of one piece of work: when it begins, and again with the result or the error when it has ended. */
export interface TraceContext {
  result?: object
  error?: unknown
}

/**
 * Ends a piece of work: publishes its result or error, and runs `then`, which hands them to the caller. As with Node's `traceCallback`, that runs
 * between `asyncStart` and `asyncEnd`, with the stores that are bound to `asyncStart`.
 */
export type End = <Value = void>(error: unknown, result?: object, then?: () => Value) => Value | undefined

/** A channel for work that takes time (Node's TracingChannel): five channels, whose names end in what has happened. */
export class Tracing<Context extends TraceContext> {
  readonly #start: Channel
  readonly #end: Channel
  readonly #asyncStart: Channel
  readonly #asyncEnd: Channel
  readonly #error: Channel
  /** By class of client: does the driver publish the same itself? */
  readonly #publishesItself = new WeakMap<object, boolean>()

  constructor(name: string) {
    this.#start = channelOf(`tracing:${name}:start`)
    this.#end = channelOf(`tracing:${name}:end`)
    this.#asyncStart = channelOf(`tracing:${name}:asyncStart`)
    this.#asyncEnd = channelOf(`tracing:${name}:asyncEnd`)
    this.#error = channelOf(`tracing:${name}:error`)
  }

  /** Is there a subscriber? */
  get isHeard(): boolean {
    return (
      this.#start.hasSubscribers ||
      this.#asyncEnd.hasSubscribers ||
      this.#error.hasSubscribers ||
      this.#asyncStart.hasSubscribers ||
      this.#end.hasSubscribers
    )
  }

  /**
   * Begins one piece of work, which `work` starts. It ends once, through the function that `work` is given.
   *
   * @param publisher - the object whose method `work` calls, if that may publish the same one day: then nothing is published twice. The
   *   first call detects it, and publishes the beginning a moment late.
   */
  begin<Result>(context: Context, work: (end: End) => Result, publisher?: object): Result {
    const isForeign = publisher && this.#publishesItself.get(publisher)
    if (isForeign) return work((_error, _result, then) => then?.())
    let isBegun = false
    let isEnded = false
    const begin = <Value>(then: () => Value): Value => {
      isBegun = true
      if (this.#start.runStores) return this.#start.runStores(context, then)
      this.#start.publish(context)
      return then()
    }
    const end: End = (error, result, then) => {
      if (isEnded || (publisher && this.#publishesItself.get(publisher))) return then?.()
      isEnded = true
      if (!isBegun) begin(() => {})
      if (result) context.result = result
      if (error) context.error = error
      if (error) this.#error.publish(context)
      const handOver = () => {
        try {
          return then?.()
        } finally {
          this.#asyncEnd.publish(context)
        }
      }
      if (then && this.#asyncStart.runStores) return this.#asyncStart.runStores(context, handOver)
      this.#asyncStart.publish(context)
      return handOver()
    }
    if (publisher && isForeign === undefined) {
      const answer = this.#watch(publisher, () => work(end))
      if (this.#publishesItself.get(publisher)) return answer
      if (!isBegun) begin(() => {})
      this.#end.publish(context)
      return answer
    }
    try {
      return begin(() => work(end))
    } finally {
      this.#end.publish(context)
    }
  }

  /** Does it publish by itself while it is called? */
  #watch<Result>(publisher: object, work: () => Result): Result {
    let isHeard = false
    const listen = () => {
      isHeard = true
    }
    this.#start.subscribe?.(listen)
    try {
      return work()
    } finally {
      this.#start.unsubscribe?.(listen)
      this.#publishesItself.set(publisher, isHeard)
    }
  }
}
