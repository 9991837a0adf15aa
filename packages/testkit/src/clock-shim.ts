import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { clockShimSource } from './clock-shim-source.ts'

/** A library that, loaded into a process, makes its monotonic clock stand still for a while that the test chooses. */
export interface ClockShim extends AsyncDisposable {
  /** Environment of the processes whose clock is to be held: `spawnFreezable(file, { env: shim.env })`. */
  readonly env: Readonly<Record<string, string>>
  /**
   * Sets the monotonic clock of those processes back by this much more, at once and for every reader: between freeze and thaw, by the
   * length of the freeze.
   */
  stopMonotonic(millis: number): Promise<void>
  /** Deletes the library. Processes that have loaded it keep it. */
  close(): Promise<void>
}

/** How to build it. */
export interface ClockShimOptions {
  /** The C compiler. Default: `cc`. */
  readonly compiler?: string
}

/**
 * Builds the library with the C compiler of the machine, in a temporary folder.
 *
 * Unlike {@link createStoppableClock} it needs nothing injected: Node's own timers and `performance.now()` stand still, as they
 * do in a paused virtual machine. The wall clock goes on. Throws on anything but Linux, and if there is no C compiler.
 */
export async function buildClockShim({ compiler = 'cc' }: ClockShimOptions = {}): Promise<ClockShim> {
  if (process.platform !== 'linux') {
    throw new Error(`buildClockShim needs the LD_PRELOAD of Linux, and this is ${process.platform}. Inject createStoppableClock() instead.`)
  }
  // The loader splits LD_PRELOAD at spaces and colons, and knows no way to quote them.
  const place = /[\s:]/.test(tmpdir()) ? '/tmp' : tmpdir()
  const folder = await mkdtemp(join(place, 'thaw-clock-'))
  const close = (): Promise<void> => rm(folder, { recursive: true, force: true })
  try {
    const library = await compile(compiler, folder)
    const amount = join(folder, 'stopped-nanos')
    await writeFile(amount, Buffer.alloc(8))
    let stoppedNanos = 0n
    return {
      env: { LD_PRELOAD: [library, process.env.LD_PRELOAD].filter(Boolean).join(':'), THAW_CLOCK_FILE: amount },
      async stopMonotonic(millis) {
        stoppedNanos += BigInt(Math.round(millis * 1e6))
        await overwrite(amount, stoppedNanos)
      },
      close,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function compile(compiler: string, folder: string): Promise<string> {
  const source = join(folder, 'clock-shim.c')
  const library = join(folder, 'clock-shim.so')
  await writeFile(source, clockShimSource)
  try {
    await promisify(execFile)(compiler, ['-shared', '-fPIC', '-O2', '-o', library, source, '-ldl'])
  } catch (cause) {
    throw new Error(
      `buildClockShim needs a C compiler, and '${compiler}' did not do. Install one (Debian: gcc and libc6-dev), or name it.`,
      { cause },
    )
  }
  if (!existsSync(library)) throw new Error(`The C compiler '${compiler}' reported success, but wrote no ${library}.`)
  return library
}

// In place and in one write: the processes have mapped this very file, and may read it at any time.
async function overwrite(path: string, nanos: bigint): Promise<void> {
  const bytes = Buffer.from(new BigInt64Array([nanos]).buffer)
  const file = await open(path, 'r+')
  try {
    await file.write(bytes, 0, bytes.length, 0)
  } finally {
    await file.close()
  }
}
