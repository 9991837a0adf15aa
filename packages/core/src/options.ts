/** Options are checked once, where they are given: an impossible value or a misspelt name is an error that says what to write. */

import { OptionError } from './errors.ts'

/** What an option accepts. Numbers may be given as numeric strings, as environment variables are. */
export type OptionRule =
  | { readonly type: 'number'; readonly min: number; readonly max?: number; readonly integer?: boolean }
  | { readonly type: 'boolean' | 'function' | 'object' }
  /** Known by name only, so that a typo is detected; the driver checks its value. */
  | { readonly type: 'any' }
  /** `allowed` says in words what `accepts` lets through. */
  | { readonly type: 'other'; readonly allowed: string; accepts(value: unknown): boolean }

type CheckedRule = Exclude<OptionRule, { readonly type: 'any' }>

/** What each option accepts, by its name. */
export type OptionRules = Readonly<Record<string, OptionRule>>

/**
 * Checks the options that `rules` names. `undefined` and `null` mean "not given".
 *
 * @param others what to do with names that the rules do not know: `refuse` them; or `pass` them on to the driver underneath, except those
 *   that look like a typo of one of ours.
 * @throws {OptionError} naming the option, the value, what is allowed and the nearest correct name.
 */
export function checkOptions(options: object, rules: OptionRules, others: 'refuse' | 'pass'): void {
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
    if (rule) {
      if (rule.type !== 'any' && value !== undefined && value !== null && !accepts(rule, value)) throw wrongValue(name, value, rule)
      continue
    }
    const near = nearest(name, Object.keys(rules))
    if (others === 'refuse' || near !== undefined) throw unknownName(name, near, Object.keys(rules))
  }
}

function accepts(rule: CheckedRule, value: unknown): boolean {
  if (rule.type === 'other') return rule.accepts(value)
  if (rule.type !== 'number') return typeof value === rule.type
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number !== 'number' || Number.isNaN(number)) return false
  if (rule.integer && number !== Number.POSITIVE_INFINITY && !Number.isInteger(number)) return false
  return number >= rule.min && number <= (rule.max ?? Number.POSITIVE_INFINITY)
}

function describe(rule: CheckedRule): string {
  if (rule.type === 'other') return rule.allowed
  if (rule.type !== 'number') return `${rule.type === 'object' ? 'an' : 'a'} ${rule.type}`
  const bound = rule.max === undefined ? `${rule.min} or more` : `from ${rule.min} to ${rule.max}`
  return `a ${rule.integer ? 'whole ' : ''}number, ${bound}`
}

function wrongValue(option: string, value: unknown, rule: CheckedRule): OptionError {
  const allowed = describe(rule)
  return new OptionError({ option, allowed, message: `Option "${option}" is ${show(value)}, but must be ${allowed}.` })
}

function unknownName(option: string, near: string | undefined, names: readonly string[]): OptionError {
  const allowed = near ?? names.join(', ')
  const fix = near === undefined ? `Known options: ${allowed}.` : `Did you mean "${near}"?`
  return new OptionError({ option, allowed, message: `There is no option "${option}". ${fix}` })
}

/** Shows a value without ever showing a secret that was put in the wrong place. */
export function show(value: unknown): string {
  if (typeof value === 'string') return /^[-+\d.eE]*$/.test(value) ? JSON.stringify(value) : `a string of ${value.length} characters`
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return named(value)
}

/** What kind of value it is, with its article, and nothing of the value itself. */
export function named(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  return Array.isArray(value) ? 'an array' : `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`
}

/** The only name within one or two typos, regardless of case. */
function nearest(name: string, names: readonly string[]): string | undefined {
  return names.find((candidate) => distance(name.toLowerCase(), candidate.toLowerCase()) <= slipsIn(candidate))
}

/** Short names are too alike for any typo; two typos in `onConnect` make another word, `reconnect`. */
function slipsIn({ length }: string): number {
  return length <= 5 ? 0 : length <= 9 ? 1 : 2
}

/** The restricted Damerau-Levenshtein distance: row by row, where two swapped letters count as one typo. */
function distance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swapped = isSwapped ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY
      next.push(Math.min(replaced, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    before = row
    row = next
  }
  return row[b.length] ?? 0
}
