import { Agent, type IncomingHttpHeaders, request as send } from 'node:http'
import { text } from 'node:stream/consumers'
import type { ProcessEnd } from './child-life.ts'
import { type FreezableOptions, type FreezableProcess, spawnFreezable } from './freezable-process.ts'
import { within } from './within.ts'

/** How to start an instance. */
export interface VercelOptions extends FreezableOptions {
  /** How long an invocation may take, with all that it passed to `waitUntil`. Default: 300 s, as on Vercel. */
  readonly maxDurationMillis?: number
  /** How long the instance has from SIGTERM to SIGKILL. Default: 500, as on Vercel. More where the machine is too loaded to be timed. */
  readonly terminationMillis?: number
}

/** What to ask for. */
export interface VercelRequest {
  /** Default: `GET`, or `POST` with a body. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** The client disconnects when it aborts, midway through the answer or before. The request is then rejected. */
  readonly signal?: AbortSignal
}

/** What was answered, complete. */
export interface VercelResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A request that lies in the kernel of a suspended instance. */
export interface DeliveredRequest {
  /** Comes after {@link VercelInstance.wake}. */
  readonly answer: Promise<VercelResponse>
}

/** One instance of a function, as Fluid compute runs it: one process, any number of requests at once. */
export interface VercelInstance extends AsyncDisposable, Pick<FreezableProcess, 'pid' | 'exited' | 'uncaught' | 'stdout' | 'stderr'> {
  /** Frozen, because no request and no `waitUntil` promise was pending. */
  readonly isSuspended: boolean
  /**
   * Sends a request, waking the instance if it is suspended. At the deadline the answer is 504 with `x-vercel-error: FUNCTION_INVOCATION_TIMEOUT`;
   * what a handler throws is 500 with `FUNCTION_INVOCATION_FAILED`, and its stack goes to stderr. Rejects when the instance ends before it answers.
   */
  request(path: string, request?: VercelRequest): Promise<VercelResponse>
  /** Sends a request to a suspended instance without waking it, so that whatever a test does next comes after the request. Throws if it is not suspended. */
  deliver(path: string, request?: VercelRequest): Promise<DeliveredRequest>
  /** Lets a suspended instance go on, as its next request would. */
  wake(): Promise<void>
  /** Resolves when the instance is suspended. Rejects if it ends instead. */
  suspended(): Promise<void>
  /** Terminates the instance as the platform does: SIGTERM, and SIGKILL `terminationMillis` later. A suspended one is woken for it. */
  shutdown(): Promise<ProcessEnd>
}

const MAX_DURATION_MILLIS = 300_000
/** From Vercel's announcement of graceful shutdown. */
const TERMINATION_MILLIS = 500
/** The deadline of an invocation cuts it first; the call that reports its end must outlive that. */
const SLACK_MILLIS = 60_000

/**
 * Starts `file`, a Vercel function, as Fluid compute runs it, and resolves when it is loaded.
 *
 * The file exports any of: a `(request, response)` function as its default, functions named for HTTP methods, an object with `fetch` as its
 * default, or `fetch`. The environment says `VERCEL=1`, `VERCEL_URL` and `VERCEL_REGION`; the request context is where `@vercel/functions` looks for it.
 *
 * The process is stopped (SIGSTOP) at the first moment at which no request and no `waitUntil` promise is pending. Vercel does not say when exactly
 * it suspends; this is the earliest. `waitUntil` of an invocation that has ended holds nothing. Uncaught errors are counted and survived.
 *
 * Throws as {@link spawnFreezable} does.
 */
export async function startVercel(file: string | URL, options: VercelOptions = {}): Promise<VercelInstance> {
  const { maxDurationMillis = MAX_DURATION_MILLIS, terminationMillis = TERMINATION_MILLIS, env, args = [], ...rest } = options
  // Beside this file, in the sources as in what was built from them.
  const launcher = new URL(`./vercel-launcher.${import.meta.url.endsWith('.ts') ? 'ts' : 'mjs'}`, import.meta.url)
  const platform = { VERCEL: '1', VERCEL_ENV: 'production', VERCEL_URL: 'instance.vercel.app', VERCEL_REGION: 'iad1' }
  const child = await spawnFreezable(launcher, { ...rest, args: [String(file), ...args], env: { ...platform, ...env } })
  return attach(child, await child.call<number>('port'), { maxDurationMillis, terminationMillis })
}

type Times = Required<Pick<VercelOptions, 'maxDurationMillis' | 'terminationMillis'>>

