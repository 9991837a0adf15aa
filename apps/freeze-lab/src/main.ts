/** The command: reads the options, runs the lab, tells what came of it. */

import { runLab } from './lab.ts'
import { LabError } from './lab-error.ts'
import { type Command, helpText, parseCommand } from './options.ts'
import { writePicture, writeReport } from './report/write-report.ts'
import { createJsonReporter, createLineReporter, createLiveReporter, type Reporter } from './reporter.ts'

const FAILED = 1
const COULD_NOT_RUN = 2
const INTERRUPTED = 130

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const interruption = new AbortController()
  try {
    const command = parseCommand(args)
    if (command.wantsHelp) {
      console.log(helpText())
      return 0
    }
    listenForSignals(interruption)
    stopWithoutReaders(interruption)
    using reporter = chooseReporter(command)
    const result = await runLab(command, reporter, interruption.signal)
    reporter.ended(result)
    if (command.reportFile !== undefined) {
      await writeReport(result, command.reportFile)
      if (!command.isJson) console.log(`\nReport: ${command.reportFile}`)
    }
    if (command.pictureFile !== undefined) await writePicture(result, command.pictureFile)
    return result.complaints.length === 0 ? 0 : FAILED
  } catch (error) {
    const { aborted, reason } = interruption.signal
    for (const text of explain(isAbort(error) ? reason : error)) console.error(text)
    if (!aborted || !isAbort(reason)) return COULD_NOT_RUN
    console.error('freeze-lab: interrupted.')
    return INTERRUPTED
  }
}

/** What went wrong, and what then went wrong in tidying up: a schema that could not be dropped must not go unmentioned. */
function explain(error: unknown): unknown[] {
  if (error instanceof SuppressedError) return [...explain(error.suppressed), ...explain(error.error)]
  if (isAbort(error)) return []
  // What the lab says itself is for people. Anything else is a bug, whose stack we want to see.
  return [error instanceof LabError ? `freeze-lab: ${error.message}` : error]
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

/** `| head -1`, a full disk: without a listener Node would end at once, and leave our schemas in the user's database. */
function stopWithoutReaders(interruption: AbortController): void {
  const stop = ({ code }: NodeJS.ErrnoException) =>
    interruption.abort(new LabError(`The output cannot be written (${code}), so the lab has stopped.`))
  process.stdout.on('error', stop)
  process.stderr.on('error', stop)
}

/** The first Ctrl-C stops in order: processes, servers, schemas. The second one does not wait for that. */
function listenForSignals(interruption: AbortController): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (interruption.signal.aborted) process.exit(INTERRUPTED)
      interruption.abort()
    })
  }
}

function chooseReporter(command: Command): Reporter {
  if (command.isJson) return createJsonReporter()
  return process.stdout.isTTY && process.env['TERM'] !== 'dumb' ? createLiveReporter(command) : createLineReporter(command)
}
