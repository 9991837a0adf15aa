/** Telling the span of a request what happened to it: that the process had been frozen before, and that a statement was sent again for it. */

import { type Attributes, type Span, trace } from '@opentelemetry/api'
import { currentInvocation, isColdStart, type Line, narrate, type ThawListener } from '@thaw/core'

/** A listener that adds events to the spans that are current when something happens. `attributes`: on each event. */
export function spanEvents(attributes: Attributes): ThawListener {
  /** Of the first caller that used the pool after the thaw. */
  let atThaw: Span | undefined
  const tell = narrate((line) => {
    // Anything else happens outside of any caller's context, or in that of the caller that opened the connection.
    if (line.about === 'thawed') add(atThaw, line, attributes)
    else if (line.about === 'outcome' && line.facts['action'] === 'retried') add(trace.getActiveSpan(), line, attributes)
  })
  return (event) => {
    if (event.type !== 'thawed') return tell(event)
    // The line that this one ends, if there is one, belongs to the span before.
    tell(event)
    atThaw = trace.getActiveSpan()
  }
}

function add(span: Span | undefined, { about, text, facts }: Line, attributes: Attributes): void {
  if (!span?.isRecording()) return
  const figures = Object.entries(facts).map(([name, value]) => [`thaw.${snake(name)}`, value])
  span.addEvent(about === 'thawed' ? 'thaw.thawed' : 'thaw.retried', {
    ...attributes,
    'thaw.summary': text,
    ...Object.fromEntries(figures),
    ...ofInvocation(),
  })
}

/** What the wrappers of platforms know. */
function ofInvocation(): Attributes {
  const invocation = currentInvocation()
  return invocation ? { 'faas.invocation_id': invocation.id, 'faas.coldstart': isColdStart(invocation) } : {}
}

/** `gapMillis`, as attributes are written. */
function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
