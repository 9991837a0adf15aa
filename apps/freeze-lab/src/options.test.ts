import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FAULTS } from './faults.ts'
import { LabError } from './lab-error.ts'
import { helpText, parseCommand } from './options.ts'

const names = (...args: string[]): string[] => parseCommand(args).faults.map(({ name }) => name)

describe('what is not understood is refused with what would be right', () => {
  test.each([
    ['a fault that does not exist', ['--fault', 'nope'], /no fault 'nope'. There are: none, server-closed, fin, /],
    ['a misspelt option', ['--faults', 'rst'], /Unknown option '--faults'.*See --help/],
    ['an argument', ['rst'], /Unexpected argument 'rst'/],
    ['an option without its value', ['--seed'], /--seed/],
    ['a seed that is no number', ['--seed', '-1.5'], /--seed/],
    ['a report without a name', ['--report', ''], /--report takes/],
    ['a report and none', ['--report', 'a.html', '--no-report'], /exclude each other/],
    ['a picture without a name', ['--picture', ''], /--picture takes/],
    ['a URL of another database', ['--url', 'mysql://root:secret@localhost/shop'], /takes a URL such as postgres:/],
    ['no URL at all', ['--url', 'host=localhost password=secret'], /takes a URL such as postgres:/],
    ['several hosts', ['--url', 'postgres://u:secret@one:1,two:2/shop'], /lists of hosts/],
    ['a socket of the file system', ['--url', 'postgres://u:secret@/shop?host=/tmp'], /needs a host|takes a URL/],
  ])('%s', (_, args, message) => {
    const refused = (): unknown => parseCommand(args)
    expect(refused).toThrow(LabError)
    expect(refused).toThrow(message)
    // A URL holds a password.
    expect(refused).not.toThrow(/secret/)
  })
})

test('all faults are played unless some are named', () => {
  expect(names()).toEqual(FAULTS.map(({ name }) => name))
  expect(names('--fault', 'rst', '--fault', 'fin', '--fault', 'rst')).toEqual(['rst', 'fin'])
})

test('the seed is taken, or drawn', () => {
  expect(parseCommand(['--seed', '42']).seed).toBe(42)
  expect(parseCommand([]).seed).toBeGreaterThanOrEqual(0)
})

test('the report goes where it is told, else where no version control sees it, and nowhere for machines', () => {
  const file = (...args: string[]): string | undefined => parseCommand(args).reportFile
  expect(file()).toMatch(/node_modules.+report\.html$/)
  expect(file('--report', 'mine.html')).toBe(resolve('mine.html'))
  expect(file('--no-report')).toBeUndefined()
  expect(file('--json')).toBeUndefined()
  expect(file('--json', '--report', 'mine.html')).toBe(resolve('mine.html'))
})

test('there is a picture where one is asked for', () => {
  expect(parseCommand([]).pictureFile).toBeUndefined()
  expect(parseCommand(['--picture', 'thaw.svg']).pictureFile).toBe(resolve('thaw.svg'))
})

test('the help names every fault', () => {
  for (const { name } of FAULTS) expect(helpText()).toContain(name)
})
