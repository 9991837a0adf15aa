/**
 * Neon's socket, which is a WebSocket, made to report what a `net.Socket` reports: whether it is writable, how many bytes came, why it
 * failed, and that it is closed once it is destroyed. The pool needs nothing else of a connection.
 */

import { codeOf, OptionError } from '@thaw/core'
import { markLost } from '@thaw/pool'
import { PeerSocketClass, type PeerWebSocket } from './peer.ts'

/** https://websockets.spec.whatwg.org/#dom-websocket-readystate */
const OPEN = 1

interface Globals {
  readonly WebSocket?: unknown
  queueMicrotask(callback: () => void): void
}

const globals = globalThis as unknown as Globals
// Captured once: a test's fake timers may replace it later.
const { queueMicrotask } = globals

export class Socket extends PeerSocketClass {
  #bytesRead = 0
  #isClosed = false
  readonly #unsent: Uint8Array[] = []

  constructor() {
    super()
    // Neon's own is a property of each socket, and always true.
    Object.defineProperty(this, 'writable', { get: () => this.#isWritable() })
  }

  /** Bytes received so far. */
  get bytesRead(): number {
    return this.#bytesRead
  }

  /** Bytes that were written and not sent. */
  get writableLength(): number {
    return this.#unsent.reduce((bytes, chunk) => bytes + chunk.length, this.ws?.bufferedAmount ?? 0)
  }

  #isWritable(): boolean {
    return !this.destroyed && (this.ws === null || this.ws.readyState <= OPEN)
  }

  override connect(port: number | string, host: string, listener?: () => void): void {
    if (this.webSocketConstructor !== undefined || globals.WebSocket !== undefined) return super.connect(port, host, listener)
    this.destroy(
      new OptionError({
        option: 'webSocketConstructor',
        allowed: 'a WebSocket class',
        message:
          'This runtime has no WebSocket (Node.js before 22 has none). Install "ws" and write neonConfig.webSocketConstructor = WebSocket (import { WebSocket } from "ws"), or use neon() over HTTP.',
      }),
    )
  }

  override emit(name: string, ...values: unknown[]): boolean {
    // What a WebSocket still reports after we have closed it is ignored.
    if (this.#isClosed) return false
    if (name === 'data') this.#bytesRead += (values[0] as Uint8Array).length
    if (name === 'connect' && this.destroyed) {
      this.ws?.close()
      return false
    }
    if (name === 'close') {
      this.#isClosed = true
      this.destroyed = true
    }
    return name === 'error' ? super.emit(name, asError(values[0])) : super.emit(name, ...values)
  }

  /** One message for everything that is written in one go, as Neon does; but at once, not after a timer of a millisecond. */
  override rawWrite(data: Uint8Array): void {
    this.#unsent.push(data)
    if (!this.coalesceWrites) this.#flush()
    // The second one: in the first, Neon sends its password after the startup message, before it is asked.
    else if (this.#unsent.length === 1) queueMicrotask(() => queueMicrotask(() => this.#flush()))
  }

  #flush(): void {
    const chunks = this.#unsent.splice(0)
    if (chunks.length > 0 && this.ws?.readyState === OPEN) this.ws.send(chunks.length === 1 ? (chunks[0] as Uint8Array) : joined(chunks))
  }

  override end(...values: unknown[]): this {
    // The Terminate message is sent before the socket is closed.
    this.#flush()
    return super.end(...values)
  }

  /** Closed from our side at once: a WebSocket itself would wait for the other end, which may be gone. */
  override destroy(reason?: Error): this {
    if (this.destroyed) return this
    this.destroyed = true
    leave(this.ws)
    queueMicrotask(() => {
      if (reason) this.emit('error', reason)
      this.emit('close')
    })
    return this
  }
}

function leave(webSocket: PeerWebSocket | null): void {
  if (webSocket?.terminate) webSocket.terminate()
  else webSocket?.close()
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0))
  let offset = 0
  for (const chunk of chunks) {
    all.set(chunk, offset)
    offset += chunk.length
  }
  return all
}

/** A WebSocket fails with an event, in which some runtimes give the reason. */
function asError(failure: unknown): Error {
  if (failure instanceof Error) return failure
  const { error, message } = (failure ?? {}) as { error?: unknown; message?: unknown }
  const said = [message, (error as { message?: unknown } | undefined)?.message].find((text) => typeof text === 'string' && text !== '')
  const { errno, syscall } = (error ?? {}) as { errno?: number; syscall?: string }
  const code = codeOf(error)
  const made = new Error(`The WebSocket failed (${said ?? 'the runtime gives no reason'})`, { cause: error })
  return markLost(code === undefined ? made : Object.assign(made, { code, errno, syscall }))
}
