/** Reads as the installed query builders write them. */

import { and, asc, count, desc, eq, exists, gt, ilike, inArray, relations, sql, sum } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { alias, integer, jsonb, numeric, pgSchema, text, timestamp } from 'drizzle-orm/pg-core'
import { DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler, sql as raw } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Asked } from './reads.ts'

const shop = pgSchema('shop')
const users = shop.table('users', {
  id: integer().primaryKey(),
  name: text(),
  email: text(),
  tags: text().array(),
  data: jsonb(),
  createdAt: timestamp('created_at', { withTimezone: true }),
})
const orders = shop.table('orders', {
  id: integer().primaryKey(),
  userId: integer('user_id').references(() => users.id),
  total: numeric({ precision: 10, scale: 2 }),
  placedAt: timestamp('placed_at', { withTimezone: true }),
})
const usersRelations = relations(users, ({ many }) => ({ orders: many(orders) }))
const ordersRelations = relations(orders, ({ one }) => ({ user: one(users, { fields: [orders.userId], references: [users.id] }) }))
const db = drizzle.mock({ schema: { users, orders, usersRelations, ordersRelations } })

const other = alias(users, 'other')
const big = db.$with('big').as(db.select().from(orders).where(gt(orders.total, '10')))
const latest = db.select({ id: orders.id, total: orders.total }).from(orders).where(eq(orders.userId, users.id)).limit(1).as('latest')
const rank = sql<number>`row_number() over (partition by ${orders.userId} order by ${orders.total} desc)`.as('rank')

export const DRIZZLE: readonly Asked[] = [
  db.select().from(users),
  db
    .select({ id: users.id })
    .from(users)
    .where(and(eq(users.id, 1), ilike(users.name, '%a%')))
    .orderBy(desc(users.createdAt))
    .limit(10)
    .offset(0),
  db
    .select()
    .from(users)
    .leftJoin(orders, eq(orders.userId, users.id))
    .where(inArray(users.id, [1, 2, 3])),
  db
    .select({ id: users.id, n: count(orders.id), total: sum(orders.total) })
    .from(users)
    .innerJoin(orders, eq(orders.userId, users.id))
    .groupBy(users.id),
  db
    .selectDistinctOn([orders.userId], { id: orders.id, userId: orders.userId })
    .from(orders)
    .orderBy(asc(orders.userId), desc(orders.placedAt)),
  db
    .select()
    .from(users)
    .where(exists(db.select().from(orders).where(eq(orders.userId, users.id)))),
  db.with(big).select().from(big).where(gt(big.total, '15')),
  db.select().from(users).innerJoinLateral(latest, sql`true`),
  db.select({ a: users.name, b: other.name }).from(users).fullJoin(other, eq(users.id, other.id)),
  db.select({ id: orders.id, rank }).from(orders),
  db.select({ n: sql<number>`cast(count(*) filter (where ${users.email} is not null) as int)` }).from(users),
  db.select({ day: sql`date_trunc('day', ${orders.placedAt})`, n: db.$count(orders) }).from(orders),
  db
    .select({ id: users.id })
    .from(users)
    .union(db.select({ id: orders.id }).from(orders)),
  db.query.users.findMany({ with: { orders: true } }),
  db.query.users.findFirst({
    where: eq(users.id, 1),
    columns: { id: true },
    with: { orders: { limit: 2, orderBy: desc(orders.placedAt) } },
  }),
  db.query.orders.findMany({
    with: { user: { columns: { name: true } } },
    extras: { twice: sql<string>`${orders.total} * 2`.as('twice') },
  }),
].map((query) => {
  const { sql: asked, params } = query.toSQL()
  return [asked, ...params]
})

interface Database {
  readonly 'shop.users': { id: number; name: string; email: string; tags: string[]; data: unknown; created_at: Date }
  readonly 'shop.orders': { id: number; user_id: number; total: string; placed_at: Date }
}

const kysely = new Kysely<Database>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (of) => new PostgresIntrospector(of),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
})
const from = kysely.selectFrom('shop.users as u')

export const KYSELY: readonly Asked[] = [
  kysely.selectFrom('shop.users').selectAll(),
  from
    .select(['u.id', 'u.name as label'])
    .where('u.id', 'in', [1, 2])
    .where('u.email', 'is not', null)
    .orderBy('u.created_at', 'desc')
    .limit(5),
  from
    .innerJoin('shop.orders as o', 'o.user_id', 'u.id')
    .select(({ fn }) => ['u.id', fn.count<number>('o.id').as('n'), fn.sum('o.total').as('sum')])
    .groupBy('u.id')
    .having(({ fn }) => fn.count('o.id'), '>', 1),
  from
    .selectAll('u')
    .select((eb) =>
      jsonArrayFrom(eb.selectFrom('shop.orders as o').select(['o.id', 'o.total']).whereRef('o.user_id', '=', 'u.id').orderBy('o.id')).as(
        'orders',
      ),
    ),
  kysely
    .selectFrom('shop.orders as o')
    .select((eb) => [
      'o.id',
      jsonObjectFrom(eb.selectFrom('shop.users as u').select('u.name').whereRef('u.id', '=', 'o.user_id')).as('user'),
    ]),
  kysely
    .with('big', (d) => d.selectFrom('shop.orders').selectAll().where('total', '>', '10'))
    .selectFrom('big')
    .selectAll(),
  kysely
    .withRecursive('up(n)', (d) =>
      d.selectNoFrom(raw<number>`1`.as('n')).unionAll(d.selectFrom('up').select(raw<number>`n + 1`.as('n')).where('up.n', '<', 3)),
    )
    .selectFrom('up')
    .selectAll(),
  from
    .leftJoinLateral(
      (eb) => eb.selectFrom('shop.orders as o').select('o.total').whereRef('o.user_id', '=', 'u.id').limit(1).as('last'),
      (join) => join.onTrue(),
    )
    .select(['u.id', 'last.total']),
  from.select((eb) => [
    eb.fn.coalesce('u.email', 'u.name').as('mail'),
    eb.case().when('u.id', '=', 1).then('one').else('more').end().as('which'),
  ]),
  kysely.selectFrom('shop.orders as o').select((eb) =>
    eb.fn
      .agg<number>('row_number')
      .over((over) => over.partitionBy('o.user_id').orderBy('o.id'))
      .as('rank'),
  ),
  from
    .select('u.id')
    .distinctOn('u.name')
    .orderBy('u.name')
    .where((eb) => eb.exists(eb.selectFrom('shop.orders as o').select('o.id').whereRef('o.user_id', '=', 'u.id'))),
  from.select('u.id').where(raw<boolean>`${raw.ref('u.data')} ->> ${'a'} is not null and lower(${raw.ref('u.email')}) = any(${['ada@x']})`),
].map((query) => {
  const { sql: asked, parameters } = query.compile()
  return [asked, ...parameters]
})
