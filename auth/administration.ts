/** Changes of people, machines, rules and keys, none of which is made without having been written down. */
import type { Io } from '../oci/io.ts'
import type { AuditDetail, AuditEvent } from './audit.ts'
import type { AuditLog } from './audit-log.ts'
import type { Directory } from './directory.ts'
import type { KeyRing } from './keys.ts'
import type { AccessState } from './state.ts'

/** What there is to say of a change. */
export interface ChangeStory extends Pick<AuditEvent, 'action' | 'target'> {
  readonly detail?: AuditDetail
}

export interface Administration {
  /**
   * Writes down what is about to be changed, and changes it. `act` is pure and is called several times; what changes
   * nothing is not written down. Throws what `act` throws, and where nothing can be written down nothing is changed.
   */
  change(act: (state: AccessState) => AccessState, story: ChangeStory, io: Io): Promise<AccessState>
  changeKeys(act: (ring: KeyRing) => KeyRing, story: ChangeStory, io: Io): Promise<KeyRing>
}

export interface AdministrationParts {
  readonly directory: Directory
  readonly audit: Pick<AuditLog, 'record'>
  /** Who administers. */
  readonly by: Pick<AuditEvent, 'actor' | 'via' | 'ip'>
}

export function administration({ directory, audit, by }: AdministrationParts): Administration {
  async function writtenDown<Value>(
    before: Value,
    act: (value: Value) => Value,
    story: ChangeStory,
    make: () => Promise<Value>,
  ): Promise<Value> {
    // What is refused is refused before it is written down.
    if (act(before) === before) return before
    try {
      await audit.record({ ...by, ...story, result: 'done' })
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new Error(`nothing was changed, because the audit cannot be written: ${why}`, { cause })
    }
    try {
      return await make()
    } catch (error) {
      const reason = 'it was written down, and then could not be made'
      const told = audit.record({ ...by, ...story, result: 'failed', detail: { ...story.detail, reason } })
      // Where that cannot be written either, what went wrong first is what there is to say.
      await told.catch(() => {})
      throw error
    }
  }

  return {
    async change(act, story, io) {
      const { state } = await directory.view(io)
      const made = (before: AccessState) => {
        const after = act(before)
        return { state: after, result: after }
      }
      return writtenDown(state, act, story, () => directory.change(made, io))
    },
    async changeKeys(act, story, io) {
      const ring = await directory.keys(io)
      return writtenDown(ring, act, story, () => directory.changeKeys(act, io))
    },
  }
}
