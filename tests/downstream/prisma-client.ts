/**
 * Prisma's client for one model, with the settings that `prisma generate` 7.10 writes for it. Written here because generating it fetches a program from
 * Prisma's own server, and because its typed half would be 70 kB more.
 */

import * as runtime from '@prisma/client/runtime/client'

const SCHEMA = `generator client {
  provider = "prisma-client"
}

datasource db {
  provider = "postgresql"
}

model Note {
  id   Int     @id @default(autoincrement())
  text String?

  @@map("notes")
}
`

const MODEL = JSON.stringify({
  models: {
    Note: {
      fields: [
        { name: 'id', kind: 'scalar', type: 'Int' },
        { name: 'text', kind: 'scalar', type: 'String' },
      ],
      dbName: 'notes',
      schema: null,
    },
  },
  enums: {},
  types: {},
})

/** Which part of a query is a parameter: Prisma's own index of the model, packed. */
const GRAPH =
  'LQsQBRwAACMAMB0AAAQAEB4AACMAMB8CAAAAASABACUAIQEAAAABACABAAAAAQAgBRwAACMAMB0AAAQAEB4AACMAMB8CACQAISABACUAIQEgAAAmACADAAAABAAgAwAABQAwBAAAAQAgAwAAAAQAIAMAAAUAMAQAAAEAIAMAAAAEACADAAAFADAEAAABACACHwIAAAABIAEAAAABAQgAAAkAIAIfAgAAAAEgAQAAAAEBCAAACwAwAQgAAAsAMAIfAgAtACEgAQAsACECAAAAAQAgCAAADgAgAh8CAC0AISABACwAIQIAAAAEACAIAAAQACACAAAABAAgCAAAEAAgAwAAAAEAIA8AAAkAIBAAAA4AIAEAAAABACABAAAABAAgBhUAACcAIBYAACgAIBcAACsAIBgAACoAIBkAACkAICAAACYAIAUcAAAaADAdAAAXABAeAAAaADAfAgAbACEgAQAcACEDAAAABAAgAwAAFgAwFAAAFwAgAwAAAAQAIAMAAAUAMAQAAAEAIAUcAAAaADAdAAAXABAeAAAaADAfAgAbACEgAQAcACENFQAAIQAgFgAAIgAgFwAAIQAgGAAAIQAgGQAAIQAgIQIAAAABIgIAAAAEIwIAAAAEJAIAAAABJQIAAAABJgIAAAABJwIAAAABKwIAIAAhDhUAAB4AIBgAAB8AIBkAAB8AICEBAAAAASIBAAAABSMBAAAABSQBAAAAASUBAAAAASYBAAAAAScBAAAAASgBAAAAASkBAAAAASoBAAAAASsBAB0AIQ4VAAAeACAYAAAfACAZAAAfACAhAQAAAAEiAQAAAAUjAQAAAAUkAQAAAAElAQAAAAEmAQAAAAEnAQAAAAEoAQAAAAEpAQAAAAEqAQAAAAErAQAdACEIIQIAAAABIgIAAAAFIwIAAAAFJAIAAAABJQIAAAABJgIAAAABJwIAAAABKwIAHgAhCyEBAAAAASIBAAAABSMBAAAABSQBAAAAASUBAAAAASYBAAAAAScBAAAAASgBAAAAASkBAAAAASoBAAAAASsBAB8AIQ0VAAAhACAWAAAiACAXAAAhACAYAAAhACAZAAAhACAhAgAAAAEiAgAAAAQjAgAAAAQkAgAAAAElAgAAAAEmAgAAAAEnAgAAAAErAgAgACEIIQIAAAABIgIAAAAEIwIAAAAEJAIAAAABJQIAAAABJgIAAAABJwIAAAABKwIAIQAhCCEIAAAAASIIAAAABCMIAAAABCQIAAAAASUIAAAAASYIAAAAAScIAAAAASsIACIAIQUcAAAjADAdAAAEABAeAAAjADAfAgAkACEgAQAlACEIIQIAAAABIgIAAAAEIwIAAAAEJAIAAAABJQIAAAABJgIAAAABJwIAAAABKwIAIQAhCyEBAAAAASIBAAAABSMBAAAABSQBAAAAASUBAAAAASYBAAAAAScBAAAAASgBAAAAASkBAAAAASoBAAAAASsBAB8AIQAAAAAAAAEsAQAAAAEFLAIAAAABLQIAAAABLgIAAAABLwIAAAABMAIAAAABAAAAAAUVAAYWAAcXAAgYAAkZAAoAAAAAAAUVAAYWAAcXAAgYAAkZAAoBAgECAwEFBgEGBwEHCAEJCgEKDAILDQMMDwENEQIOEgQREwESFAETFQIaGAUbGQs'
const STRINGS =
  'where Note.findUnique Note.findUniqueOrThrow orderBy cursor Note.findFirst Note.findFirstOrThrow Note.findMany data Note.createOne Note.createMany Note.createManyAndReturn Note.updateOne Note.updateMany Note.updateManyAndReturn create update Note.upsertOne Note.deleteOne Note.deleteMany having _count _avg _sum _min _max Note.groupBy Note.aggregate AND OR NOT id text equals in notIn lt lte gt gte contains startsWith endsWith not set increment decrement multiply divide'

/** Node has it; its types do not say so. */
const { Module } = (globalThis as unknown as { WebAssembly: { Module: new (bytes: Uint8Array) => never } }).WebAssembly

/** What these tests use of it. */
export interface Prisma {
  readonly note: {
    create(given: { data: { text: string } }): Promise<unknown>
    findMany(): Promise<{ id: number; text: string | null }[]>
  }
  $transaction<Result>(work: (transaction: Prisma) => Promise<Result>, options?: { maxWait?: number; timeout?: number }): Promise<Result>
  $transaction(work: Promise<unknown>[]): Promise<unknown[]>
  $queryRawUnsafe(text: string): Promise<unknown>
  $disconnect(): Promise<void>
}

export const PrismaClient = runtime.getPrismaClient({
  previewFeatures: [],
  clientVersion: '7.10.0',
  engineVersion: '0edf323efd1d98336f3f0a68684b56f689b900d3',
  activeProvider: 'postgresql',
  inlineSchema: SCHEMA,
  runtimeDataModel: JSON.parse(MODEL),
  parameterizationSchema: { strings: STRINGS.split(' '), graph: GRAPH },
  compilerWasm: {
    getRuntime: () => import('@prisma/client/runtime/query_compiler_fast_bg.postgresql.mjs'),
    async getQueryCompilerWasmModule() {
      const { wasm } = await import('@prisma/client/runtime/query_compiler_fast_bg.postgresql.wasm-base64.mjs')
      return new Module(Buffer.from(wasm, 'base64'))
    },
    importName: './query_compiler_fast_bg.js',
  },
}) as unknown as new (
  options: Pick<runtime.PrismaClientOptions, 'adapter'> & { transactionOptions?: { maxWait?: number; timeout?: number } },
) => Prisma
