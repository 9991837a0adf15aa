import type { IncomingMessage } from 'node:http'

const PRELUDE_TYPE = 'application/vnd.awslambda.http-integration-response'
const PRELUDE_END = '\0'.repeat(8)

/** An error that the function reported, or the platform states: `name` is Lambda's `errorType`. */
export class LambdaError extends Error {
  /** Lambda's `trace`: the lines of the stack inside the function. */
  readonly trace: readonly string[]

  constructor(errorType: string, message: string, trace: readonly string[] = []) {
    super(message)
    this.name = errorType
    this.trace = trace
  }
}

/** What a runtime posted as an error. */
export function parseError(report: string): LambdaError {
  try {
    const { errorType = 'Error', errorMessage = '', stackTrace, trace = stackTrace } = JSON.parse(report)
    return new LambdaError(errorType, errorMessage, trace)
  } catch {
    return new LambdaError('Runtime.Unknown', report)
  }
}

/**
 * Reads an answer to its end. A streamed one is reported chunk by chunk, and can fail in its trailers.
 *
 * @returns the parsed JSON, or the text of a stream; `{ statusCode, headers, cookies, body }` for one with an HTTP prelude.
 */
export async function readAnswer(answer: IncomingMessage, onChunk: (chunk: string) => void = () => {}): Promise<unknown> {
  const isStream = answer.headers['lambda-runtime-function-response-mode'] === 'streaming'
  let text = ''
  for await (const chunk of answer.setEncoding('utf8')) {
    text += chunk
    if (isStream) onChunk(chunk)
  }
  const failure = answer.trailers['lambda-runtime-function-error-body']
  if (failure) throw parseError(Buffer.from(String(failure), 'base64').toString())
  if (!isStream) return text === '' ? null : JSON.parse(text)
  if (!String(answer.headers['content-type']).startsWith(PRELUDE_TYPE)) return text
  const end = text.indexOf(PRELUDE_END)
  return { ...JSON.parse(text.slice(0, end)), body: text.slice(end + PRELUDE_END.length) }
}
