/** Who tells people how it goes: a live table in a terminal, plain lines elsewhere, nothing for machines until the end. */

import { createLogUpdate } from 'log-update'
import type { Fault } from './faults.ts'
import type { Figures } from './figures.ts'
import type { FaultResult, LabListener, LabOptions, LabResult } from './lab.ts'
import { plural } from './plural.ts'
import type { Driver } from './round.ts'
import { summarize } from './summary.ts'
import { showFailed, showWait, terminalTable } from './table.ts'

/** Follows a run. Disposed of, it leaves the terminal as it was. */
export interface Reporter extends LabListener, Disposable {
  ended(result: LabResult): void
}

/** One JSON document in the end. */
export function createJsonReporter(): Reporter {
  return {
    preparing() {},
    planned() {},
    begun() {},
    stepped() {},
    finished() {},
    ended: (result) => console.log(JSON.stringify(result, undefined, 2)),
    [Symbol.dispose]() {},
  }
}

/** One line for each step that is done. */
export function createLineReporter({ seed }: LabOptions): Reporter {
  let count = 0
  let done = 0
  return {
    preparing: (what) => console.log(`Freeze lab, --seed ${seed}: ${what}.`),
    planned(faults) {
      count = faults.length
    },
    begun() {},
    stepped() {},
    finished({ name, pg, thaw, retried }) {
      const byHand = retried ? `; plain pg and a retry by hand ${describe(retried)}` : ''
      console.log(`${++done}/${count} ${name}: plain pg ${describe(pg)}; Thaw ${describe(thaw)}${byHand}`)
    },
    ended: (result) => console.log(`\n${summarize(result)}`),
    [Symbol.dispose]() {},
  }
}

const FRAME_MILLIS = 100
const BAR_WIDTH = 20

/** A table that fills up. */
export function createLiveReporter({ faults: wanted, seed }: LabOptions): Reporter {
  let faults = wanted
  const screen = createLogUpdate(process.stdout)
  const startedAt = performance.now()
  const results: FaultResult[] = []
  const steps: Record<Driver, string> = { pg: '', thaw: '' }
  let preparation = ''
  let current: Fault | undefined
  const draw = (): void => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
    const filled = Math.round((BAR_WIDTH * results.length) / faults.length)
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled)
    const progress = `${bar} ${results.length}/${faults.length}, ${seconds} s, --seed ${seed}`
    const what = current ? `${wrap(current.happens)}\n  plain pg: ${steps.pg}   Thaw: ${steps.thaw}` : `${preparation} …`
    const names = faults.map(({ name }) => name)
    screen(`${terminalTable(names, results, current?.name)}\n\n${progress}\n${what}`)
  }
  const timer = setInterval(draw, FRAME_MILLIS)
  const leave = (): void => {
    clearInterval(timer)
    screen.clear()
    screen.done()
  }
  return {
    preparing(what) {
      preparation = what
      draw()
    },
    planned(all) {
      faults = all
    },
    begun(fault) {
      current = fault
      steps.pg = steps.thaw = ''
    },
    stepped(driver, step) {
      steps[driver] = step
      draw()
    },
    finished(result) {
      results.push(result)
      draw()
    },
    ended(result) {
      leave()
      console.log(summarize(result))
    },
    [Symbol.dispose]: leave,
  }
}

// Between words, which log-update does not care for.
function wrap(text: string): string {
  const width = Math.max(20, (process.stdout.columns ?? 80) - 1)
  return text.replace(new RegExp(`(.{1,${width}})(?: +|$)`, 'g'), '$1\n').trimEnd()
}

function describe(figures: Figures): string {
  const { calls, rowsTwice, crashes } = figures
  const harm = `${plural(rowsTwice, 'row')} twice, ${plural(crashes, 'crash')}`
  return `failed ${showFailed(figures)} of ${calls} calls, worst wait ${showWait(figures)}, ${harm}`
}
