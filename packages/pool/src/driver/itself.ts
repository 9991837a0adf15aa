/**
 * Code of the user's may put something in front of a pool or a client: a Proxy that makes the pool when it is first used, or logs each call, or an object that inherits from it.
 * Methods are then called on that, which has none of our private members. They find the object itself by a property, which a Proxy passes on.
 */

const ITSELF = Symbol('thaw.itself')

/** To be called by the constructor. Returns the object. */
export function noteItself<Self extends object>(object: Self): Self {
  return Object.defineProperty(object, ITSELF, { value: object })
}

type Method = (...values: unknown[]) => unknown

/** Returns the class, whose methods run on the object itself, whatever they are called on. `only`: these; the others are called by the driver, often. */
export function behindProxies<Class extends { readonly prototype: object }>(made: Class, ...only: PropertyKey[]): Class {
  const { prototype } = made
  for (const key of only.length > 0 ? only : Reflect.ownKeys(prototype)) {
    const member = Object.getOwnPropertyDescriptor(prototype, key)
    if (!member || key === 'constructor') continue
    if (typeof member.value === 'function') member.value = onItself(member.value as Method)
    if (member.get) member.get = onItself(member.get)
    Object.defineProperty(prototype, key, member)
  }
  return made
}

function onItself(method: Method): Method {
  const { name, length } = method
  const found = function (this: { [ITSELF]?: object }, ...values: unknown[]): unknown {
    return method.apply(this[ITSELF] ?? this, values)
  }
  return Object.defineProperties(found, { name: { value: name }, length: { value: length } })
}
