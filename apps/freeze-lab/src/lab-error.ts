/**
 * The lab could not do its work: a wrong option, a database that is not there, a fault that did not strike. Says nothing
 * about the drivers.
 */
export class LabError extends Error {
  override readonly name: string = 'LabError'
}
