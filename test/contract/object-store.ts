import type { Opened } from '../helpers/folder.ts'
import { describeContent } from './content.ts'
import { describeRecords, type Laws } from './records.ts'

/** Everything that storage/object-store.ts promises. Every adapter runs it whole. */
export function describeObjectStore(name: string, open: () => Promise<Opened>, laws?: Laws): void {
  describeRecords(name, open, laws)
  describeContent(name, open, laws)
}
