import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { WebSocketServer } from 'ws'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { findFreePort } from './free-port.ts'
import { createCompute, type NeonCompute } from './neon-compute.ts'
import { NeonKeys } from './neon-keys.ts'
import { answerSql, type SqlAnswer } from './neon-sql.ts'
import { openTunnel } from './neon-tunnel.ts'
import { type PostgresOptions, type PostgresServer, startPostgres } from './postgres.ts'

/** How to start a local Neon. */
export interface NeonOptions {
  /** The PostgreSQL behind it, as for `startPostgres`. Default: as there. */
  readonly postgres?: Omit<PostgresOptions, 'tls' | 'authentication'>
  /** Sessions over WebSocket are told a process id and a key that Neon made up, as by the real one. Default: PostgreSQL's own. */
  readonly inventsProcessIds?: boolean
  /** The port that clients connect to. Default: a free one. */
  readonly port?: number
}

/** What the driver needs to find a local Neon. Plain data: it survives an environment variable. */
export interface NeonDriverConfig {
  /** `http://127.0.0.1:PORT/sql` */
  readonly fetchEndpoint: string
  /** `127.0.0.1:PORT/v2` */
  readonly wsProxy: string
  /** There is no TLS on this side of the network. */
  readonly useSecureWebSocket: false
}

/** How to answer with an HTTP status instead of the real answer. */
export interface NeonAnswerOptions {
  /** `before-work` (the default): nothing was executed. `after-work`: it was, and the client is not told. */
  readonly when?: 'before-work' | 'after-work'
  /** How many requests. Default: 1. */
  readonly times?: number
}

/** How to scale to zero. */
export interface NeonSuspendOptions {
  /** How long the next connection or request has to wait, beside the start of PostgreSQL itself (0.3 s). Default: 500, as Neon says of itself. */
  readonly wakeMillis?: number
}

/** What has happened so far. A live view. */
export interface NeonCounters {
  /** Requests over HTTP. */
  readonly requests: number
  /** WebSockets that were opened. */
  readonly webSockets: number
  /** How often {@link Neon.answerNext} struck. */
  readonly answered: number
  /** How often the compute was woken. */
  readonly wakes: number
}

/** Neon on this machine: its HTTP and its WebSocket protocol, in front of a real PostgreSQL. */
export interface Neon extends AsyncDisposable {
  /** What is `DATABASE_URL` on Neon. The host in it is not looked at: anything before the first dot may be an endpoint's name. */
  readonly url: string
  /** For `Object.assign(neonConfig, neon.driver)`, before the first statement. */
  readonly driver: NeonDriverConfig
  /** The database itself: `postgres.query()` asks past every fault. */
  readonly postgres: PostgresServer
  /** Between the driver and Neon: cut it, refuse, deafen, lose a request or an answer. HTTP and WebSockets go through it, in clear; what a client sends on a WebSocket is masked. */
  readonly network: FaultProxy
  /** Between Neon and the database: the protocol of PostgreSQL, in clear. A database that is gone, or dies under a statement. */
  readonly compute: FaultProxy
  /** Answers the next requests, and WebSocket upgrades, with a status: 500, 502, 503 and the like, as something on the way does. */
  answerNext(status: number, options?: NeonAnswerOptions): void
  /** Scales to zero: every session is ended with 57P01. The next request waits until the compute is awake. */
  suspend(options?: NeonSuspendOptions): Promise<void>
  readonly counters: NeonCounters
  /** Ends it all, the database with its data too. Safe to call twice. */
  close(): Promise<void>
}

const WAKE_MILLIS = 500

/**
 * Starts a local Neon in about a second: the real `@neondatabase/serverless` talks to it, unmodified, over HTTP (`neon()`) and over WebSocket
 * (`Pool`, `Client`), with the driver's own defaults. It needs no account and listens on 127.0.0.1 alone.
 *
 * As the real one: HTTP requests run on connections of their own, transactions with their isolation level, read-only and deferrable; values travel
 * as text; a client that hangs up has its statement cancelled; a compute that sleeps is woken. Not there: accounts, branches, JSON Web Tokens,
 * `-pooler` hosts, limits. And the process ids that it tells are PostgreSQL's own, unless `inventsProcessIds` is set.
 *
 * Throws what {@link startPostgres} throws, and if the port is taken.
 */
