/**
 * What pg makes of the description of an answer's columns: a parser for each, and an object with all of them, of which each row is a copy. pg (8.23) makes
 * that object by way of one without a prototype, which V8 keeps as a dictionary: 2 µs for five columns and 4.6 µs for twenty, with each statement, where an
 * ordinary object takes 0.3 and 0.8. The copies are the same. Neon's driver, which is made of pg 8.8, makes none.
 */

import type { DescribedColumn, DescribedQuery, RowDescription } from '../driver/peer.ts'

type Method = (...values: never[]) => unknown

/** What pg does, as it was found to be: methods of its Client, its Query and its Result. A tool may put others in their place at any time. */
let handle: unknown
let describe: unknown
let add: unknown

/** Does what pg's own methods do, of which `handler` is the client's. False: it has done nothing, they are not as we know them or the answer is out of the ordinary. */
export function describeRows(active: object | undefined, { fields }: RowDescription, handler: Method): boolean {
  const query = active as Partial<DescribedQuery> | undefined
  const result = query?._result
  if (!query?.handleRowDescription || !query.listeners || !result?._types || result.command) return false
  if (handler !== handle || query.handleRowDescription !== describe || result.addFields !== add) {
    if (!isKnown(handler, query.handleRowDescription, result.addFields)) return false
    handle = handler
    describe = query.handleRowDescription
    add = result.addFields
  }
  const row: Record<string, null> = {}
  const parsers: unknown[] = []
  for (const { name, dataTypeID, format } of fields) {
    // Set on an ordinary object, it would be its prototype, or may be refused: where `Object.prototype` is frozen, say.
    if (name in Object.prototype) return false
    row[name] = null
    parsers.push(result._types.getTypeParser(dataTypeID, format || 'text'))
  }
  result.fields = fields
  if (parsers.length > 0) result._parsers = parsers
  result._prebuiltEmptyResultObject = row
  query._accumulateRows = query.callback || !query.listeners('row').length
  return true
}

/** Their source is looked at once: what wraps them does not name what they name. Minifiers keep these names. */
const known = new WeakMap<Method, boolean>()

function isKnown(handler: Method, describes: Method, adds: Method): boolean {
  return (
    looksLike(handler, ['.handleRowDescription(']) &&
    looksLike(describes, ['_checkForMultirow', '.addFields(', '_accumulateRows']) &&
    looksLike(adds, ['_prebuiltEmptyResultObject', '_parsers', 'getTypeParser'], addsAlike)
  )
}

function looksLike(method: Method, names: readonly string[], acts: (method: Method) => boolean = () => true): boolean {
  const before = known.get(method)
  if (before !== undefined) return before
  const source = Function.prototype.toString.call(method)
  const isLike = names.every((name) => source.includes(name)) && acts(method)
  known.set(method, isLike)
  return isLike
}

/** Does it keep to what `describeRows` does? One that was copied may do something else with the names. */
function addsAlike(adds: Method): boolean {
  const parser = () => {}
  const fields: readonly DescribedColumn[] = [
    { name: 'first_one', dataTypeID: 25, format: 'text' },
    { name: 'second', dataTypeID: 23, format: '' },
  ]
  const asked: unknown[] = []
  const types = { getTypeParser: (...column: unknown[]) => asked.push(column) && parser }
  const result = { _types: types, fields: [] as unknown, _parsers: [] as unknown[], _prebuiltEmptyResultObject: {} }
  try {
    ;(adds as (this: unknown, fields: unknown) => void).call(result, fields)
  } catch {
    return false
  }
  const done = [asked, result.fields, Object.entries(result._prebuiltEmptyResultObject), result._parsers.map((one) => one === parser)]
  const expected = [
    [
      [25, 'text'],
      [23, 'text'],
    ],
    fields,
    [
      ['first_one', null],
      ['second', null],
    ],
    [true, true],
  ]
  return Object.keys(result).length === 4 && JSON.stringify(done) === JSON.stringify(expected)
}
