import { connect, type Socket } from 'node:net'
import { type Ambushes, type ArmedAmbush, isAnswered } from './ambush.ts'
import type { CutKind, FaultKind, ServerSide, SuddenCut } from './fault-kinds.ts'
import type { Flow, FlowChunk, FlowCutOptions, FlowState } from './flow.ts'
import { encodeErrorResponse } from './pooler-messages.ts'
import { createRelay, type Relay } from './relay.ts'
import { reset } from './reset.ts'
import { createTally, type Traffic, type TrafficTally, type WritableCounters } from './traffic.ts'

/** What all flows of a proxy share. */
export interface FlowSetting {
  /** Read for each new flow. */
  target: { readonly host: string; readonly port: number }
  readonly isRecorded: boolean
  /** Counts of the whole proxy. */
  readonly total: WritableCounters
  readonly ambushes: Ambushes
  /** The current delays; read for each chunk. */
  readonly delay: { toServerMillis: number; toClientMillis: number }
}

// Which states a cut applies to: nothing more can be done to a client that has already been told, nor can it be silenced twice.
const CUTTABLE: Readonly<Record<CutKind, readonly FlowState[]>> = {
  fin: ['open', 'armed', 'silent'],
  rst: ['open', 'armed', 'silent'],
  drop: ['open', 'armed'],
  'fin-on-next-byte': ['open'],
  'rst-on-next-byte': ['open'],
}

/** A flow with its two sockets. A class, because its state is shared by a dozen event handlers. */
export class LiveFlow implements Flow {
  readonly id: number
  readonly clientPort: number
  readonly openedAtMillis: number = performance.now()
  readonly chunks: FlowChunk[] = []
  readonly #setting: FlowSetting
  readonly #tally: TrafficTally = createTally()
  readonly #client: Socket
  readonly #server: Socket | undefined
  readonly #toServer: Relay | undefined
  readonly #toClient: Relay | undefined
  readonly #closed: Promise<void>[]
  #state: FlowState = 'open'
  #lastSpoke: 'client' | 'server' = 'server'
  #armedWith: 'fin-on-next-byte' | 'rst-on-next-byte' = 'fin-on-next-byte'
  #ambush: ArmedAmbush | undefined
  #withheld: Buffer = Buffer.alloc(0)

