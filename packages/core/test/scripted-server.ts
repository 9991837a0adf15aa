/** A PostgreSQL server, the network and the kernel, in the small: sockets that answer, fall silent or die as a test says. */

import type { FakeClock } from './fake-clock.ts'

/** How a server ends a session, as far as its client's kernel hears of it: an end without a word, or a code. */
export type Death = 'fin' | 'ECONNRESET' | '57P01' | '57P02' | '57P05'
export type ServerMood = 'well' | 'deaf' | 'refusing'

export interface SocketListener {
  ready(): void
  lost(code: string | undefined): void
}

/** One end of a connection, as the process sees it. */
export interface Socket {
  /** The life of the server that it was connected to. */
  readonly incarnation: number
  /** The loop has delivered its end, or it was destroyed. */
  broken: boolean
  /** Asks the server something, which it answers with ReadyForQuery. */
  write(): void
  destroy(): void
}

/** What the loop hands to JavaScript, told to a test as well. */
export interface Deliveries {
  ready(socket: Socket): void
  lost(socket: Socket, code: string | undefined, stood: boolean): void
}

interface Arrival {
  readonly at: number
  readonly death: Death | 'ECONNREFUSED' | undefined
  /** Turns of the loop until JavaScript sees it: one for plain data, up to three for an end behind data after a timer. */
  turns: number
}

class ScriptedSocket implements Socket {
  readonly incarnation: number
  readonly #server: ScriptedServer
  readonly listener: SocketListener
  readonly queue: Arrival[] = []
  broken = false
  /** Its server process lives, and the network in between. */
  reachable = true
  /** It was connected once. */
  stood = false

  constructor(server: ScriptedServer, listener: SocketListener) {
    this.#server = server
    this.incarnation = server.incarnation
    this.listener = listener
  }

  write(): void {
    if (this.reachable && this.#server.mood !== 'deaf') this.#server.send(this, this.#server.latency)
  }

  destroy(): void {
    this.broken = true
    this.#server.sockets.delete(this)
  }
}

export class ScriptedServer {
  readonly #clock: FakeClock
  readonly #deliveries: Deliveries
  readonly latency: number
  /** Sockets that this process holds, those still connecting included, oldest first. */
  readonly sockets: Set<ScriptedSocket> = new Set()
  incarnation = 0
  mood: ServerMood = 'well'

  constructor(clock: FakeClock, latency: number, deliveries: Deliveries) {
    this.#clock = clock
    this.latency = latency
    this.#deliveries = deliveries
    clock.attach({
      nextArrival: () => this.#arrivals((at, now) => at > now).reduce((first, { at }) => Math.min(first, at), Number.POSITIVE_INFINITY),
      pending: () => this.#arrivals((at, now) => at <= now).length > 0,
      poll: () => this.#poll(),
    })
  }

  /** One round trip for TCP, two for the startup. */
  dial(listener: SocketListener): Socket {
    const socket = new ScriptedSocket(this, listener)
    this.sockets.add(socket)
    if (this.mood === 'well') this.send(socket, 3 * this.latency)
    if (this.mood === 'refusing') this.send(socket, this.latency, 'ECONNREFUSED')
    return socket
  }

  send(socket: ScriptedSocket, delay: number, death?: Arrival['death']): void {
    const at = Math.max(this.#clock.now() + delay, socket.queue.at(-1)?.at ?? 0)
    socket.queue.push({ at, death, turns: 1 + Math.floor(this.#clock.random() * 3) })
  }

  /** Ends the session so that the client's kernel hears of it. */
  end(socket: ScriptedSocket, death: Death, delay: number): void {
    if (!socket.reachable) return
    socket.reachable = false
    this.send(socket, delay, death)
  }

  /** Forgets the connection without a word. What was still on its way is lost. */
  drop(socket: ScriptedSocket): void {
    socket.reachable = false
    const arrived = socket.queue.filter(({ at }) => at <= this.#clock.now())
    socket.queue.splice(0, socket.queue.length, ...arrived)
  }

  /** Does the kernel hold bytes of this socket that JavaScript has not seen? `death`: of its end, or of an answer. */
  holds(socket: Socket, what: 'death' | 'answer'): boolean {
    return [...this.sockets].some(
      (one) => one === socket && one.queue.some(({ at, death }) => at <= this.#clock.now() && (death !== undefined) === (what === 'death')),
    )
  }

  isReachable(socket: Socket): boolean {
    return [...this.sockets].some((one) => one === socket && one.reachable)
  }

  #arrivals(wanted: (at: number, now: number) => boolean): Arrival[] {
    const now = this.#clock.now()
    return [...this.sockets].flatMap(({ queue }) => queue.filter(({ at }) => wanted(at, now)))
  }

  #poll(): void {
    for (const arrival of this.#arrivals((at, now) => at <= now)) arrival.turns--
    for (const socket of [...this.sockets]) {
      const due = () => socket.queue[0] && socket.queue[0].at <= this.#clock.now() && socket.queue[0].turns <= 0
      while (!socket.broken && due()) this.#deliver(socket, socket.queue.shift())
    }
  }

  #deliver(socket: ScriptedSocket, arrival: Arrival | undefined): void {
    if (!arrival) return
    if (arrival.death === undefined) {
      socket.stood = true
      this.#deliveries.ready(socket)
      socket.listener.ready()
      return
    }
    const code = arrival.death === 'fin' ? undefined : arrival.death
    socket.destroy()
    this.#deliveries.lost(socket, code, socket.stood)
    socket.listener.lost(code)
  }
}
