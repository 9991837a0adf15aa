/** The command line. */

import { randomInt } from 'node:crypto'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { FAULTS, findFault } from './faults.ts'
import type { LabOptions } from './lab.ts'
import { LabError } from './lab-error.ts'

/** What was asked for. */
export interface Command extends LabOptions {
  readonly isJson: boolean
  /** Where the report goes. `undefined`: there is none. */
  readonly reportFile: string | undefined
  /** Where the picture goes. `undefined`: there is none. */
  readonly pictureFile: string | undefined
  readonly wantsHelp: boolean
}

/** In a folder of this package that is under no version control, and stays until the next run. */
const DEFAULT_REPORT = fileURLToPath(new URL('../node_modules/.cache/freeze-lab/report.html', import.meta.url))

/** Reads the arguments. Throws a {@link LabError} that says what is wrong, and what would be right. */
export function parseCommand(args: readonly string[]): Command {
  const { fault: names = [], json = false, seed, url, help = false, ...reporting } = parse(args)
  return {
    faults: names.length === 0 ? FAULTS : [...new Set(names)].map(findFault),
    isJson: json,
    reportFile: chooseReportFile(reporting, json),
    pictureFile: choosePictureFile(reporting.picture),
    seed: seed === undefined ? randomInt(1_000_000) : parseSeed(seed),
    url: url === undefined ? undefined : parseUrl(url),
    wantsHelp: help,
  }
}

/** What `--help` prints. */
export function helpText(): string {
  const width = Math.max(...FAULTS.map(({ name }) => name.length))
  return `Runs one order API on plain pg and on Thaw, side by side, in real processes that are frozen while their connections die.

Usage: pnpm start [options]

  --fault <name>  only this fault; can be given several times
  --seed <n>      the order of the requests; printed by each run, to repeat it
  --url <url>     your own database (postgres://…) instead of one that is started for the occasion. The lab
                  makes a schema thaw_lab_… and drops it in the end, cuts connections only at its own
                  proxy, and ends no sessions but its own.
  --report <file> where the report goes: a page of HTML with a timeline of each round. Default: a file that
                  the next run overwrites, and whose name is printed last
  --no-report     no report
  --picture <file> one thaw on both, as an SVG for a page: of rst-on-next-byte if it is played, else of the first
                  fault
  --json          one JSON document, and nothing else; a report only with --report
  --help          this text

Exit code: 0, or 1 if Thaw failed a call that it should not have, or 2 if the lab could not run.

Faults:

${FAULTS.map(({ name, happens }) => `  ${name.padEnd(width)}  ${happens}`).join('\n')}
`
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      strict: true,
      options: {
        fault: { type: 'string', multiple: true },
        seed: { type: 'string' },
        url: { type: 'string' },
        report: { type: 'string' },
        'no-report': { type: 'boolean' },
        picture: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    return values
  } catch (error) {
    throw new LabError(`${(error as Error).message.replace(/\.$/, '')}. See --help.`)
  }
}

function chooseReportFile(
  { report, 'no-report': none = false }: { readonly report?: string; readonly 'no-report'?: boolean },
  isJson: boolean,
) {
  if (report === '') throw new LabError('--report takes the name of a file.')
  if (report !== undefined && none) throw new LabError('--report and --no-report exclude each other.')
  if (report !== undefined) return resolve(report)
  // Machines get what they ask for, and nothing else.
  return none || isJson ? undefined : DEFAULT_REPORT
}

function choosePictureFile(picture: string | undefined): string | undefined {
  if (picture === '') throw new LabError('--picture takes the name of a file.')
  return picture === undefined ? undefined : resolve(picture)
}

function parseSeed(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new LabError(`--seed takes a whole number of at most nine digits, not '${text}'.`)
}

// The text of a URL is never repeated in an error: it holds a password.
function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'postgres:' && url?.protocol !== 'postgresql:') {
    throw new LabError(
      '--url takes a URL such as postgres://user:password@host:5432/database. Other forms, and lists of hosts, are not understood.',
    )
  }
  if (url.hostname === '' || url.searchParams.has('host')) {
    throw new LabError(
      '--url needs a host name or an address in its usual place: a TCP proxy goes in between, so sockets of the file system will not do.',
    )
  }
  return url
}