  constructor(id: number, client: Socket, setting: FlowSetting, isDeaf: boolean) {
    this.id = id
    this.clientPort = client.remotePort ?? 0
    this.#setting = setting
    this.#client = client
    this.#closed = [closed(client)]
    client.on('error', () => this.#onClientError())
    client.on('close', () => {
      this.#state = 'closed'
    })
    client.on('data', (chunk: Buffer) => this.#onClientData(chunk))
    client.on('end', () => this.#onClientEnd())
    if (isDeaf) {
      this.#state = 'silent'
      this.#count('deaf')
      return
    }
    // Half-open, here and at the client's side: the two ends close the connection between each other, not with us.
    const server = connect({ ...setting.target, allowHalfOpen: true, noDelay: true })
    this.#server = server
    this.#closed.push(closed(server))
    this.#toServer = createRelay(client, server, () => setting.delay.toServerMillis)
    this.#toClient = createRelay(server, client, () => setting.delay.toClientMillis)
    server.on('error', () => this.#onServerError())
    server.on('data', (chunk: Buffer) => this.#onServerData(chunk))
    server.on('end', () => {
      if (this.#state === 'open') this.#toClient?.end()
    })
  }

  get state(): FlowState {
    return this.#state
  }

  get traffic(): Traffic {
    return this.#tally
  }

  /** Whether no socket of it is left: one to the server may outlive its client. */
  get isOver(): boolean {
    return this.#state === 'closed' && this.#server?.destroyed !== false
  }

  cut(kind: CutKind, { server = kind === 'drop' ? 'hold' : 'close' }: FlowCutOptions = {}): boolean {
    // The client has disconnected: there is nothing left to strike.
    if (!CUTTABLE[kind].includes(this.#state) || this.#client.readableEnded) return false
    if (kind === 'fin-on-next-byte' || kind === 'rst-on-next-byte') {
      this.#detach('armed', server)
      this.#armedWith = kind
      return true
    }
    this.#count(kind)
    this.#end(kind, server)
    return true
  }

  /** Ends both sides for good, without telling either. Resolves when both have ended. */
  async destroy(): Promise<void> {
    this.#toServer?.discard()
    this.#toClient?.discard()
    this.#client.destroy()
    this.#server?.destroy()
    await Promise.all(this.#closed)
  }

  #onClientData(chunk: Buffer): void {
    if (this.#state === 'armed') {
      this.#lose('to-server', chunk)
      this.#count(this.#armedWith)
      this.#end(this.#armedWith === 'fin-on-next-byte' ? 'fin' : 'rst', 'close')
      return
    }
    const ambush = this.#state === 'open' && !this.#ambush ? this.#setting.ambushes.take(chunk) : undefined
    if (this.#state !== 'open' || ambush?.target === 'request') {
      this.#lose('to-server', chunk)
      if (ambush) this.#spring(ambush, 'lost-request')
      return
    }
    this.#ambush ??= ambush
    this.#record('to-server', chunk, false)
    for (const tally of [this.#tally, this.#setting.total]) {
      tally.bytesToServer += chunk.length
      tally.chunksToServer++
      if (this.#lastSpoke === 'server') tally.flights++
    }
    this.#lastSpoke = 'client'
    this.#toServer?.send(chunk)
  }

  #onServerData(chunk: Buffer): void {
    if (this.#state !== 'open') this.#lose('to-client', chunk)
    else if (this.#ambush) this.#withhold(this.#ambush, chunk)
    else this.#passToClient(chunk)
  }

  #withhold(ambush: ArmedAmbush, chunk: Buffer): void {
    const { options } = ambush
    const passed = Math.min(chunk.length, Math.max(0, (options.afterBytes ?? 0) - this.#withheld.length))
    this.#withheld = Buffer.concat([this.#withheld, chunk])
    if (passed > 0) this.#passToClient(chunk.subarray(0, passed))
    if (passed < chunk.length) this.#lose('to-client', chunk.subarray(passed))
    if (isAnswered(this.#withheld, options)) this.#spring(ambush, 'lost-answer')
  }

  #passToClient(chunk: Buffer): void {
    this.#record('to-client', chunk, false)
    for (const tally of [this.#tally, this.#setting.total]) {
      tally.bytesToClient += chunk.length
      tally.chunksToClient++
      if (this.#lastSpoke === 'client') tally.roundTrips++
    }
    this.#lastSpoke = 'server'
    this.#toClient?.send(chunk)
  }

  #onClientEnd(): void {
    if (this.#state === 'open') this.#toServer?.end()
    // A host that has forgotten the connection sends no FIN for it.
    if (this.#state === 'armed') this.#end('fin', 'close')
  }

  #onClientError(): void {
    if (this.#state === 'open' && this.#server) reset(this.#server)
  }

  #onServerError(): void {
    // Also when the server cannot be reached: the client has been accepted by us, so a reset is the nearest thing to a refusal.
    if (this.#state === 'open') this.#end('rst', 'close')
  }

  #spring(ambush: ArmedAmbush, fault: 'lost-request' | 'lost-answer'): void {
    const { errorResponse, cut = errorResponse ? 'fin' : 'rst', server = cut === 'drop' ? 'hold' : 'close' } = ambush.options
    this.#count(fault)
    if (errorResponse) this.#client.write(encodeErrorResponse(errorResponse))
    this.#end(cut, server)
    ambush.spring(this)
  }

  #end(kind: SuddenCut, server: ServerSide): void {
    this.#detach(kind === 'drop' ? 'silent' : 'cut', server)
    if (kind === 'fin') this.#client.end()
    if (kind === 'rst') reset(this.#client)
  }

  // From here on nothing passes, whatever the other side does; what the client sends is read and discarded.
  #detach(state: FlowState, server: ServerSide): void {
    this.#state = state
    this.#countLost((this.#toServer?.discard() ?? 0) + (this.#toClient?.discard() ?? 0))
    this.#client.resume()
    if (server === 'close') this.#server?.destroy()
    else this.#server?.pause()
  }

  #lose(direction: FlowChunk['direction'], chunk: Buffer): void {
    this.#record(direction, chunk, true)
    this.#countLost(chunk.length)
  }

  #record(direction: FlowChunk['direction'], data: Buffer, isLost: boolean): void {
    if (this.#setting.isRecorded) this.chunks.push({ direction, atMillis: performance.now(), bytes: data.length, data, isLost })
  }

  #count(fault: FaultKind): void {
    this.#tally.struck[fault]++
    this.#setting.total.struck[fault]++
  }

  #countLost(bytes: number): void {
    this.#tally.bytesLost += bytes
    this.#setting.total.bytesLost += bytes
  }
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}
