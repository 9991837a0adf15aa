/** What it costs to know what a statement is: once per text, and whenever it is sent again. */

import { evaluate } from './run-child.ts'
import type { Row, Scenario } from './scenario.ts'
import { figureOf } from './statistics.ts'

const PROCESSES = 15

/** Each sample in microseconds. */
interface Sample {
  readonly first: number
  readonly cold: number
  readonly hundred: number
  readonly thousand: number
  readonly tenThousand: number
  readonly million: number
  readonly sameString: number
  readonly equalString: number
}

const ROWS: readonly (readonly [measured: string, what: keyof Sample])[] = [
  ['300 characters, the first statement of a process', 'first'],
  ['300 characters, each of its next ten (median)', 'cold'],
  ['100 characters, warm', 'hundred'],
  ['1,000 characters, warm', 'thousand'],
  ['10,000 characters, warm', 'tenThousand'],
  ['a million characters of VALUES ($1, $2), …, once', 'million'],
  ['remembered, the same string', 'sameString'],
  ['remembered, 300 characters put together anew', 'equalString'],
]

export const statements: Scenario = {
  name: 'statements',
  title: 'What a statement is',
  async run({ quick, progress }) {
    const samples: Sample[] = []
    for (let index = 0; index < (quick ? 3 : PROCESSES); index++) {
      progress(String(index + 1))
      samples.push(await evaluate<Sample>(MEASURE))
    }
    const rows = ROWS.map(([measured, what]): Row => ({ measured, unit: 'µs', thaw: figureOf(samples.map((sample) => sample[what])) }))
    return { rows, notes: ['Texts as an ORM writes them: a name in quotes every eight characters. Plain `pg` does not look at its texts.'] }
  },
}

const MEASURE = `
  import { classifyStatement, createStatementCache } from '@thaw/core'
  const part = (name) => 'select "u"."id", "u"."' + name + '", count("o"."id")::int as "orders", coalesce(sum("o"."total"), 0) as total from "users" as "u" ' +
    'left join "orders" as "o" on "o"."user_id" = "u"."id" where "u"."email" = $1 and "o"."created_at" > now() - interval \\'7 days\\' group by "u"."id"'
  const micros = (count, run) => {
    const before = performance.now()
    for (let index = 0; index < count; index++) run()
    return ((performance.now() - before) * 1000) / count
  }
  const median = (values) => values.sort((a, b) => a - b)[values.length >> 1]
  const sample = { first: micros(1, () => classifyStatement(part('first'))) }
  sample.cold = median(Array.from({ length: 10 }, (_, index) => micros(1, () => classifyStatement(part('n' + index)))))
  const values = 'insert into t values ' + '($1, $2), '.repeat(100_000)
  sample.million = micros(1, () => classifyStatement(values))
  for (const [name, length] of [['hundred', 100], ['thousand', 1_000], ['tenThousand', 10_000]]) {
    let text = part('name')
    while (text.length < length) text += ' union all ' + part('name')
    text = length === 100 ? 'select "id", "name", "email", "created_at" from "users" where "users"."id" = $1 order by "id" limit 10' : text
    micros(300_000 / length, () => classifyStatement(text))
    sample[name] = micros(1_000_000 / length, () => classifyStatement(text))
  }
  const cache = createStatementCache()
  const [text, head, tail] = [part('name'), part('name').slice(0, 100), part('name').slice(100)]
  cache(text)
  micros(100_000, () => cache(text))
  sample.sameString = micros(100_000, () => cache(text))
  sample.equalString = micros(100_000, () => cache(head + tail))
  console.log(JSON.stringify(sample))
`
