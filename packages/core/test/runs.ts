/** How many random cases a property is held against. */

interface Runs {
  readonly numRuns: number
  readonly seed?: number
}

const env = (globalThis as { process?: { env?: Readonly<Record<string, string | undefined>> } }).process?.env ?? {}

/** As many as `ordinary`, unless THAW_RUNS says otherwise. THAW_SEED repeats a run whose seed fast-check has printed. */
export function runs(ordinary: number): Runs {
  const seed = env['THAW_SEED']
  return { numRuns: Number(env['THAW_RUNS'] ?? ordinary), ...(seed !== undefined && { seed: Number(seed) }) }
}

/** Milliseconds that so many runs may take before the test counts as hanging. */
export function patience(ordinary: number): number {
  return 20_000 + runs(ordinary).numRuns * 20
}