function attach(child: FreezableProcess, port: number, { maxDurationMillis, terminationMillis }: Times): VercelInstance {
  // One connection kept open, as between Vercel's proxy and the instance: a request on it arrives before anything that came later on other
  // sockets.
  const agent = new Agent({ keepAlive: true })
  const open = new Set<number>()
  const sleepers = new Set<() => void>()
  let lastId = 0
  let isClosing = false
  let turn: Promise<unknown> = Promise.resolve()
  /** Signals one after the other: a request that arrives while we suspend wakes the instance afterwards. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work)
    turn = done.catch(() => {})
    return done
  }
  const suspend = async (): Promise<void> => {
    if (open.size > 0 || isClosing || child.isFrozen) return
    await child.freeze()
    for (const wakeUp of sleepers) wakeUp()
    sleepers.clear()
  }
  const wake = (): Promise<void> => inTurn(async () => (child.isFrozen ? child.thaw() : undefined))

  const begin = async (path: string, request: VercelRequest): Promise<DeliveredRequest> => {
    const id = ++lastId
    const deadlineAt = Date.now() + maxDurationMillis
    open.add(id)
    const { arrived, answer } = exchange({ agent, port, path, request, id, deadlineAt })
    const ended = child.call('ended', id, { timeoutMillis: maxDurationMillis + SLACK_MILLIS })
    const close = (): void => {
      open.delete(id)
      inTurn(suspend).catch(() => {})
    }
    const overdue = setTimeout(close, maxDurationMillis)
    ended.then(close, close).finally(() => clearTimeout(overdue))
    // Code that looks at it only after the wake must not be told of it by the process.
    answer.catch(() => {})
    await arrived
    return { answer }
  }

  const suspended = async (): Promise<void> => {
    if (child.isFrozen) return
    const asleep = new Promise<'asleep'>((resolve) => sleepers.add(() => resolve('asleep')))
    const seen = await Promise.race([asleep, child.exited])
    if (seen !== 'asleep') throw new Error(`The instance ended (${seen.signal ?? `code ${seen.code}`}) instead of being suspended.`)
  }

  const shutdown = async (): Promise<ProcessEnd> => {
    isClosing = true
    await wake().catch(() => {})
    const end = (await within(child.kill('SIGTERM'), terminationMillis)) ?? (await child.kill('SIGKILL'))
    agent.destroy()
    return end
  }

  return {
    pid: child.pid,
    exited: child.exited,
    uncaught: child.uncaught,
    get isSuspended() {
      return child.isFrozen
    },
    get stdout() {
      return child.stdout
    },
    get stderr() {
      return child.stderr
    },
    async request(path, request = {}) {
      // Counted before it is sent, or the instance could be suspended again in between.
      const [{ answer }] = await Promise.all([begin(path, request), wake()])
      return answer
    },
    async deliver(path, request = {}) {
      if (!child.isFrozen) throw new Error('deliver() is for a suspended instance. Wait for suspended() first, or use request().')
      return begin(path, request)
    },
    wake,
    suspended,
    shutdown,
    async [Symbol.asyncDispose]() {
      isClosing = true
      agent.destroy()
      await child.kill()
    },
  }
}

interface Exchange {
  readonly agent: Agent
  readonly port: number
  readonly path: string
  readonly request: VercelRequest
  readonly id: number
  readonly deadlineAt: number
}

/** One request over HTTP, answered on the function's behalf when its time is up. */
function exchange({ agent, port, path, request, id, deadlineAt }: Exchange): { arrived: Promise<void>; answer: Promise<VercelResponse> } {
  const { body, signal, method = body === undefined ? 'GET' : 'POST' } = request
  const headers = {
    host: 'instance.vercel.app',
    'x-vercel-id': `iad1::iad1::${id}`,
    ...request.headers,
    'x-vercel-internal-request-id': String(id),
    'x-vercel-internal-deadline': new Date(deadlineAt).toISOString(),
  }
  const outgoing = send({ agent, port, host: '127.0.0.1', path, method, headers, signal })
  const answer = new Promise<VercelResponse>((resolve, reject) => {
    const overdue = setTimeout(() => {
      resolve({ status: 504, headers: { 'x-vercel-error': 'FUNCTION_INVOCATION_TIMEOUT' }, body: '' })
      outgoing.destroy()
    }, deadlineAt - Date.now())
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      text(incoming).then((all) => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: all }), reject)
    })
    outgoing.on('close', () => clearTimeout(overdue))
  })
  const arrived = new Promise<void>((resolve) => {
    outgoing.on('finish', resolve)
    outgoing.on('close', resolve)
  })
  outgoing.end(body)
  return { arrived, answer }
}
