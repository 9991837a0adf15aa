declare module 'pg-cursor' {
  import type { Submittable } from 'pg'

  class Cursor implements Submittable {
    constructor(text: string, values?: unknown[])
    submit(connection: unknown): void
    read(rows: number): Promise<object[]>
    close(): Promise<void>
  }
  export = Cursor
}
