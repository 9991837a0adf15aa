import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Deployment, LambdaEnvironment, type LambdaShutdown } from './lambda-environment.ts'

/** How to deploy a function to the emulator. */
export interface LambdaOptions {
  /** The name of the export. Default: `handler`. */
  readonly handler?: string
  /** Environment variables of the function, added to those of this process. */
  readonly env?: Readonly<Record<string, string>>
  /** How long an invocation may take. Default: 3000, as Lambda's. */
  readonly timeoutMillis?: number
  /**
   * How long a process with an internal extension has from SIGTERM to SIGKILL. Default: 500, as on Lambda. More where the machine is too loaded to be
   * timed.
   */
  readonly shutdownMillis?: number
  /**
   * Emulates managed instances instead: worker threads, each with its own copy of the module, take this many invocations at once, and
   * nothing is ever frozen. Default: 1, which is ordinary Lambda.
   */
  readonly maxConcurrency?: number
  /** Worker threads of a managed instance. Default: 2. (AWS starts eight for each CPU.) */
  readonly threads?: number
  /** Arguments of Node itself. Default: none. */
  readonly execArgv?: readonly string[]
  /**
   * The command that runs the function: `[process.execPath, 'node_modules/aws-lambda-ric/index.mjs']` is the very loop that AWS runs; it
   * loads JavaScript only.
   * Default: a loop of our own with the same contract, which needs no compiler.
   */
  readonly command?: readonly string[]
}

/** How to invoke the function once. */
export interface InvokeOptions {
  /** Called with each piece of a streamed response, as soon as it is there. */
  readonly onChunk?: (chunk: string) => void
  /**
   * Called while the process is still frozen and its request is already in the kernel: the moment for a fault that the process must not
   * notice before its handler runs. Not called if nothing is frozen.
   */
  readonly beforeThaw?: () => void
}

/** A function in the emulator. */
export interface Lambda extends AsyncDisposable {
  /**
   * Invokes the function, and resolves with its answer: parsed JSON, or the text of a streamed response, or `{ statusCode, headers, body }`
   * for one made by `awslambda.HttpResponseStream.from`. The first call starts the process; each later one thaws it. Lambda would start a
   * second process for a call that arrives while another runs; here it waits its turn.
   *
   * Rejects with a {@link LambdaError}: what the function threw, `Sandbox.Timedout`, `Runtime.ExitError`. After those two the next call
   * starts a new process, as on Lambda.
   */
  invoke(event?: unknown, options?: InvokeOptions): Promise<unknown>
  /** Resolves when the process is frozen (managed instances: idle): a moment after the answer, since extensions may still work. */
  whenFrozen(): Promise<void>
  readonly isFrozen: boolean
  /** Pid of the process. 0 before the first invocation. */
  readonly pid: number
  /** How many processes have been started so far. */
  readonly coldStarts: number
  /** Ends the process as Lambda does: see {@link LambdaShutdown}. The next call starts another one. */
  shutdown(): Promise<LambdaShutdown>
  /** What the process has written so far. */
  readonly stdout: string
  readonly stderr: string
}

const TIMEOUT_MILLIS = 3000
/** See https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown. */
const SHUTDOWN_MILLIS = 500
const THREADS = 2

/**
 * Deploys the module `file` to an emulator of AWS Lambda: one execution environment with the Runtime API and the Extensions API for internal
 * extensions. Between invocations the process is really frozen (SIGSTOP) once it and its extensions have asked for the next event.
 *
 * The handler runs in the Node version of this process. Throws nothing by itself: a module that cannot be loaded fails the invocation.
 */
export function startLambda(file: string | URL, options: LambdaOptions = {}): Lambda {
  const deployment = deploymentOf(typeof file === 'string' ? file : fileURLToPath(file), options)
  let environment: LambdaEnvironment | undefined
  let coldStarts = 0
  let starting: Promise<void> = Promise.resolve()
  const current = async (): Promise<LambdaEnvironment> => {
    await starting
    if (environment && !environment.isOver) return environment
    await environment?.shutdown()
    const next = new LambdaEnvironment(deployment)
    environment = next
    coldStarts++
    starting = next.start()
    await starting
    return next
  }
  // One after the other, so that two calls do not start two processes.
  let turn: Promise<unknown> = Promise.resolve()
  const take = (): Promise<LambdaEnvironment> => {
    const taken = turn.then(current)
    turn = taken
    return taken
  }
  const lambda: Lambda = {
    async invoke(event = {}, { onChunk = () => {}, beforeThaw = () => {} } = {}) {
      const running = await take()
      return new Promise((resolve, reject) => running.invoke({ event: JSON.stringify(event), onChunk, beforeThaw, resolve, reject }))
    },
    async whenFrozen() {
      await environment?.settled()
    },
    get isFrozen() {
      return environment?.isFrozen ?? false
    },
    get pid() {
      return environment?.pid ?? 0
    },
    get coldStarts() {
      return coldStarts
    },
    async shutdown() {
      const ending = environment
      environment = undefined
      return (await ending?.shutdown()) ?? { signals: [], end: { code: null, signal: null } }
    },
    get stdout() {
      return environment?.stdout() ?? ''
    },
    get stderr() {
      return environment?.stderr() ?? ''
    },
    [Symbol.asyncDispose]: async () => {
      await environment?.kill()
    },
  }
  return lambda
}

function deploymentOf(file: string, options: LambdaOptions): Deployment {
  const { handler = 'handler', maxConcurrency = 1, threads = THREADS, execArgv = [] } = options
  const { timeoutMillis = TIMEOUT_MILLIS, shutdownMillis = SHUTDOWN_MILLIS } = options
  // Beside this file, as source or as built.
  const loop = fileURLToPath(new URL(`./lambda-runtime${import.meta.url.endsWith('.ts') ? '.ts' : '.mjs'}`, import.meta.url))
  const isManaged = maxConcurrency > 1
  const fullHandler = `${file.slice(0, -extname(file).length)}.${handler}`
  return {
    functionName: 'function',
    handler: fullHandler,
    command: options.command ?? [process.execPath, ...execArgv, loop, file, handler],
    timeoutMillis,
    shutdownMillis,
    maxConcurrency,
    threads: isManaged ? threads : 1,
    env: {
      ...VARIABLES,
      _HANDLER: fullHandler,
      AWS_LAMBDA_INITIALIZATION_TYPE: isManaged ? 'lambda-managed-instances' : 'on-demand',
      ...(isManaged && { AWS_LAMBDA_MAX_CONCURRENCY: String(maxConcurrency), AWS_LAMBDA_NODEJS_WORKER_COUNT: String(threads) }),
      ...options.env,
    },
  }
}

/** What Lambda sets for each function (https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html). */
const VARIABLES: Readonly<Record<string, string>> = {
  AWS_LAMBDA_FUNCTION_NAME: 'function',
  AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '128',
  AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/function',
  AWS_LAMBDA_LOG_STREAM_NAME: 'emulated',
  AWS_REGION: 'us-east-1',
  LAMBDA_TASK_ROOT: process.cwd(),
  TZ: ':UTC',
}
