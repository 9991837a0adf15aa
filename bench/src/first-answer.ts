/** How long the first question after a thaw takes, by what became of the connection meanwhile. */

import { FATES, type Fate, type FrozenLab, openFrozenLab, type Woken } from './freezes.ts'
import type { Figure, Row, Scenario } from './scenario.ts'
import { figureOf, median, rounded } from './statistics.ts'

/** The least hedge delay, and what it is for a round trip of 10 ms that hardly varies; twice that while it is being learned. */
const LEAST_HEDGE_MILLIS = 10
const DELAYS = [0, 5] as const

interface Sample {
  readonly dial: number
  readonly thaw: Woken
  readonly pg: Woken | undefined
}

interface Case {
  readonly fate: Fate
  readonly says: string
  readonly samples: number
  /** How many of the samples plain pg takes part in: what has no answer costs five seconds each time. */
  readonly pgSamples: number
  /** How long the answer may take at most, given the time of a connection attempt and, if plain pg answers, of its answer. */
  limit(sample: Sample, delay: number): number
  /** How many times that much. */
  readonly factor: number
}

const known = { says: '≤ 1.1 × a dial', samples: 40, pgSamples: 40, limit: ({ dial }: Sample) => dial, factor: 1.1 }

const CASES: readonly Case[] = [
  { fate: FATES.fin, ...known },
  { fate: FATES.rst, ...known },
  {
    fate: FATES.dropped,
    // Some milliseconds for Node's timers: they know whole ones, and come some turns of the event loop late.
    says: '≤ hedge delay (10 ms, or 4 round trips) + 1.1 × a dial + 3 ms',
    samples: 40,
    pgSamples: 1,
    limit: ({ dial }, delay) => Math.max(LEAST_HEDGE_MILLIS, 4 * 2 * delay) + 1.1 * dial + 3,
    factor: 1,
  },
  {
    fate: FATES.alive,
    says: 'one round trip more: ≤ 2 × pg',
    samples: 40,
    pgSamples: 40,
    limit: ({ pg }) => 2 * (pg?.millis ?? 0),
    factor: 1,
  },
]

export const firstAnswer: Scenario = {
  name: 'first-answer',
  title: 'First answer after a thaw',
  async run({ postgres, quick, progress }) {
    await using lab = await openFrozenLab(await postgres())
    const rows: Row[] = []
    for (const delay of DELAYS) {
      lab.proxy.setDelay({ toServerMillis: delay, toClientMillis: delay })
      for (const one of CASES) {
        progress(`${one.fate.says}, ${delay} ms`)
        rows.push(await measure(lab, one, delay, quick))
      }
    }
    return {
      rows,
      notes: [
        'A dial is a plain `pg.Client` that connects and asks once, after a freeze of the same kind, in the same process, alternating with the pools. Plain pg that has not answered after 5 s is cut off.',
      ],
    }
  },
}

async function measure(lab: FrozenLab, one: Case, delay: number, quick: boolean): Promise<Row> {
  const samples: Sample[] = []
  const count = quick ? Math.min(3, one.samples) : one.samples
  // The first round warms up.
  for (let index = quick ? 0 : -2; index < count; index++) {
    const before = await lab.dial()
    const thaw = await lab.wake('thaw', one.fate)
    const pg = index >= 0 && index < one.pgSamples ? await lab.wake('pg', one.fate) : undefined
    const after = await lab.dial()
    if (index >= 0) samples.push({ dial: (before.millis + after.millis) / 2, thaw, pg })
  }
  const ratio = figureOf(samples.map((sample) => sample.thaw.millis / one.limit(sample, delay)))
  const dial = median(samples.map((sample) => sample.dial))
  const met = rounded(ratio.value) <= one.factor && samples.every(({ thaw }) => thaw.outcome === 'answered')
  const pg = samples.flatMap((sample) => sample.pg ?? [])
  return {
    measured: `${one.fate.says}, ${delay} ms each way (a dial: ${dial.toFixed(1)} ms)`,
    unit: 'ms',
    pg: shown(pg),
    thaw: shown(samples.map(({ thaw }) => thaw)),
    ratio,
    target: { says: one.says, met },
  }
}

function shown(answers: readonly Woken[]): Figure {
  const bad = answers.filter(({ outcome }) => outcome !== 'answered')
  const remark = bad.length === 0 ? undefined : `${bad[0]?.outcome} ${bad.length} of ${answers.length}`
  return figureOf(
    answers.map(({ millis }) => millis),
    remark,
  )
}
