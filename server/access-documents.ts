/** The documents of access control as records of the store. */
import type { Document, DocumentName, Documents } from '../auth/directory.ts'
import { accessKey } from '../storage/layout.ts'
import type { ObjectStore, StoredRecord } from '../storage/object-store.ts'
import { decodeRecord, encodeRecord, operation } from '../storage/record.ts'

interface Kept {
  readonly value: object
}

/** `store` remembers records (see cached.ts): a document that has not changed is the same object each time. */
export function accessDocuments(store: ObjectStore): Documents {
  const documentOf = <Value>(record: StoredRecord): Document<Value> => {
    // Only `write` writes under this key, and what it wrote has the type of its name.
    const { value } = decodeRecord<Kept>(record)
    return { value: value as Value, version: record.etag }
  }
  return {
    async read<Value>(name: DocumentName, io: Parameters<Documents['read']>[1]) {
      const record = await store.read(accessKey(name), io)
      return record && documentOf<Value>(record)
    },
    async write(name, value, version, io) {
      const condition = version === undefined ? { ifAbsent: true as const } : { ifMatch: version }
      const written = await store.write(accessKey(name), encodeRecord({ value }), {
        ...operation(io),
        condition,
      })
      return written !== undefined
    },
  }
}