export async function startNeon(options: NeonOptions = {}): Promise<Neon> {
  // The driver sends its password unasked, unless it is told not to (`pipelineConnect`): only this method takes it.
  const postgres = await startPostgres({ ...options.postgres, authentication: 'password' })
  const proxy = await startFaultProxy(postgres)
  const compute = createCompute(postgres, proxy)
  const gate = new NeonGate(postgres, compute, options.inventsProcessIds ? new NeonKeys() : undefined)
  const network = await startFaultProxy({ host: '127.0.0.1', port: await gate.listen() }, options.port ? { port: options.port } : {})
  let closing: Promise<void> | undefined
  const close = async () => {
    compute.close()
    await network.close()
    await gate.close()
    await proxy.close()
    await postgres.close()
  }
  const neon: Neon = {
    url: postgres.url,
    driver: {
      fetchEndpoint: `http://127.0.0.1:${network.port}/sql`,
      wsProxy: `127.0.0.1:${network.port}/v2`,
      useSecureWebSocket: false,
    },
    postgres,
    network,
    compute: proxy,
    answerNext: (status, wanted = {}) => gate.answerNext(status, wanted),
    suspend: ({ wakeMillis = WAKE_MILLIS } = {}) => compute.suspend(wakeMillis),
    counters: gate.counters,
    close() {
      closing ??= close()
      return closing
    },
    [Symbol.asyncDispose]: () => neon.close(),
  }
  return neon
}

interface Planned {
  readonly status: number
  readonly when: 'before-work' | 'after-work'
}

/** What listens: HTTP, and the WebSockets that begin as HTTP. */
class NeonGate {
  readonly counters: { requests: number; webSockets: number; answered: number; readonly wakes: number }
  readonly #postgres: PostgresServer
  readonly #compute: NeonCompute
  readonly #keys: NeonKeys | undefined
  readonly #planned: Planned[] = []
  // As the real one, it leaves it to the client to close what is idle.
  readonly #server = createServer({ keepAliveTimeout: 0 })
  readonly #webSockets = new WebSocketServer({ noServer: true })

  constructor(postgres: PostgresServer, compute: NeonCompute, keys: NeonKeys | undefined) {
    this.#keys = keys
    this.#postgres = postgres
    this.#compute = compute
    this.counters = {
      requests: 0,
      webSockets: 0,
      answered: 0,
      get wakes() {
        return compute.wakes
      },
    }
    this.#server.on('request', (request, response) => void this.#answer(request, response))
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
  }

  async listen(): Promise<number> {
    const port = await findFreePort()
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, '127.0.0.1', resolve)
    })
    this.#server.unref()
    return port
  }

  answerNext(status: number, { when = 'before-work', times = 1 }: NeonAnswerOptions): void {
    for (let index = 0; index < times; index++) this.#planned.push({ status, when })
  }

  async close(): Promise<void> {
    for (const client of this.#webSockets.clients) client.terminate()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.counters.requests++
    const planned = this.#planned.shift()
    const body = await text(request).catch(() => undefined)
    if (body === undefined) return
    const isSql = request.method === 'POST' && request.url === '/sql'
    const answer: SqlAnswer = isSql
      ? await this.#execute(request, response, body, planned)
      : { status: 404, body: { message: 'not found' } }
    const headers = { 'access-control-allow-origin': '*', 'content-type': 'application/json', ...answer.headers }
    response.writeHead(answer.status, headers).end(JSON.stringify(answer.body))
  }

  async #execute(request: IncomingMessage, response: ServerResponse, body: string, planned: Planned | undefined): Promise<SqlAnswer> {
    const { headers } = request
    const began = (pid: number) => this.#endWithout(response, pid)
    const execute = () => answerSql({ headers, body, connect: () => this.#compute.address(), began })
    if (!planned) return execute()
    this.counters.answered++
    if (planned.when === 'after-work') await execute()
    return { status: planned.status, body: { message: STATUS_CODES[planned.status] ?? '' } }
  }

  /**
   * A disconnected client wants nothing more. It may have disconnected already; and a cancel that arrives before the statement would be
   * forgotten.
   */
  #endWithout(response: ServerResponse, pid: number): void {
    const end = () => {
      if (!response.writableFinished) this.#postgres.query('SELECT pg_terminate_backend($1)', [pid]).catch(() => {})
    }
    if (response.destroyed) end()
    else response.once('close', end)
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const planned = this.#planned[0]
    if (planned?.when === 'before-work') {
      this.#planned.shift()
      this.counters.answered++
      socket.end(`HTTP/1.1 ${planned.status} ${STATUS_CODES[planned.status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
      return
    }
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      this.counters.webSockets++
      openTunnel(webSocket, () => this.#compute.address(), this.#keys)
    })
  }
}
