/** Adds events to a request's span: that the process had been frozen before, that something was retried for it, that the server told the outcome of a lost answer. */

import { type Attributes, type Span, trace } from '@opentelemetry/api'
import { currentInvocation, isColdStart, type Line, narrate, type ThawListener } from '@thaw/core'

/** A listener that adds events to the span that is current when something happens. `attributes`: on each event. `speaks`: is it the one that does so for its pool? */
export function spanEvents(attributes: Attributes, speaks: () => boolean): ThawListener {
  /** The span of the first request that used the pool after the thaw. */
  let atThaw: Span | undefined
  const tell = narrate((line) => {
    if (!speaks()) return
    // Anything else happens in no request's context, or in the one in which the connection was opened.
    if (line.about === 'thawed') add(atThaw, line, attributes, 'thaw.thawed')
    else if (line.facts['action'] === 'retried' || line.facts['what'] === 'transaction')
      add(trace.getActiveSpan(), line, attributes, 'thaw.retried')
    else if (line.facts['action'] === 'resolved') add(trace.getActiveSpan(), line, attributes, 'thaw.resolved')
  })
  return (event) => {
    if (event.type !== 'thawed') return tell(event)
    // The line that this one ends, if there is one, belongs to the span before.
    tell(event)
    atThaw = trace.getActiveSpan()
  }
}

function add(span: Span | undefined, { text, facts }: Line, attributes: Attributes, name: string): void {
  if (!span?.isRecording()) return
  const figures = Object.entries(facts).map(([name, value]) => [`thaw.${snake(name)}`, value])
  span.addEvent(name, {
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
